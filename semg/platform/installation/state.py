"""State published by the supervisor: ``DATA_DIR/run/state.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from semg.platform.installation.identity import is_alive, write_atomically

Phase = Literal["starting", "running", "stopping", "failed"]
UnitState = Literal["launching", "starting", "ready", "unready", "waiting", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStatus:
    """One service (or embedded server) as the supervisor sees it.

    ``state``: ``launching`` (leftovers are ended, the program is started), ``starting`` (runs, not ready yet),
    ``ready``, ``unready`` (was ready, does not answer now), ``waiting`` (ended; starts again after a pause),
    ``stopped``. ``since`` is when it entered the state, ``started_at`` when its process was made (seconds since the
    epoch).
    """

    name: str
    state: UnitState
    pid: int | None = None
    create_time: float | None = None
    started_at: float | None = None
    since: float = 0.0
    restarts: int = 0
    exits_unready: int = 0
    last_exit: str = ""
    error: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it was ready at the last check and its process still runs."""
        return self.state == "ready" and self.pid is not None and _same_process(self.pid, self.create_time)


@dataclass(frozen=True, slots=True)
class State:
    """The supervisor and all that it supervises.

    ``matched`` counts how often it compared the services with the table and the list of extra services.
    """

    pid: int
    create_time: float
    phase: Phase
    error: str = ""
    addresses: dict[str, str] = field(default_factory=dict)
    units: tuple[UnitStatus, ...] = ()
    matched: int = 0

    @property
    def is_current(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return _same_process(self.pid, self.create_time)

    @property
    def is_ready(self) -> bool:
        """Whether everything is ready."""
        return self.phase == "running" and self.is_current and all(unit.is_ready for unit in self.units)


def state_file(data_dir: Path) -> Path:
    """Return the path of the state file."""
    return data_dir / "run" / "state.json"


def write(path: Path, state: State) -> None:
    """Write the state atomically."""
    write_atomically(path, json.dumps(asdict(state), indent=1) + "\n")


def read(path: Path) -> State | None:
    """Return the last written state, or None."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        units = tuple(UnitStatus(**unit) for unit in stored.pop("units"))
        return State(**stored, units=units)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def create_time(pid: int) -> float | None:
    """Return when a process was created, or None if there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _same_process(pid: int, made_at: float | None) -> bool:
    try:
        process = psutil.Process(pid)
        return is_alive(process) and (made_at is None or abs(process.create_time() - made_at) < 0.01)
    except psutil.Error:
        return False
