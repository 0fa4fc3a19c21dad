"""Foreign origins, all at once: the app asks nobody about them, and goes on answering."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import psutil

from testing.attacks.findings import Finding, NotTried, judged
from testing.attacks.target import Target

TITLE = "requests of the app to the internet"
SOCKETS = 5
AT_ONCE_S = 1.0
"""More than what an answer usually takes on this machine at this time."""
HEALTH = "/_stcore/health"


def attack(target: Target) -> Iterator[Finding]:
    """Open sockets of a foreign origin, ask the app meanwhile, and look at what connections it makes."""
    refused: list[tuple[str, float]] = []

    def knock() -> None:
        begun = time.monotonic()
        try:
            told = target.knock(origin="http://evil.example")
        except NotTried as exc:
            told = str(exc)
        refused.append((told, time.monotonic() - begun))

    sockets = [threading.Thread(target=knock) for _ in range(SOCKETS)]
    waits: list[float] = []
    away: set[str] = set()
    process = None if target.inside is None else process_at(target.inside.settings.streamlit_port)
    with target.client() as client:
        usual_s = max(_wait_s(client) for _ in range(10))
        for one in sockets:
            one.start()
        while any(one.is_alive() for one in sockets) or len(waits) < 10:
            waits.append(_wait_s(client))
            away |= set() if process is None else foreign_connections(process)
            time.sleep(0.02)
    hows, slowest = {how for how, _ in refused}, max(seconds for _, seconds in refused)
    asked = f"{SOCKETS} WebSockets at once, Origin http://evil.example"
    yield judged(
        "open" not in hows and slowest < 3 * AT_ONCE_S + usual_s,
        asked,
        f"{'/'.join(sorted(hows))} after {slowest:.2f} s",
    )
    yield judged(max(waits) < AT_ONCE_S + usual_s, f"GET {HEALTH} meanwhile", f"answered within {max(waits):.2f} s")
    if process is not None:
        yield judged(not away, "connections that the app made meanwhile", ", ".join(sorted(away)) or "on loopback only")


def _wait_s(client: httpx.Client) -> float:
    """Return how long an answer takes."""
    begun = time.monotonic()
    client.get(HEALTH)
    return time.monotonic() - begun


def process_at(port: int) -> psutil.Process:
    """Return the process, one of this program's children, that listens on a port.

    Raises
    ------
    LookupError
        There is none.
    """
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found = process.net_connections("tcp")
            if port in [one.laddr.port for one in found if one.status == psutil.CONN_LISTEN]:
                return process
    raise LookupError(f"nobody listens on {port}")


def foreign_connections(process: psutil.Process) -> set[str]:
    """Return the addresses beyond loopback that a process talks to."""
    found = {str(one.raddr.ip) for one in process.net_connections("inet") if one.raddr}
    return {address for address in found if not address.startswith(("127.", "::1", "::ffff:127."))}
