"""An installation of its own under its real supervisor, whose parts can be killed, held, and starved of disk."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path

import psutil

from semg.platform.installation import identity, state
from semg.platform.servers import cluster, embedded, postgres
from semg.platform.supervision import services
from semg.platform.supervision.services import Service
from semg.settings import PROJECT_DIR, Settings, load_settings

SERVICES = ("api", "nat_inference", "job_runner", "udpserver")
SERVERS = ("postgres", "nats")
STORE = "store"
"""The process below udpserver that stores; ``System.pid`` knows it by this name."""
BACK_S = 60.0


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = BACK_S) -> float:
    """Wait for something that another process does, and give how long that took, in seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"waited {timeout_s:.0f} s for: {what}"
        time.sleep(0.02)
    return time.monotonic() - started


def find_faketime() -> Path | None:
    """Return Debian's libfaketime, by which a process gets a clock of its own; None where it is not installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def namespaces_work() -> bool:
    """Return whether this user can mount a small tmpfs that nobody else sees."""
    probe = ["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class System:
    """What ``start_all.sh`` starts, without the app, below a folder and on free ports.

    Parameters
    ----------
    folder
        Everything lies in it; others must be able to pass through the folders above it when root runs this.
    small_disks
        Folders below ``DATA_DIR`` that get a file system of their own, with its size in MB.
    faked_clock
        Run udpserver by a clock that ``step_clock`` sets; needs libfaketime.
    """

    def __init__(
        self,
        folder: Path,
        *,
        small_disks: dict[str, int] | None = None,
        faked_clock: bool = False,
        **values: object,
    ) -> None:
        self.folder, self.data_dir, self.log_dir = folder, folder / "data", folder / "logs"
        self._disks = small_disks or {}
        self._env_file = folder / "env"
        self._clock_file = folder / "clock"
        own = {
            "DATA_DIR": self.data_dir,
            "LOG_DIR": self.log_dir,
            "POSTGRES_PORT": embedded.free_port(),
            "NATS_PORT": embedded.free_port(),
            "API_PORT": embedded.free_port(),
            "STREAMLIT_PORT": embedded.free_port(),
            "UDP_HOST": "127.0.0.1",
            "POSTGRES_PASSWORD": secrets.token_urlsafe(16),
            "POSTGRES_OWNER_PASSWORD": secrets.token_urlsafe(16),
            "UDP_PORT": embedded.free_port(kind=2),
            "MIN_FREE_DISK_MB": 10,
            "JOURNAL_MAX_BYTES": 64 << 20,
        }
        own |= {name.upper(): value for name, value in values.items()}
        self._env_file.touch(mode=0o600)
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in own.items()))
        table = [service for service in services.table(self.settings) if service.name in SERVICES]
        if faked_clock:
            self.step_clock(0)
            table = [self._with_faked_clock(service) if service.name == "udpserver" else service for service in table]
        services.save(folder / "table.json", table)

    @property
    def settings(self) -> Settings:
        """The settings, with what the first start has generated."""
        return load_settings(self._env_file)

    @property
    def state(self) -> state.State:
        """What the supervisor tells."""
        found = state.read(state.state_file(self.data_dir))
        assert found is not None, "the supervisor does not run"
        return found

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        if "postgres" in self._disks:
            self._make_cluster()
        for name in self._disks:
            (self.data_dir / name).mkdir(parents=True, exist_ok=True)
        done = self._run("start", "--services", str(self.folder / "table.json"))
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self) -> None:
        """Stop everything; nothing of it may be left."""
        done = self._run("stop")
        assert done.returncode == 0, done.stdout + done.stderr

    def destroy(self) -> None:
        """End whatever is left, after a failure."""
        installation = identity.find_installation(self.data_dir)
        if installation is not None:
            identity.end(identity.processes(installation))
            identity.end(cluster.processes(self.data_dir / "postgres"))

    def pid(self, name: str) -> int | None:
        """Return the process of a service, a server or the store task, or None while it has none."""
        unit = next(unit for unit in self.state.units if unit.name == ("udpserver" if name == STORE else name))
        if name != STORE or unit.pid is None:
            return unit.pid
        try:
            children = psutil.Process(unit.pid).children()
            program = "semg.ingest.journal.store_process"
            return next((child.pid for child in children if program in child.cmdline()), None)
        except psutil.NoSuchProcess:
            return None

    def processes(self, name: str) -> list[psutil.Process]:
        """Return a part's process with all those below it; udpserver without its store task."""
        process = psutil.Process(self.pid(name))
        found = [process, *process.children(recursive=True)]
        store = self.pid(STORE) if name == "udpserver" else None
        return [one for one in found if one.pid != store]

    def is_ready(self, name: str) -> bool:
        """Return whether a part runs and has told that it is ready."""
        if name == STORE:
            return self.pid(STORE) is not None
        return next(unit for unit in self.state.units if unit.name == name).is_ready

    def kill(self, name: str) -> int:
        """Kill a part as a power cut would, and give the process that it was."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_back(self, name: str, old_pid: int) -> float:
        """Wait until another process of a part is ready, and give how long that took."""
        return wait_for(lambda: self.pid(name) not in (None, old_pid) and self.is_ready(name), f"{name} is back")

    @contextmanager
    def down(self, name: str) -> Iterator[None]:
        """Kill a server, and keep the supervisor from starting it again until the block ends."""
        supervisor = psutil.Process(self.state.pid)
        supervisor.suspend()
        try:
            old = self.kill(name)
            yield
        finally:
            supervisor.resume()
        self.wait_back(name, old)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Let a part hang, its connections open, until the block ends."""
        held = self.processes(name)
        for process in held:
            process.suspend()
        try:
            yield
        finally:
            for process in held:
                process.resume()

    @contextmanager
    def full_disk(self, name: str) -> Iterator[None]:
        """Fill one of the small disks to the last byte until the block ends."""
        folder = Path(f"/proc/{self.state.pid}/root") / str(self.data_dir / name).lstrip("/")
        filler = folder / "filler"
        try:
            with filler.open("wb", buffering=0) as out:
                _fill(out)
            yield
        finally:
            filler.unlink()

    def step_clock(self, seconds: float) -> None:
        """Set udpserver's clock so many seconds off this machine's."""
        partial = self._clock_file.with_suffix(".partial")
        partial.write_text(f"{seconds:+.3f}\n")
        partial.replace(self._clock_file)

    def log(self, name: str) -> str:
        """Return what a part has logged."""
        path = self.log_dir / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _make_cluster(self) -> None:
        """Make the database's files: PostgreSQL makes them only where no other file system is mounted."""
        settings = self.settings
        server = postgres.start(
            self.data_dir / "postgres",
            settings.postgres_port,
            *settings.postgres_owner,
            settings.postgres_db,
            self.folder / "making.log",
            service=settings.postgres_service,
        )
        server.stop()

    def _with_faked_clock(self, service: Service) -> Service:
        faked = {
            "LD_PRELOAD": find_faketime(),
            "FAKETIME_TIMESTAMP_FILE": self._clock_file,
            "FAKETIME_NO_CACHE": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
        }
        return Service(
            service.name,
            ("/usr/bin/env", *(f"{name}={value}" for name, value in faked.items()), *service.argv),
            service.cwd,
            service.ready_url,
            service.grace_s,
        )

    def _run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m semg.platform`` as a person would, in a name space of its own when disks are small."""
        known = {name.upper() for name in Settings.model_fields}
        environment = {name: value for name, value in os.environ.items() if name.upper() not in known}
        environment |= {"SEMG_ENV_FILE": str(self._env_file), "PYTHONPATH": str(PROJECT_DIR)}
        full: Sequence[str] = [sys.executable, "-m", "semg.platform", command, *arguments]
        if self._disks and command == "start":
            mounts = [
                f"cd '{self.data_dir}' && cp -a {name} {name}.whole &&"
                f" mount -t tmpfs -o size={size_mb}m,mode=700 none {name} &&"
                f" cp -a {name}.whole/. {name}"
                for name, size_mb in self._disks.items()
            ]
            script = " && ".join([*mounts, 'exec "$@"'])
            full = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *full]
        return subprocess.run(
            full, env=environment, capture_output=True, text=True, timeout=180, check=False, cwd=self.folder
        )


def _fill(out: RawIOBase) -> None:
    for size in (1 << 20, 4096):
        with suppress(OSError):  # the disk is full to this size
            while out.write(bytes(size)) == size:
                pass


@contextmanager
def running(system: System) -> Iterator[System]:
    """Start a system, and stop it at the end; after a failure nothing of it is left either."""
    try:
        system.start()
        yield system
        system.stop()
    finally:
        system.destroy()
