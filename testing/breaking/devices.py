"""Devices that start anew, wrap, repeat, reorder and lose: what of it must be stored, and what was."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from breaking import evidence
from breaking.system import System, wait_for
from semg.privacy.consent import TEST_PERSON
from semg.store import profiles
from semg.store.pool import Pool
from semg.wire.udp import encode_v1

WRAP = 1 << 32
PERIOD_MS = 5
SWAPPED, LOST, TWICE = 0.02, 0.01, 0.02
BURST = 8
PAUSE_S = BURST * PERIOD_MS / 1000 / 4
"""Four times as fast as the device's rate: within what a profile may send."""


@dataclass(frozen=True)
class Unruly:
    """What a device sends, and which (device time, number) must be stored: each that left it, once."""

    datagrams: list[bytes]
    expected: set[tuple[int, int]]
    repeated: int


def make(user_id: int, n: int, kind: str, rng: np.random.Generator) -> Unruly:
    """Return a device's datagrams: ``reboot`` begins at 0 again half way, ``wrap`` passes the end of 32 bits."""
    ticks = np.arange(n, dtype=np.int64) * PERIOD_MS
    if kind == "wrap":
        times = (WRAP - (n // 2) * PERIOD_MS + ticks) % WRAP
    elif kind == "reboot":
        times = np.where(np.arange(n) < n // 2, 1_000_000 + ticks, 700 + ticks - (n // 2) * PERIOD_MS)
    else:
        times = 1_000_000 + ticks
    order = np.arange(n)
    if kind not in ("reboot", "wrap"):
        for place in np.flatnonzero(rng.random(n - 1) < SWAPPED).tolist():
            order[[place, place + 1]] = order[[place + 1, place]]
    datagrams, expected, repeated = [], set(), 0
    for place in order.tolist():
        number = place + 1
        if rng.random() < LOST:
            continue
        datagram = encode_v1(user_id, int(times[place]), [number, *(number % 1000 + c for c in range(7))])
        again = rng.random() < TWICE
        datagrams += [datagram, datagram] if again else [datagram]
        repeated += again
        expected.add((int(times[place]) * 1000, number))
    return Unruly(datagrams, expected, repeated)


def run(system: System, n: int) -> dict[str, Any]:
    """Send of three devices at once, and compare what is stored."""
    rng, pool = np.random.default_rng(5), Pool(system.settings, name="evidence")
    kinds = ("swaps", "reboot", "wrap")
    channels = [f"a{number}" for number in range(8)]
    with pool.transaction() as tx:
        user_ids = [
            profiles.insert_profile(tx, kind, channels=channels, rate_hz=200.0, consent=TEST_PERSON, allow_v1=True)
            for kind in kinds
        ]
    made = {user_id: make(user_id, n, kind, rng) for user_id, kind in zip(user_ids, kinds, strict=True)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.connect(("127.0.0.1", system.settings.udp_port))
        _wait_until_known(pool, user_ids, sending.send)
        for at in range(0, max(len(one.datagrams) for one in made.values()), BURST):
            for one in made.values():
                for datagram in one.datagrams[at : at + BURST]:
                    sending.send(datagram)
            time.sleep(PAUSE_S)
    time.sleep(0.5)
    wait_for(lambda: asyncio.run(evidence.journal_is_stored(system.settings, pool)), "the journal is stored")
    sent = sum(len(one.datagrams) for one in made.values())
    report = {"sent": sent, "not_stored": 0, "stored_twice": 0, "strange": 0}
    for user_id, one in made.items():
        table = evidence.stored_of(pool, user_id)
        numbers = table.values.reshape(table.n_samples, -1)[:, 0].astype(int)
        kept = [pair for pair in zip(table.device_us.tolist(), numbers.tolist(), strict=True) if pair[1] != GREETING]
        report["not_stored"] += len(one.expected - set(kept))
        report["stored_twice"] += len(kept) - len(set(kept))
        report["strange"] += len(set(kept) - one.expected)
    pool.close()
    return report | {"repeated": sum(one.repeated for one in made.values())}


GREETING = 0
"""Number of the samples that are sent until udpserver knows the profiles; the devices count from 1."""


def _wait_until_known(pool: Pool, user_ids: list[int], send: Callable[[bytes], Any]) -> None:
    """Send single samples, at times long before the others, until each profile has one stored."""
    tick = iter(range(1, 10_000))

    def known() -> bool:
        at_ms = next(tick) * 20
        for user_id in user_ids:
            send(encode_v1(user_id, at_ms, [GREETING, 0, 0, 0, 0, 0, 0, 0]))
        return all(len(evidence.stored_of(pool, user_id)) for user_id in user_ids)

    wait_for(known, "the profiles are known")
