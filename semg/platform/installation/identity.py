"""Identify the processes of this installation, by exact identity and never by name.

Every process that the platform starts carries the installation's id in its environment, and so does what such a
process starts. A pid, a name or a command line is never enough: another checkout has the same ones.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

INSTALLATION_VARIABLE = "SEMG_INSTALLATION"
SERVICE_VARIABLE = "SEMG_SERVICE"
SUPERVISOR = "supervisor"


@contextmanager
def folder_lock(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock on a folder; the kernel releases it with the process, and no lock file is left.

    Yields whether the lock was obtained, which is always True with ``wait``.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def find_installation(data_dir: Path) -> str | None:
    """Return the installation's id, or None if nothing was ever started on this ``DATA_DIR``.

    A folder that was copied is another installation than the one that it was copied from; a folder that was
    moved stays the same one.
    """
    try:
        stored = json.loads((data_dir / "installation-id").read_text(encoding="utf-8"))
        installation, path = str(stored["id"]), Path(stored["path"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    if path != data_dir.resolve() and (path / "installation-id").exists():
        return None
    return installation


def make_installation(data_dir: Path) -> str:
    """Return the installation's id; make one at the first start."""
    installation = find_installation(data_dir) or secrets.token_hex(16)
    write_atomically(
        data_dir / "installation-id", json.dumps({"id": installation, "path": str(data_dir.resolve())}) + "\n"
    )
    return installation


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file atomically: a reader sees the old text or the new one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def processes(installation: str, service: str | None = None) -> list[psutil.Process]:
    """Return the live processes of an installation (of one of its services), except the caller and its ancestors.

    The caller's own tree is left out because a shell that was opened from within the platform carries the id too.
    """
    own = psutil.Process()
    spared = {own.pid, *(parent.pid for parent in own.parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or of another user, and so not started by this one
        if environment.get(INSTALLATION_VARIABLE) != installation:
            continue
        if service is None or environment.get(SERVICE_VARIABLE) == service:
            found.append(process)
    return found


def find_supervisor(installation: str) -> psutil.Process | None:
    """Return the installation's supervisor if it runs."""
    for process in processes(installation, SUPERVISOR):
        if is_alive(process):
            return process
    return None


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs. One that ended and was not collected by its parent does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def wait_gone(found: Iterable[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait until the processes have ended, and return those that have not.

    ``psutil.wait_procs`` would wait for zombies too, which stay for ever where process 1 collects no orphans, as
    in many containers.
    """
    deadline = time.monotonic() + timeout_s
    alive = [process for process in found if is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [process for process in alive if is_alive(process)]
    return alive


def end(found: Iterable[psutil.Process], grace_s: float = 5.0) -> list[psutil.Process]:
    """Terminate processes, and kill them after ``grace_s``. Return those that are still alive."""
    alive = list(found)
    for stop_signal, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        for process in alive:
            try:
                process.send_signal(stop_signal)
            except psutil.NoSuchProcess:
                continue
        alive = wait_gone(alive, wait_s)
        if not alive:
            break
    return alive
