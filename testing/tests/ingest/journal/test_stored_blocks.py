"""Blocks written and read back: every bit, every time range."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semg.block_table import BlockTable
from semg.domain import Block, Session, utc_from_us
from semg.errors import NotFoundError, StoreError
from semg.store import blocks as store
from semg.store.block_rows import decoded_rows, encoded_rows
from semg.store.pool import Pool, execute, one, rows
from testing.kits.store_queries import count_samples
from testing.tests.conftest import Servers, admin_execute

pytestmark = pytest.mark.servers

T0 = datetime(2026, 5, 4, 23, 59, 58, tzinfo=UTC)
T0_US = round(T0.timestamp() * 1e6)
CREATED = datetime(2026, 5, 1, tzinfo=UTC)


def stream(n_blocks: int = 40, n: int = 20, user_id: int = 21) -> list[Block]:
    """Blocks at 200 Hz from T0 on, over midnight."""
    rng = np.random.default_rng(user_id)
    made = []
    for number in range(n_blocks):
        device = (number * n + np.arange(n, dtype=np.int64)) * 5000
        samples = rng.normal(0, 1e3, (n, 3)).astype(np.float32)
        made.append(Block(user_id, T0_US, number == 0, False, T0_US, device, device + T0_US + 1234, samples))
    return made


def write(pool: Pool, blocks: list[Block], session_id: int | None = None) -> int:
    with pool.transaction() as tx:
        return store.copy_blocks(tx, blocks, session_id)


def read(pool: Pool, since: datetime, until: datetime, user_id: int = 21) -> list[Block]:
    with pool.transaction() as tx:
        return store.list_blocks(tx, user_id, since, until)


def same(found: Block, expected: Block) -> bool:
    scalars = ("user_id", "segment_id", "starts_run", "late", "clock_offset_us")
    arrays = ("device_us", "received_us", "samples")
    return all(getattr(found, name) == getattr(expected, name) for name in scalars) and all(
        np.array_equal(getattr(found, name), getattr(expected, name), equal_nan=True)
        and getattr(found, name).dtype == getattr(expected, name).dtype
        for name in arrays
    )


def test_what_is_read_equals_what_was_written(pool: Pool) -> None:
    written = stream()
    assert write(pool, written) == len(written)
    found = read(pool, T0, T0 + timedelta(hours=1))
    assert len(found) == len(written)
    assert all(same(*pair) for pair in zip(found, written, strict=True))
    with pool.transaction() as tx:
        assert count_samples(tx, 21) == 800
        assert store.last_sample_at(tx, 21) == T0 + timedelta(milliseconds=799 * 5)
        assert store.last_sample_at(tx, 22) is None


def test_float32_values_come_back_bit_for_bit(pool: Pool) -> None:
    bits = np.random.default_rng(3).integers(0, 1 << 32, 400, dtype=np.uint32).view(np.float32)
    extremes = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38, 1 / 3], np.float32)
    values = np.concatenate([extremes, bits])[:, None]
    device = np.arange(len(values), dtype=np.int64) * 1000
    write(pool, [Block(21, 1, True, False, T0_US, device, device, values)])
    (found,) = read(pool, T0, T0 + timedelta(hours=1))
    assert found.samples.tobytes() == values.tobytes()


def test_rows_of_two_days_lie_in_the_partitions_of_these_days(pool: Pool) -> None:
    write(pool, stream())
    with pool.transaction() as tx:
        used = {row.name for row in rows(tx, "SELECT DISTINCT tableoid::regclass::text AS name FROM sample_blocks")}
    assert used == {"sample_blocks_20260504", "sample_blocks_20260505"}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-100, 4200), st.integers(-100, 4200))
def test_a_time_range_gives_exactly_its_samples(pool: Pool, since_ms: int, until_ms: int) -> None:
    with pool.transaction() as tx:
        if one(tx, "SELECT 1 AS n FROM sample_blocks LIMIT 1") is None:
            store.copy_blocks(tx, stream())
    since, until = T0 + timedelta(milliseconds=since_ms), T0 + timedelta(milliseconds=until_ms)
    found = read(pool, since, until)
    times = [int(us) // 1000 for block in found for us in block.device_us]
    assert times == [ms for ms in range(0, 4000, 5) if since_ms <= ms < until_ms]
    assert all(not block.starts_run or block.device_us[0] == 0 for block in found)


def test_long_and_disordered_blocks_become_rows_of_at_most_a_second(pool: Pool) -> None:
    device = np.concatenate([np.arange(0, 5000, 5), np.arange(100, 200, 5)]).astype(np.int64) * 1000
    samples = np.arange(device.size, dtype=np.float32)[:, None]
    assert write(pool, [Block(21, 1, True, False, T0_US, device, device, samples)]) == 6
    found = read(pool, T0, T0 + timedelta(hours=1))
    assert sorted(int(value) for block in found for value in block.samples[:, 0]) == list(range(device.size))
    assert [block.starts_run for block in found] == [True] + [False] * 5
    (row,) = read(pool, T0 + timedelta(milliseconds=4500), T0 + timedelta(milliseconds=4505))
    assert row.samples[:, 0].tolist() == [900.0]


def test_profiles_and_imported_sessions_are_kept_apart(pool: Pool) -> None:
    write(pool, stream(user_id=21))
    write(pool, stream(user_id=22))
    write(pool, stream(n_blocks=3), session_id=7)
    assert sum(block.n_samples for block in read(pool, T0, T0 + timedelta(hours=1))) == 800
    assert {block.user_id for block in read(pool, T0, T0 + timedelta(hours=1), 22)} == {22}
    with pool.transaction() as tx:
        assert [count_samples(tx, user_id) for user_id in (21, 22)] == [860, 800]


def test_rows_that_sql_wrote_are_read_as_well(pool: Pool) -> None:
    with pool.transaction() as tx:
        execute(
            tx,
            "INSERT INTO sample_blocks (user_id, started_at, segment_id, starts_run, late, clock_offset_us, device_us, "
            "received_us, span_us, n_samples, n_channels, steps, samples) VALUES (21, %s, 1, true, false, %s, 0, 1, "
            "5000, 2, 2, int4send(0) || int4send(5000) || int4send(0) || int4send(1), "
            "float4send(1) || float4send(2) || float4send(3) || float4send(4.5))",
            (T0, T0_US),
        )
    (found,) = read(pool, T0, T0 + timedelta(seconds=1))
    assert found.samples.tolist() == [[1.0, 2.0], [3.0, 4.5]]
    assert (found.device_us.tolist(), found.received_us.tolist()) == ([0, 5000], [1, 2])


def test_row_whose_columns_do_not_fit_is_refused(pool: Pool, servers: Servers) -> None:
    write(pool, stream(1))
    with pytest.raises(StoreError, match="sample_blocks_sizes"), pool.transaction() as tx:
        execute(tx, "UPDATE sample_blocks SET samples = samples || '\\x00'")
    drop = "ALTER TABLE sample_blocks DROP CONSTRAINT sample_blocks_sizes"
    admin_execute(servers.postgres, drop, servers.settings.postgres_db)
    with pool.transaction() as tx:
        execute(tx, "UPDATE sample_blocks SET samples = samples || '\\x00'")
    with pytest.raises(StoreError, match="20 samples of 3 channels do not have 80 bytes of times and 241 of values"):
        read(pool, T0, T0 + timedelta(hours=1))


def odd_blocks() -> list[Block]:
    """One block a way in which a row can be written, mixed: widths of times and of values, numbers of channels."""
    rng = np.random.default_rng(5)
    arrivals = {
        "steps": np.array([0, 0, 65_535, 65_535]),
        "jump": np.array([0, 0, 65_536, 65_536]),
        "back": np.array([10, 0, 5, 5]),
        "hour": np.array([0, 1, 3_600_000_000, -3_600_000_000]),
    }
    values = {
        "integers": lambda n: rng.integers(-32768, 32768, (4, n)),
        "limit": lambda n: np.full((4, n), 32768.0),
        "fractions": lambda n: rng.normal(0, 1, (4, n)),
        "minus zero": lambda n: np.full((4, n), -0.0),
    }
    made = []
    for number, (channels, arrival, value) in enumerate(product((1, 8, 16), arrivals, values)):
        device = number * 1_000_000 + np.array([0, 1000, 1000, 999_999 if number % 2 else 2000], np.int64)
        samples = values[value](channels).astype(np.float32)
        received = T0_US + arrivals[arrival].astype(np.int64)
        made.append(Block(21, T0_US, number == 0, False, T0_US, device, received, samples))
    return made


def test_every_way_to_write_a_row_keeps_every_bit(pool: Pool) -> None:
    written = odd_blocks()
    write(pool, written)
    found = read(pool, T0, T0 + timedelta(hours=1))
    assert all(same(*pair) for pair in zip(found, written, strict=True))
    assert all(f.samples.tobytes() == w.samples.tobytes() for f, w in zip(found, written, strict=True))
    with pool.transaction() as tx:
        sizes = rows(tx, "SELECT DISTINCT octet_length(steps) / 8 AS t, octet_length(samples) / n_channels / 4 AS v "
                         "FROM sample_blocks ORDER BY t, v")  # fmt: skip
    assert [(row.t, row.v) for row in sizes] == [(2, 2), (2, 4), (4, 2), (4, 4), (8, 2), (8, 4)]


def test_view_shows_every_sample_with_its_bits(pool: Pool) -> None:
    special = np.array([[np.inf, -np.inf, 1e-45, 3.4028235e38, 1 / 3, -0.0, 1.1754944e-38, -7.5]], np.float32)
    extra = Block(22, T0_US, True, False, T0_US, np.array([0]), np.array([T0_US]), special)
    written = odd_blocks()
    write(pool, [*written, extra])
    names = ", ".join(f"float4send(a{number}) AS a{number}" for number in range(16))
    with pool.transaction() as tx:
        shown = rows(tx, f"SELECT userid, server_at, device_ms, received_at, {names} FROM user_sensor "  # noqa: S608
                         "ORDER BY userid, device_ms, received_at")  # fmt: skip
    expected = []
    for block in [*written, extra]:
        for us, arrived, values in zip(block.device_us, block.received_us, block.samples, strict=True):
            packed = values.astype(">f4").tobytes()
            cells = [packed[k : k + 4] for k in range(0, len(packed), 4)] + [None] * (16 - len(values))
            expected.append((block.user_id, utc_from_us(int(us) + T0_US), int(us), utc_from_us(int(arrived)), *cells))
    found = [
        (row[0], row[1], int(row[2] * 1000), row[3], *(None if cell is None else bytes(cell) for cell in row[4:]))
        for row in shown
    ]
    order = lambda row: (*row[:4], str(row[4:]))  # noqa: E731
    assert sorted(found, key=order) == sorted(expected, key=order)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 5), st.booleans(), st.integers(0, 200_000)), max_size=12))
@settings(max_examples=60)
def test_packing_and_unpacking_give_the_same(shapes: list[tuple[int, int, bool, int]]) -> None:
    rng = np.random.default_rng(len(shapes))
    made = []
    for number, (n, channels, whole, jump) in enumerate(shapes):
        device = 1_000_000_000 * number + np.cumsum(rng.integers(0, 30_000, n))
        received = T0_US + np.cumsum(rng.integers(0, jump + 1, n))
        samples = (rng.integers(-9, 9, (n, channels)) if whole else rng.normal(0, 1, (n, channels))).astype(np.float32)
        made.append(Block(number, 1, bool(number % 2), bool(number % 3), 7, device, received, samples))
    body = encoded_rows(BlockTable.from_blocks(made))
    # As the server gives rows back: without session_id, started_at and span_us.
    assert all(same(*pair) for pair in zip(decoded_rows(_as_read(body)).blocks(), made, strict=True))


def _as_read(body: bytes) -> bytes:
    at, read_ = 19, [body[:19]]
    while body[at : at + 2] != b"\xff\xff":
        fields = []
        at += 2
        for _ in range(14):
            (size,) = struct.unpack_from(">i", body, at)
            fields.append(body[at : at + 4 + max(0, size)])
            at += 4 + max(0, size)
        kept = [field for place, field in enumerate(fields) if place not in (1, 2, 9)]
        read_ += [struct.pack(">h", len(kept)), *kept]
    return b"".join([*read_, b"\xff\xff"])


def test_nothing_to_write_and_nothing_to_read(pool: Pool) -> None:
    assert write(pool, []) == 0
    assert read(pool, T0, T0 + timedelta(hours=1)) == []


def test_late_blocks_are_read_with_their_flag(pool: Pool) -> None:
    first, second = stream(2)
    write(pool, [first, second, replace(first, starts_run=False, late=True)])
    found = read(pool, T0, T0 + timedelta(hours=1))
    assert [block.late for block in found].count(True) == 1
    with pool.transaction() as tx:
        assert store.last_sample_at(tx, 21) == utc_from_us(int(second.server_us[-1]))


def test_progress_belongs_to_one_stream(pool: Pool) -> None:
    with pool.transaction() as tx:
        assert store.lock_progress(tx, "S", 0, CREATED) == 0
        store.save_progress(tx, "S", 0, CREATED, 41)
        assert store.lock_progress(tx, "S", 0, CREATED) == 41
        assert store.read_progress(tx, "S", 1, CREATED) == 0
    newer = CREATED + timedelta(days=1)
    with pool.transaction() as tx:
        assert store.lock_progress(tx, "S", 0, newer) == 0
        store.save_progress(tx, "S", 0, newer, 5)
    with pool.transaction() as tx:
        assert store.read_progress(tx, "S", 0, newer) == 5
        with pytest.raises(NotFoundError, match="replaced"):
            store.lock_progress(tx, "S", 0, CREATED)


def test_progress_is_not_saved_when_the_samples_are_not(pool: Pool) -> None:
    with pytest.raises(RuntimeError), pool.transaction() as tx:
        store.lock_progress(tx, "S", 0, CREATED)
        store.copy_blocks(tx, stream(2))
        store.save_progress(tx, "S", 0, CREATED, 9)
        raise RuntimeError("killed before the commit")
    with pool.transaction() as tx:
        assert store.read_progress(tx, "S", 0, CREATED) == 0
        assert count_samples(tx, 21) == 0


def test_session_has_the_samples_of_its_time_or_its_import(pool: Pool) -> None:
    write(pool, stream())
    write(pool, stream(n_blocks=3), session_id=7)
    captured = Session(
        session_id=5,
        user_id=21,
        name="s",
        origin="capture",
        status="completed",
        started_at=T0 + timedelta(seconds=1),
        ended_at=T0 + timedelta(seconds=2),
        channels=("a0", "a1", "a2"),
        rate_hz=200.0,
        sensor="raw",
        mains_hz=50.0,
    )
    with pool.transaction() as tx:
        found = store.read_session_blocks(tx, captured).blocks()
        imported = store.read_session_blocks(tx, replace(captured, session_id=7, origin="import")).blocks()
        going_on = store.read_session_blocks(tx, replace(captured, status="recording", ended_at=None)).blocks()
    assert [int(us) // 1000 for block in found for us in block.device_us] == list(range(1000, 2000, 5))
    assert sum(block.n_samples for block in imported) == 60
    assert sum(block.n_samples for block in going_on) == 600


def test_segments_that_overlap_in_time_are_not_interleaved(pool: Pool) -> None:
    """A board that starts anew while its clock was still being fitted."""
    first = stream(3)
    second = [replace(block, segment_id=T0_US + 1, clock_offset_us=T0_US + 50_000) for block in stream(3)]
    write(pool, [block for pair in zip(first, second, strict=True) for block in pair])
    found = read(pool, T0, T0 + timedelta(hours=1))
    assert [block.starts_run for block in found] == [True, False, False] * 2
    assert [block.segment_id for block in found] == [T0_US] * 3 + [T0_US + 1] * 3
