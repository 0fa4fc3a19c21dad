"""Run pip, show how far it is, and name the host that does not answer."""

from __future__ import annotations

import contextlib
import io
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.request import getproxies

from semg.platform.packages.pip_output import PipOutput
from semg.platform.packages.progress import Progress

QUIET_S = 20.0
"""A host that pip has waited for so long is named."""
AGAIN_S = 60.0
LOOK_S = 3.0
_TICK_S = 0.2
_END_S = 5.0


def run(
    command: Sequence[str],
    cwd: Path,
    log: io.FileIO,
    output: PipOutput,
    progress: Progress,
    *,
    arriving: Path,
    quiet_s: float = QUIET_S,
) -> int:
    """Run pip and return its exit code.

    Parameters
    ----------
    log
        Receives every line, but those that only count bytes.
    arriving
        The folder that pip downloads to, where a file grows.
    quiet_s
        A host that pip has waited for so long is named; pip goes on trying.

    Raises
    ------
    KeyboardInterrupt
        The user ended it; pip has ended too. What it has downloaded stays in its cache.
    """
    process = subprocess.Popen(
        ["env", f"TMPDIR={arriving}", "PYTHONUNBUFFERED=1", *command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    silence = Silence(quiet_s)
    try:
        while True:
            line = _next(lines)
            if line is None:
                break
            if line:
                if not line.startswith(b"Progress "):
                    log.write(line)
                output.feed(line.decode("utf-8", "replace").rstrip())
            if line or output.measured(_arrived(arriving, output.file)) or not output.hosts:
                silence.broken()
            elif sentence := silence.sentence(output.hosts):
                progress.say(sentence)
            progress.update(output)
        code = process.wait()
    except BaseException:
        progress.abandon()
        _end(process)
        raise
    progress.end(output) if code == 0 else progress.abandon()
    return code


class Silence:
    """How long nothing has come, and the sentence about it when that is too long."""

    def __init__(self, quiet_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._quiet_s, self._now = quiet_s, now
        self.broken()

    def broken(self) -> None:
        """Take note that something came."""
        self._since = self._now()
        self._next_s = self._quiet_s
        self._looked: dict[str, str] | None = None

    def sentence(self, hosts: Sequence[str]) -> str:
        """Return which host does not answer and what to check, when that is due; else nothing."""
        quiet_s = self._now() - self._since
        if self._looked is None and quiet_s >= max(self._next_s - LOOK_S, self._next_s / 2):
            self._looked = {}
            for host in hosts:
                threading.Thread(target=_look, args=(host, self._looked), daemon=True).start()
        if quiet_s < self._next_s:
            return ""
        found, self._looked, self._next_s = self._looked or {}, None, self._next_s + AGAIN_S
        return silent_sentence(hosts, found, quiet_s)


def silent_sentence(hosts: Sequence[str], found: Mapping[str, str], quiet_s: float) -> str:
    """Return the sentence about hosts that do not answer.

    Parameters
    ----------
    found
        What a look at a host has found, by host; empty text where it answers a connection.
    """
    unreachable = [host for host in hosts if found.get(host, "it cannot be reached")]
    named = unreachable or list(hosts)
    cause = found.get(named[0], "it cannot be reached") or "it takes the connection and sends nothing"
    return (
        f"No answer from {' or '.join(named)} for {quiet_s:.0f} s: {cause}. Still trying. Check the network, the proxy "
        "(HTTPS_PROXY, pip config list), DNS, and with a mirror PIP_INDEX_URL."
    )


def _look(host: str, found: dict[str, str]) -> None:
    """Note whether a host takes a connection; through a proxy only the proxy could tell."""
    if getproxies():
        found[host] = "the proxy brings nothing from it"
        return
    name, _, port = host.partition(":")
    try:
        addresses = socket.getaddrinfo(name, port or 443, type=socket.SOCK_STREAM)
    except OSError:
        found[host] = "its name is not found (DNS)"
        return
    for family, kind, protocol, _, address in addresses:
        with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as tried:
            tried.settimeout(LOOK_S)
            tried.connect(address)
            found[host] = ""
            return


def _read(process: subprocess.Popen[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    if process.stdout is not None:
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
    lines.put(None)


def _next(lines: queue.SimpleQueue[bytes | None]) -> bytes | None:
    """Return the next line; empty when none came for a moment, None at the end."""
    try:
        return lines.get(timeout=_TICK_S)
    except queue.Empty:
        return b""


def _arrived(folder: Path, name: str) -> int:
    """Return how much of a file has arrived in the folder that pip downloads to."""
    if name:
        for path in folder.glob("pip-unpack-*/*"):
            if path.name == name:
                with contextlib.suppress(FileNotFoundError):  # pip has removed it meanwhile
                    return path.stat().st_size
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait until pip has ended: in a terminal it was interrupted too, otherwise it is told."""
    for tell in (None, process.terminate, process.kill):
        if tell is not None:
            tell()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
            return
