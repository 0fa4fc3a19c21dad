"""Common functions of the embedded servers: ports, waiting for readiness, an account that is not root."""

from __future__ import annotations

import errno
import logging
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from semg.errors import PlatformError

logger = logging.getLogger(__name__)

ACCOUNT = "semg-postgres"
ACCOUNT_IS_THERE = 9
"""Exit status of ``useradd``: another start was faster."""


def find_program(name: str) -> Path | None:
    """Return the path of a program that a package brought beside Python, else of one of the PATH; None: neither."""
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    return None if found is None else Path(found)


def free_port(host: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> int:
    """Return a port that nothing listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_is_free(host: str, port: int, kind: int = socket.SOCK_STREAM) -> bool:
    """Return whether a server could listen on the port now."""
    return port_trouble(host, port, kind) is None


def port_trouble(host: str, port: int, kind: int = socket.SOCK_STREAM) -> str | None:
    """Return why no server could listen on the port now, or None if one could."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as exc:
        return f"is no address of this machine ({exc.strerror})"
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return "is taken by another program"
            if exc.errno == errno.EADDRNOTAVAIL:
                return "is no address of this machine"
            return f"may not be used ({exc.strerror})"
    return None


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str, log: Path, timeout_s: float = 60.0
) -> None:
    """Wait until a server answers.

    Raises
    ------
    PlatformError
        It ended, or did not answer in time; the message carries the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PlatformError(f"{what} ended at once (exit {process.returncode}): {log_tail(log)}")
        if ready():
            return
        time.sleep(0.02)
    raise PlatformError(f"{what} did not answer within {timeout_s:.0f} s: {log_tail(log)}")


def log_lines(log: Path, n_lines: int) -> list[str]:
    """Return the last lines of a log that are not empty."""
    if not log.exists():
        return []
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - 16384))
        lines = handle.read().decode("utf-8", "replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-n_lines:]


def log_tail(log: Path, n_lines: int = 4) -> str:
    """Return the last lines of a log as one line of text."""
    return " | ".join(line.strip() for line in log_lines(log, n_lines)) or "its log is empty"


def account() -> pwd.struct_passwd:
    """Return the account that runs PostgreSQL, which refuses to run as root, when root starts the platform.

    It is ``semg-postgres``, made when it is not there. Where none can be made it is ``nobody``, who may run other
    programs too, which could then read the database's files.
    """
    for make in (False, True):
        if make:
            _make_account()
        try:
            return pwd.getpwnam(ACCOUNT)
        except KeyError:
            continue
    logger.warning("PostgreSQL runs as 'nobody': make an account of its own (useradd --system %s)", ACCOUNT)
    return pwd.getpwnam("nobody")


def _make_account() -> None:
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return
    command = [program, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", "--comment", "PostgreSQL of the sEMG platform", ACCOUNT]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in (0, ACCOUNT_IS_THERE):
        logger.warning("%s: %s", program, done.stderr.decode("utf-8", "replace").strip())


def unprivileged() -> dict[str, object]:
    """Return the ``Popen`` arguments that run a child as ``account()`` when this process is root.

    Its files are its own: the platform's umask must not close them to itself.
    """
    if os.geteuid() != 0:
        return {}
    own = account()
    return {"user": own.pw_uid, "group": own.pw_gid, "extra_groups": []}


def hand_over(path: Path) -> None:
    """Change the owner of a file or a folder tree to ``account()`` when this process is root."""
    if os.geteuid() != 0:
        return
    own = account()
    for entry in (path, *path.rglob("*")):
        os.chown(entry, own.pw_uid, own.pw_gid, follow_symlinks=False)


def reachable_by_others(path: Path) -> bool:
    """Return whether other users can traverse every folder above the path."""
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def usable_by_others(folder: Path) -> bool:
    """Return whether other users can read all in a folder, and run what its owner can run."""
    if not reachable_by_others(folder):
        return False
    return all(
        path.is_symlink() or path.stat().st_mode & 0o005 == (path.stat().st_mode & 0o500) >> 6
        for path in (folder, *folder.rglob("*"))
    )


def open_to_others(folder: Path) -> None:
    """Make everything in a folder readable by other users, whatever the umask or the copied modes."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))


def make_passable(folder: Path, below: Path) -> None:
    """Make a folder, and those above it as far as ``below``, which other users may pass through whatever the umask."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in (folder, *folder.parents):
        if one.stat().st_uid == os.geteuid() and not one.stat().st_mode & 0o001:
            one.chmod(one.stat().st_mode | 0o011)
        if one == below:
            break


def copy_once(source: Path, target: Path) -> None:
    """Copy a folder unless a complete copy is there; a copy cut short is recreated."""
    if target.exists():
        return
    partial = target.with_name(target.name + f".partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial, symlinks=True)
    open_to_others(partial)
    partial.rename(target)
