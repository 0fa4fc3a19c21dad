"""The processes of an embedded PostgreSQL: found and ended by the cluster that they run on."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from semg.errors import PlatformError
from semg.platform.installation import identity


def postmaster_pid(data: Path) -> int | None:
    """Return the pid of the server that runs on this cluster, or None. A reused pid is not taken for it."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        command = psutil.Process(pid).cmdline()
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    return pid if "-D" in command and str(data) in command else None


def end_stale(data: Path, grace_s: float = 20.0) -> None:
    """End all server processes on this cluster, and remove a pid file that names another process.

    A server that was killed leaves its children behind for a moment (for as long as their query, at worst); no
    new server can start beside them.

    Raises
    ------
    PlatformError
        Something could not be ended.
    """
    pid = postmaster_pid(data)
    if pid is not None:
        postmaster = psutil.Process(pid)
        for stop_signal, wait_s in ((signal.SIGINT, grace_s), (signal.SIGQUIT, 5.0)):
            postmaster.send_signal(stop_signal)
            if not identity.wait_gone([postmaster], wait_s):
                break
    alive = identity.end(processes(data), grace_s=2.0)
    if alive:
        pids = ", ".join(str(process.pid) for process in alive)
        raise PlatformError(f"an earlier PostgreSQL on {data} does not end (pid {pids})")
    (data / "postmaster.pid").unlink(missing_ok=True)


def processes(data: Path) -> list[psutil.Process]:
    """Return the server processes that run on this cluster: each has it as its working directory."""
    folder = str(data.resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.name().startswith("postgres") and process.cwd() == folder:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it ended meanwhile, or belongs to somebody else
    return found
