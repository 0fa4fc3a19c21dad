"""How long a recorded session takes to arrive by the REST API, in each format, and what the API's memory grows by.

    python testing/benchmarks/samples.py [--minutes 10] [--runs 5] [--out FILE.json]

Starts a private system (own servers, api), stores a session of 8 channels at 1 kHz, of 16-bit values as boards send
them, and reads it whole over loopback: seconds are from the request to the last byte. Then once more, while a second
client asks every few milliseconds whether the API runs: how long that answer takes, which is how long a live window
would wait. Memory is the API's resident set after each format's first minute, and after all.
Prints JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyarrow as pa

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing")]

from running_system import running, throwaway_servers  # noqa: E402 - after the path is set

from semg.domain import Block, us_from_utc  # noqa: E402
from semg.privacy.consent import TEST_PERSON  # noqa: E402
from semg.store import blocks, gestures, profiles, sessions  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from semg.store.services import list_services  # noqa: E402

CHANNELS = tuple(f"a{index}" for index in range(8))
RATE_HZ = 1000.0
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
FORMATS = ("arrow", "parquet", "csv", "json")


def make_session(pool: Pool, minutes: float) -> int:
    """Store a session with a repetition every three seconds, and return its number."""
    n, start_us = round(minutes * 60 * RATE_HZ), us_from_utc(START)
    device_us = (np.arange(n) * 1000).astype(np.int64)
    random = np.random.default_rng(0)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "target", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON)
        for first in range(0, n, 60_000):
            made = []
            for at in range(first, min(n, first + 60_000), 1000):
                times = device_us[at : at + 1000]
                values = random.integers(-3000, 3000, (len(times), len(CHANNELS))).astype(np.float32)
                made.append(Block(user_id, start_us, at == 0, False, start_us, times, times + start_us, values))
            blocks.copy_blocks(tx, made)
        device, end = profiles.get_profile(tx, user_id).device, START + timedelta(minutes=minutes)
        session_id = sessions.insert_session(tx, user_id, "S", "capture", START, end, status="completed", device=device)
        ids = gestures.ensure_gestures(tx, user_id, ["rest", "fist", "spread"])
        for index in range(round(minutes * 20)):
            begin = START + timedelta(seconds=3 * index)
            gesture = ("rest", "fist", "spread")[index % 3]
            sessions.insert_repetition(tx, session_id, ids[gesture], index, begin, begin + timedelta(seconds=3))
    return session_id


def read(client: httpx.Client, path: str, **asked: Any) -> tuple[float, int, bytes]:
    """Return how long an answer took, its size, and its bytes."""
    begun = time.perf_counter()
    chunks = []
    with client.stream("GET", path, params=asked) as answer:
        answer.raise_for_status()
        chunks = list(answer.iter_raw())
    took_s = time.perf_counter() - begun
    content = b"".join(chunks)
    return took_s, len(content), content


class Pings:
    """Asks ``/healthz`` again and again meanwhile, and keeps how long the answers took."""

    def __init__(self, url: str) -> None:
        self._url, self._ends = url, threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.took_s: list[float] = []

    def __enter__(self) -> Pings:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._ends.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._ends.wait(0.003):
                begun = time.perf_counter()
                client.get("/healthz")
                self.took_s.append(time.perf_counter() - begun)

    def p99_ms(self) -> float:
        """Return the 99th percentile in milliseconds."""
        return round(1000 * float(np.quantile(self.took_s, 0.99)), 1)


def measure(client: httpx.Client, path: str, runs: int, n: int) -> dict[str, Any]:
    """Return the medians of each format."""
    with Pings(str(client.base_url)) as pings:
        time.sleep(2.0)
    found: dict[str, Any] = {"healthz_p99_ms without": pings.p99_ms()}
    for form in FORMATS:
        took = []
        for _ in range(runs):
            seconds, size, content = read(client, path, format=form)
            took.append(seconds)
        with Pings(str(client.base_url)) as pings:
            for _ in range(runs):
                read(client, path, format=form)
        found[form] = {
            "s": round(statistics.median(took), 3),
            "best_s": round(min(took), 3),
            "mb": round(size / 1e6, 1),
            "healthz_p99_ms": pings.p99_ms(),
        }
        if form == "arrow":
            begun = time.perf_counter()
            table = pa.ipc.open_stream(io.BytesIO(content)).read_all()
            found[form]["parse_s"] = round(time.perf_counter() - begun, 3)
            assert table.num_rows == n, (table.num_rows, n)
        del content
    first, _, _ = read(client, path, format="arrow", max_points=2000)
    again, size, _ = read(client, path, format="arrow", max_points=2000)
    found["decimated to 2,000 points"] = {"first_s": round(first, 3), "s": round(again, 3), "mb": round(size / 1e6, 3)}
    return found


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, throwaway_servers(Path(name)) as settings:
        folder = Path(name)
        pool = Pool(settings, name="benchmark")
        session_id = make_session(pool, given.minutes)
        path = f"/v1/sessions/{session_id}/samples"
        headers = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
        with (
            running(settings, folder, ("api",)),
            httpx.Client(base_url=settings.internal_api_url, headers=headers, timeout=600, trust_env=False) as client,
        ):
            with pool.transaction() as tx:
                (api,) = (one for one in list_services(tx) if one.service == "api")
            process = psutil.Process(api.pid)
            minute = (START + timedelta(minutes=1)).isoformat()
            for form in FORMATS:
                read(client, path, format=form, until=minute)
            before = process.memory_info().rss
            found = measure(client, path, given.runs, round(given.minutes * 60 * RATE_HZ))
            found["memory_mb"] = {
                "after a minute": round(before / 1e6), "after the whole": round(process.memory_info().rss / 1e6)
            }  # fmt: skip
        pool.close()
    found |= {"minutes": given.minutes, "load": round(os.getloadavg()[0], 1)}
    text = json.dumps(found, indent=1)
    if given.out:
        given.out.write_text(text + "\n")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
