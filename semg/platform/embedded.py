"""What the embedded servers share: ports, waiting for readiness, an account that is not root."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from semg.errors import PlatformError


def free_port(host: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> int:
    """Give a port that nothing listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_is_free(host: str, port: int, kind: int = socket.SOCK_STREAM) -> bool:
    """Tell whether a server could listen on the port now."""
    return port_trouble(host, port, kind) is None


def port_trouble(host: str, port: int, kind: int = socket.SOCK_STREAM) -> str | None:
    """Give why no server could listen on the port now, or None if one could."""
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
    """Give the last lines of a log that are not empty."""
    if not log.exists():
        return []
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - 16384))
        lines = handle.read().decode("utf-8", "replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-n_lines:]


def log_tail(log: Path, n_lines: int = 4) -> str:
    """Give the last lines of a log as one line of text."""
    return " | ".join(line.strip() for line in log_lines(log, n_lines)) or "its log is empty"


def unprivileged() -> dict[str, object]:
    """Give the ``Popen`` arguments that run a child as ``nobody`` when this process is root.

    PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def hand_over(path: Path) -> None:
    """Give a file or a folder with all in it to ``nobody`` when this process is root."""
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    for entry in (path, *path.rglob("*")):
        os.chown(entry, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


def reachable_by_nobody(path: Path) -> bool:
    """Tell whether every folder above the path lets other users through."""
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def copy_once(source: Path, target: Path) -> None:
    """Copy a folder unless a complete copy is there; a copy cut short is made anew."""
    if target.exists():
        return
    partial = target.with_name(target.name + f".partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial, symlinks=True)
    partial.rename(target)
