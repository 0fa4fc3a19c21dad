"""The journal to PostgreSQL, and back: what the store task writes a second, and how fast ten minutes are opened.

    python testing/benchmarks/storage.py [--samples 8000000] [--profiles 200] [--channels 8] [--out FILE.json]

Starts a private PostgreSQL and NATS, both as durable as in operation, fills the journal with what ingest would put
there (a flush of 100 ms of v2 boards, of 20 ms of v1 devices), lets the real store task copy it, and reads every
sample back. Beside it: what a bare COPY of the same rows reaches, and the time to open 10 minutes of 8 channels at
1 kHz for training and for review. Prints JSON; wall-clock figures of a shared machine vary, CPU seconds less.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pydantic import SecretStr

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing")]

from semg.block_table import ROW, STARTS_RUN, BlockTable  # noqa: E402
from semg.domain import us_from_utc, utc_from_us  # noqa: E402
from semg.ingest.journal.journal_writer import MAX_BATCH_BYTES, JournalWriter  # noqa: E402
from semg.ingest.journal.store_process import StoreProcess  # noqa: E402
from semg.ingest.streams.counters import Counters  # noqa: E402
from semg.platform.database import schema_setup  # noqa: E402
from semg.platform.servers import (
    embedded,  # noqa: E402
    nats,  # noqa: E402
    postgres,  # noqa: E402
)
from semg.privacy.consent import TEST_PERSON  # noqa: E402 - after the path is set
from semg.process import bus  # noqa: E402 - after the path is set
from semg.recordings.session_data import load_session  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.signals.display.decimation import decimate  # noqa: E402
from semg.store import blocks, profiles, sessions  # noqa: E402
from semg.store.block_rows import WRITTEN, encoded_rows  # noqa: E402
from semg.store.pool import Pool, execute, one  # noqa: E402
from semg.wire.blocks import encode_table  # noqa: E402
from semg.wire.messages import journal_subject  # noqa: E402

START_US = us_from_utc(datetime(2026, 3, 2, 8, tzinfo=UTC))
REVIEW_COLUMNS = 1200


@contextmanager
def durable_servers(folder: Path) -> Iterator[tuple[Settings, dict[str, int]]]:
    """Start PostgreSQL with the schema and NATS, as durable as in operation; give settings, and pids by name."""
    with ExitStack() as stack:
        data, port, bus_port = postgres.data_folder(folder), embedded.free_port(), embedded.free_port()
        database = postgres.start(data, port, "semg", secrets.token_urlsafe(16), "sensordb", folder / "postgres.log")
        stack.callback(database.stop)
        password = secrets.token_urlsafe(16)
        nats.write_config(folder / "nats.conf", folder / "jetstream", bus_port, "semg", password, 4 << 30)
        server = nats.start(folder / "nats.conf", bus_port, folder / "nats.log")
        stack.callback(server.stop)
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            postgres_host="127.0.0.1",
            postgres_port=port,
            postgres_user=database.user,
            postgres_password=SecretStr(database.password),
            nats_server=f"nats://127.0.0.1:{bus_port}",
            nats_user="semg",
            nats_password=SecretStr(password),
            journal_max_bytes=3 << 30,
            data_dir=folder / "data",
            log_dir=folder / "logs",
        )
        schema_setup.bring_up_to_date(settings)
        yield settings, {"postgres": database.process.pid, "nats": server.process.pid, "client": os.getpid()}


def flush(
    user_ids: list[int], first: int, n: int, channels: int, rate_hz: float, rng: np.random.Generator
) -> BlockTable:
    """Return samples ``first`` to ``first + n`` of every profile; channel 0 counts them, the others are readings."""
    step_us = round(1e6 / rate_hz)
    device = np.tile((first + np.arange(n, dtype=np.int64)) * step_us, len(user_ids))
    received = np.repeat(START_US + device.reshape(-1, n)[:, -1] + rng.integers(0, 5000, len(user_ids)), n)
    values = rng.integers(0, 4096, (len(device), channels)).astype(np.float32)
    values[:, 0] = np.tile((first + np.arange(n)) % 30_000, len(user_ids))
    rows = np.zeros(len(user_ids), ROW)
    rows["user_id"], rows["segment_id"], rows["clock_offset_us"] = user_ids, START_US, START_US
    rows["device_us"], rows["received_us"] = first * step_us, received[::n]
    rows["n_samples"], rows["n_channels"], rows["flags"] = n, channels, STARTS_RUN * (first == 0)
    return BlockTable(rows, device, received, values.ravel())


async def fill_journal(settings: Settings, tables: Iterator[BlockTable]) -> None:
    """Publish a message per flush, several on their way at a time."""
    client = await bus.connect(settings, "benchmark", forever=False)
    js = await bus.ensure_journal(client, settings)
    waiting = []
    for table in tables:
        waiting.append(asyncio.create_task(js.publish(journal_subject(0), encode_table(table), 20)))
        if len(waiting) == 8:
            await asyncio.gather(*waiting)
            waiting = []
    await asyncio.gather(*waiting)
    await client.close()


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    """Return CPU seconds by name, children included."""
    found = {}
    for name, pid in pids.items():
        process = psutil.Process(pid)
        family = [process] if name == "client" else [process, *process.children()]
        times = [member.cpu_times() for member in family]
        # A backend that ended is in its parent's children_* fields.
        ended = 0.0 if name == "client" else times[0].children_user + times[0].children_system
        found[name] = sum(one_.user + one_.system for one_ in times) + ended
    return found


async def store(settings: Settings, pool: Pool, pids: dict[str, int], expected: int, *, apart: bool) -> dict[str, Any]:
    """Run the store task until all is stored, here or in its own process; give its figures from the first rows on."""
    client = await bus.connect(settings, "benchmark", forever=False)
    counters = Counters()
    task = StoreProcess(settings, [0], counters) if apart else JournalWriter(client, pool, settings, 0, counters)
    late: list[float] = []
    running = asyncio.create_task(task.run())
    while not counters.stored:
        await asyncio.sleep(0.001)
    if isinstance(task, StoreProcess) and task.pid is not None:
        pids = pids | {"client": task.pid}
    at_first, before, started = counters.stored, cpu_seconds(pids), time.perf_counter()
    while counters.stored < expected and not running.done():
        asked = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append(1000 * (time.perf_counter() - asked) - 1)
    elapsed, after = time.perf_counter() - started, cpu_seconds(pids)
    resident = psutil.Process(pids["client"]).memory_info().rss / 2**20
    await task.stop(5)
    await running
    await client.close()
    stored = counters.stored - at_first
    return {
        "samples": counters.stored,
        "samples_per_s": round(stored / elapsed),
        "rows": counters.stored_rows,
        "cpu_s_per_million": {name: round((after[name] - before[name]) / stored * 1e6, 3) for name in pids},
        "other_tasks_late_ms": {"p99": round(float(np.percentile(late, 99)), 1), "max": round(max(late), 1)},
    } | ({"resident_mb": round(resident)} if apart else {})


def compare(pool: Pool, user_ids: list[int], per_profile: int, rate_hz: float) -> dict[str, int]:
    """Read every sample back; count those that are missing, doubled or out of order by the numbers they carry."""
    lost = doubled = disordered = 0
    expected = (np.arange(per_profile) % 30_000).astype(np.float32)
    until = utc_from_us(START_US) + timedelta(seconds=per_profile / rate_hz + 60)
    for user_id in user_ids:
        with pool.transaction() as tx:
            found = blocks.read_blocks(tx, user_id, utc_from_us(START_US), until)
        times = found.device_us
        lost += per_profile - len(np.unique(times))
        doubled += len(times) - len(np.unique(times))
        numbers = found.values.reshape(len(times), -1)[:, 0]
        disordered += int(not np.array_equal(numbers, expected[: len(numbers)]))
    return {"lost": lost, "duplicated": doubled, "profiles_disordered": disordered}


def raw_copy(pool: Pool, tables: Iterator[BlockTable], pids: dict[str, int]) -> dict[str, Any]:
    """Copy batches like the store task's, made beforehand, into a table like ``sample_blocks``, nothing else."""
    bodies, n = [], 0
    for table in tables:
        n += table.n_samples
        bodies.append(encoded_rows(table))
    with pool.transaction() as tx:
        execute(tx, "CREATE TABLE bare (LIKE sample_blocks) WITH (toast_tuple_target = 8160)")
        execute(tx, "CREATE INDEX ON bare (user_id, started_at)")
    before, started = cpu_seconds(pids), time.perf_counter()
    for body in bodies:
        with pool.transaction() as tx, tx.cursor() as cursor:
            cursor.copy_expert(f"COPY bare ({WRITTEN}) FROM STDIN WITH (FORMAT binary)", io.BytesIO(body), 1 << 18)
    elapsed, after = time.perf_counter() - started, cpu_seconds(pids)
    return {
        "samples_per_s": round(n / elapsed),
        "cpu_s_per_million": round((after["postgres"] - before["postgres"]) / n * 1e6, 3),
    }


def joined(tables: Iterator[BlockTable]) -> Iterator[BlockTable]:
    """Yield tables in batches as large as the store task's."""
    waiting: list[BlockTable] = []
    for table in tables:
        if waiting and sum(t.n_bytes for t in waiting) + table.n_bytes > MAX_BATCH_BYTES:
            yield BlockTable.joined(waiting).merged()
            waiting = []
        waiting.append(table)
    if waiting:
        yield BlockTable.joined(waiting).merged()


def disk_bytes(pool: Pool) -> int:
    """Return what the samples' partitions take, with indexes and TOAST."""
    with pool.transaction() as tx:
        found = one(tx, "SELECT sum(pg_total_relation_size(relid)) AS n FROM pg_partition_tree('sample_blocks')")
    assert found is not None
    return int(found.n)


def opening(pool: Pool, *, whole_numbers: bool) -> dict[str, float]:
    """Return the time to open 10 minutes of 8 channels at 1 kHz that were stored in rows of half a second."""
    channels, rate_hz, seconds = tuple(f"a{index}" for index in range(8)), 1000.0, 600
    name = f"ten minutes, {'whole numbers' if whole_numbers else 'fractions'}"
    rng = np.random.default_rng(1)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, name, channels=channels, rate_hz=rate_hz, consent=TEST_PERSON)
        for second in range(0, seconds, 10):
            tables = [flush([user_id], 1000 * second + 500 * part, 500, 8, rate_hz, rng) for part in range(20)]
            values = [t.values if whole_numbers else (t.values * np.float32(0.37)) for t in tables]
            blocks.copy_blocks(tx, BlockTable.joined([
                BlockTable(t.rows, t.device_us, t.received_us, v) for t, v in zip(tables, values, strict=True)
            ]))  # fmt: skip
        since, until = utc_from_us(START_US), utc_from_us(START_US) + timedelta(seconds=seconds)
        number = sessions.insert_session(
            tx,
            user_id,
            "s",
            "capture",
            since,
            until,
            status="completed",
            device=profiles.get_profile(tx, user_id).device,
        )
        session = sessions.get_session(tx, number)
    n_samples = seconds * 1000

    def train() -> None:
        with pool.transaction() as tx:
            assert len(load_session(tx, session).samples) == n_samples

    def review() -> None:
        with pool.transaction() as tx:
            found = blocks.list_blocks(tx, user_id, since, until)
        decimate(found, rate_hz, us_from_utc(since), us_from_utc(until), REVIEW_COLUMNS)

    def view() -> None:
        with pool.transaction() as tx:
            execute(tx, "SELECT sum(a0), sum(a7), max(server_at) FROM (SELECT * FROM user_sensor WHERE userid = %s "
                        "LIMIT 30000) few", (user_id,))  # fmt: skip

    return {
        "training_s": median_s(train),
        "review_s": median_s(review),
        "sql_view_us_per_sample": round(median_s(view, 3) / 30_000 * 1e6, 1),
    }


def median_s(call: Callable[[], None], times: int = 7) -> float:
    """Return the median time of a call."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken), 4)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark and give its figures."""
    results: dict[str, Any] = {"profiles": options.profiles, "channels": options.channels}
    shapes = {"v2": (options.samples, 100, 1000.0), "v1": (options.samples // 4, 6, 300.0)}
    for kind, (samples, per_flush, rate_hz) in shapes.items():
        with tempfile.TemporaryDirectory(prefix="semg-storage-") as name:
            folder = Path(name)
            folder.chmod(0o755)
            with durable_servers(folder) as (settings, pids):
                pool = Pool(settings, size=2, name="benchmark")
                names = [f"a{index}" for index in range(options.channels)]
                with pool.transaction() as tx:
                    user_ids = [
                        profiles.insert_profile(tx, f"P{index}", channels=names, rate_hz=rate_hz, consent=TEST_PERSON)
                        for index in range(options.profiles)
                    ]
                n_flushes = max(1, samples // (options.profiles * per_flush))

                def flushes(n: int, per: int = per_flush, rate: float = rate_hz, ids: list[int] = user_ids) -> Iterator:
                    rng = np.random.default_rng(0)
                    return (flush(ids, at * per, per, options.channels, rate, rng) for at in range(n))

                asyncio.run(fill_journal(settings, flushes(n_flushes)))
                empty = disk_bytes(pool)
                per_profile = n_flushes * per_flush
                expected = per_profile * options.profiles
                beside = asyncio.run(store(settings, pool, pids, expected, apart=False))
                with pool.transaction() as tx:
                    execute(tx, "TRUNCATE sample_blocks, journal_progress")
                stored = asyncio.run(store(settings, pool, pids, expected, apart=True))
                stored["in_the_receivers_process"] = beside
                stored["bytes_on_disk_per_sample"] = round((disk_bytes(pool) - empty) / stored["samples"], 1)
                stored |= compare(pool, user_ids, per_profile, rate_hz)
                stored["raw_copy"] = raw_copy(
                    pool, joined(flushes(min(n_flushes, 4_000_000 // (options.profiles * per_flush)))), pids
                )
                stored["ratio_to_raw_copy"] = round(stored["samples_per_s"] / stored["raw_copy"]["samples_per_s"], 2)
                results[kind] = stored
                if kind == "v2":
                    results["ten_minutes_of_integers"] = opening(pool, whole_numbers=True)
                    results["ten_minutes_of_fractions"] = opening(pool, whole_numbers=False)
                pool.close()
    return results


def main() -> int:
    """Run what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8_000_000, help="of boards (v2); a quarter of it as text (v1)")
    parser.add_argument("--profiles", type=int, default=200)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(run(options), indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
