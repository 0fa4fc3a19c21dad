"""What the processes of a private system hold, and whether it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psutil

WORDS = {
    "uvicorn": "api",
    "nat_inference.py": "nat_inference",
    "job_runner.py": "job_runner",
    "semg.ingest.journal.store_process": "store",
    "udpserver.py": "udpserver",
    "simulator.py": "simulator",
    "nats-server": "nats",
    "postgres": "postgres",
}
"""What a command line has in it, and what the process is called."""

ALLOWED = 0.05
SLACK = {"memory_mb": 3.0, "threads": 2.0, "files": 4.0, "connections": 3.0}
"""What may come and go between two looks, beside the share: a thread of a pool, a file being written."""

WARM = 0.1

Held = dict[str, dict[str, float]]


def measured(names: Sequence[str] = (), processes: Iterable[psutil.Process] | None = None) -> Held:
    """Return what each service holds: resident memory, threads, open files and connections, with its children.

    Parameters
    ----------
    names
        Services to look at; all when empty. ``udpserver`` brings its store task.
    processes
        Where to look; those below this process when not given.
    """
    found: Held = {}
    wanted = {*names, "store"} if names else set(WORDS.values())
    for process in psutil.Process().children(recursive=True) if processes is None else processes:
        try:
            command = " ".join(process.cmdline()) or process.name()
            name = next((name for word, name in WORDS.items() if word in command), None)
            if name is None or name not in wanted:
                continue
            own = found.setdefault(name, dict.fromkeys(SLACK, 0.0))
            memory = process.memory_full_info()
            own["memory_mb"] += getattr(memory, "pss", memory.rss) / 2**20
            own["threads"] += process.num_threads()
            own["files"] += process.num_fds()
            own["connections"] += len(process.net_connections(kind="inet"))
        except psutil.Error:
            continue
    return found


class Growth:
    """Compares what is held after the first tenth of a run with what is held at its end.

    Parameters
    ----------
    measure
        Gives what is held now.
    """

    def __init__(self, measure: Callable[[], Held]) -> None:
        self._measure = measure
        self._first: Held | None = None

    def look(self, share: float) -> None:
        """Note how much of the run is over."""
        if self._first is None and share >= WARM:
            self._first = self._measure()

    def judge(self) -> dict[str, Any]:
        """Return both measurements, and the names of what grew by more than the allowed share and the slack."""
        assert self._first is not None, "the run was too short to be judged"
        last, grown = self._measure(), []
        for name, held in last.items():
            for what, now in held.items():
                before = self._first.get(name, {}).get(what, 0.0)
                if now > before * (1 + ALLOWED) + SLACK[what]:
                    grown.append(f"{name}.{what}")
        missing = [name for name in self._first if name not in last]
        return {"after_a_tenth": _rounded(self._first), "at_the_end": _rounded(last), "grown": grown + missing}


def _rounded(held: Held) -> Held:
    return {name: {what: round(value, 1) for what, value in own.items()} for name, own in sorted(held.items())}
