"""Boards the whole way with the real bus and the real database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from semg.domain import HighWaterMark
from semg.ingest import registry
from semg.ingest.pipeline import Pipeline
from semg.ingest.streams.counters import Counters
from semg.privacy.consent import TEST_PERSON
from semg.security.board_keys import decrypt_key, encrypt_key, make_board, make_key
from semg.settings import Settings
from semg.store import boards, consents
from semg.store.pool import Pool
from semg.wire.udp2 import DatagramV2, encode_v2
from testing.kits.board_kit import SimulatedBoard
from testing.kits.ingest_kit import Sender, make_profile, running, stored_blocks, stored_count, stored_numbers, until
from testing.tests.conftest import admin_execute

pytestmark = pytest.mark.servers

CHANNELS, SAMPLES = 8, 50


@pytest.fixture
def elsewhere(servers) -> Iterator[Sender]:
    """A sender at another address."""
    made = Sender(servers.settings)
    yield made
    made.close()


def assigned_board(pool: Pool, settings: Settings, user_id: int, **board) -> SimulatedBoard:
    with pool.transaction() as tx:
        board_id, key = make_board(tx, settings.secret_key.get_secret_value(), "board")
        boards.assign_board(tx, board_id, user_id)
    return SimulatedBoard(board_id, key, channels=CHANNELS, **board)


def last_boot(pool: Pool, board_id: int) -> int:
    with pool.transaction() as tx:
        return boards.get_board(tx, board_id).last.boot_id


async def test_blocks_at_speed_are_stored_exactly_once_by_value(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool, n_channels=CHANNELS, rate_hz=1000.0)
    board = assigned_board(ingest_pool, servers.settings, user_id)
    rng, n = np.random.default_rng(5), 300  # with the doubled third, what a 1 kHz board may send at once
    samples = rng.integers(-32_768, 32_767, (n * SAMPLES, CHANNELS), dtype=np.int16, endpoint=True)
    async with running(servers.settings, ingest_pool) as server:
        for turn in range(n):
            datagram = DatagramV2(
                board.board_id, 5, turn, 1_000_000 + turn * SAMPLES * 1000, 1_000_000,
                samples[turn * SAMPLES : (turn + 1) * SAMPLES],
            )  # fmt: skip
            sender.raw(encode_v2(datagram, board.key))
            if turn % 3 == 0:
                sender.raw(encode_v2(datagram, board.key))
            await asyncio.sleep(0.002)
        await until(lambda: server.counters.stored == n * SAMPLES, "all stored")
        assert server.counters.dropped == {"duplicate": len(range(0, n, 3))}
        assert (server.counters.missing, server.counters.late, server.counters.runs) == (0, 0, 1)
    blocks = stored_blocks(ingest_pool, user_id)
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), samples.astype(np.float32))
    device_us = np.concatenate([block.device_us for block in blocks])
    assert device_us.tolist() == [1_000_000 + i * 1000 for i in range(n * SAMPLES)]
    assert [block.starts_run for block in blocks] == [True] + [False] * (len(blocks) - 1)


async def test_refused_datagrams_leave_nothing_in_the_database(
    servers, ingest_pool: Pool, sender: Sender, elsewhere: Sender
) -> None:
    user_id = make_profile(ingest_pool, n_channels=CHANNELS)
    board = assigned_board(ingest_pool, servers.settings, user_id)
    with ingest_pool.transaction() as tx:
        idle_id, idle_key = make_board(tx, servers.settings.secret_key.get_secret_value(), "idle")
        revoked_id, revoked_key = make_board(tx, servers.settings.secret_key.get_secret_value(), "revoked")
        boards.revoke_key(tx, revoked_id)
        boards.remember_marks(tx, {board.board_id: HighWaterMark(5, -1)})
        foreign_id = boards.insert_board(tx, "of another secret")
        foreign_key = make_key()
        boards.set_key(tx, foreign_id, encrypt_key("another secret", foreign_id, foreign_key))
    bad = {
        "bad_tag": SimulatedBoard(board.board_id, make_key(), channels=CHANNELS),
        "unassigned_board": SimulatedBoard(idle_id, idle_key, channels=CHANNELS),
        "unknown_board": SimulatedBoard(revoked_id, revoked_key, channels=CHANNELS),
        "replayed": SimulatedBoard(board.board_id, board.secret, boot_id=4, channels=CHANNELS),
    }
    misfit = SimulatedBoard(board.board_id, board.secret, boot_id=5, channels=CHANNELS - 1)
    async with running(servers.settings, ingest_pool) as server:
        for _ in range(20):
            for one in bad.values():
                elsewhere.raw(one.next())
            elsewhere.raw(SimulatedBoard(foreign_id, foreign_key, channels=CHANNELS).next())
        elsewhere.raw(misfit.next())
        await until(lambda: server.counters.received == 101, "all received")
        await until(lambda: server.counters.dropped.total() == 101, "all refused")
        assert server.counters.dropped == {
            "bad_tag": 20, "unassigned_board": 20, "unknown_board": 40, "replayed": 20, "channel_count": 1,
        }  # fmt: skip
        board.sequence, board.start_us = 1, board.start_us + 20_000  # behind the misfit, which was the board's own
        sender.raw(board.next(10))
        await until(lambda: server.counters.stored == 10, "the good one stored")
        snapshot = await until(
            lambda: server.metrics() if len(server.metrics()["sources"]) == 2 else None, "a snapshot"
        )
        latest = snapshot["sources"][0]
        assert (latest["user_id"], latest["channels"], latest["state"]) == (user_id, CHANNELS, "ok")
    assert stored_numbers(ingest_pool, user_id) == list(range(10))


async def test_restarted_server_refuses_the_old_boot(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool, n_channels=CHANNELS)
    board = assigned_board(ingest_pool, servers.settings, user_id)
    old = [board.next(10) for _ in range(5)]
    async with running(servers.settings, ingest_pool) as server:
        for data in old:
            sender.raw(data)
        await until(lambda: server.counters.stored == 50, "the first boot stored")
        await until(lambda: last_boot(ingest_pool, board.board_id) == 5, "its boot remembered while the server runs")
        board.reboot()
        newest = board.next(10)
        sender.raw(newest)
        await until(lambda: server.counters.accepted == 60, "the second boot accepted")
    assert last_boot(ingest_pool, board.board_id) == 6, "a boot just before the stop is remembered as well"
    async with running(servers.settings, ingest_pool) as server:
        for data in (*old, newest):
            sender.raw(data)
        await until(lambda: server.counters.dropped["replayed"] == 6, "the old boot refused, and the newest datagram")
        sender.raw(board.next(10))
        await until(lambda: server.counters.stored == 10, "the board goes on")
    assert stored_numbers(ingest_pool, user_id) == list(range(70))
    assert await stored_count(ingest_pool, user_id) == 70


async def test_reassigned_board_sends_for_the_other_profile_from_then_on(
    servers, ingest_pool: Pool, sender: Sender
) -> None:
    ada = make_profile(ingest_pool, "Ada", n_channels=CHANNELS)
    bo = make_profile(ingest_pool, "Bo", n_channels=CHANNELS)
    board = assigned_board(ingest_pool, servers.settings, ada)
    async with running(servers.settings, ingest_pool) as server:

        async def send_until(user_id: int | None) -> int:
            """Send until the board's profile is this one, and give the number of the next sample."""

            async def moved() -> bool:
                sender.raw(board.next(2))
                await asyncio.sleep(0.01)
                rows = server._pipeline.sources.table(0)
                return bool(rows) and rows[0]["user_id"] == user_id

            await until(moved, f"sent for {user_id}")
            return board.number

        at_ada = await send_until(ada)
        with ingest_pool.transaction() as tx:
            boards.assign_board(tx, board.board_id, bo)
        await send_until(bo)
        with ingest_pool.transaction() as tx:
            boards.assign_board(tx, board.board_id, None)
        await send_until(None)
        total = server.counters.accepted
        await until(lambda: server.counters.stored == total, "all stored")
    of_ada, of_bo = stored_numbers(ingest_pool, ada), stored_numbers(ingest_pool, bo)
    assert of_ada + of_bo == list(range(len(of_ada) + len(of_bo))), "each sample once, in two parts"
    assert len(of_ada) >= at_ada
    assert len(of_bo) >= 2


def test_keys_are_decrypted_once_per_change(ingest_pool: Pool, servers, monkeypatch: pytest.MonkeyPatch) -> None:
    secret_key = servers.settings.secret_key.get_secret_value()
    decrypted: list[int] = []

    def counting(secret: str, board_id: int, stored: bytes) -> bytes:
        decrypted.append(board_id)
        return decrypt_key(secret, board_id, stored)

    monkeypatch.setattr(registry, "decrypt_key", counting)
    with ingest_pool.transaction() as tx:
        first, second = (make_board(tx, secret_key, name)[0] for name in "ab")
    pipeline = Pipeline(0, Counters())
    reader = registry.Registry(ingest_pool, pipeline.set_registry, pipeline.boards, secret_key)
    keys = [{board.board_id: board.key for board in reader._read()[1]} for _ in range(3)]
    assert decrypted == [first, second]
    assert keys[0] == keys[1] == keys[2]
    with ingest_pool.transaction() as tx:
        boards.set_key(tx, second, encrypt_key(secret_key, second, make_key()))
    assert {board.board_id for board in reader._read()[1]} == {first, second}
    assert decrypted == [first, second, second]
    with ingest_pool.transaction() as tx:
        boards.revoke_key(tx, first)
    assert [board.board_id for board in reader._read()[1]] == [second]


async def test_boot_that_could_not_be_written_is_remembered_when_the_database_is_back(
    servers, ingest_pool: Pool, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    user_id = make_profile(ingest_pool, n_channels=CHANNELS)
    board = assigned_board(ingest_pool, servers.settings, user_id)
    async with running(servers.settings, ingest_pool) as server:
        database = servers.settings.postgres_db
        admin_execute(servers.postgres, "ALTER TABLE boards RENAME TO boards_away", database)
        sender.raw(board.next(10))
        await until(lambda: server.counters.stored == 10, "the known board goes on")
        await until(lambda: "the last one stays" in caplog.text, "the write refused")
        admin_execute(servers.postgres, "ALTER TABLE boards_away RENAME TO boards", database)
        await until(lambda: last_boot(ingest_pool, board.board_id) == 5, "remembered afterwards")


async def test_board_of_a_person_who_does_not_consent_is_refused(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool, n_channels=CHANNELS, consent=None)
    board = assigned_board(ingest_pool, servers.settings, user_id)

    def sent_until(condition: Callable[[], bool]) -> bool:
        sender.raw(board.next())
        return condition()

    async with running(servers.settings, ingest_pool) as server:
        dropped = server.counters.dropped
        await until(lambda: sent_until(lambda: dropped["no_consent"] > 0), "refused")
        assert server.counters.accepted == 0
        with ingest_pool.transaction() as tx:
            consents.insert_consent(tx, user_id, TEST_PERSON)
        await until(lambda: sent_until(lambda: server.counters.accepted > 20), "accepted since the consent")
        with ingest_pool.transaction() as tx:
            consents.insert_consent(tx, user_id, replace(TEST_PERSON, scopes=()))
        before = dropped["no_consent"]
        await until(lambda: sent_until(lambda: dropped["no_consent"] > before), "refused since the withdrawal")
