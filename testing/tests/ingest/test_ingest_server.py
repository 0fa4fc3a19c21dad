"""The whole way with the real bus and the real database: UDP, journal, store."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from semg.errors import SettingsError
from semg.ingest.server import IngestServer
from semg.privacy.consent import TEST_PERSON
from semg.process import bus
from semg.store import consents, senders
from semg.store.pool import Pool, execute
from semg.store.services import list_services
from semg.wire.blocks import decode_blocks
from semg.wire.messages import PROFILES_SUBJECT, ProfileChanged, samples_subject, watch_subject
from testing.kits.ingest_kit import Sender, make_profile, running, stored_blocks, stored_count, stored_numbers, until

pytestmark = pytest.mark.servers


async def test_every_sample_at_200_hz_is_stored_exactly_once(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    live: list[int] = []
    async with running(servers.settings, ingest_pool) as server:
        watcher = await bus.connect(servers.settings, "watcher", forever=False)

        async def on_blocks(message) -> None:
            for block in decode_blocks(message.data):
                live.extend(int(number) for number in block.samples[:, 0])

        await watcher.subscribe(samples_subject(user_id), cb=on_blocks)
        await watcher.publish(watch_subject(user_id), b"")
        await until(lambda: server.counters.watched_profiles == 1, "the profile is watched")
        start = asyncio.get_running_loop().time()
        for number in range(600):
            await asyncio.sleep(max(0.0, start + number * 0.005 - asyncio.get_running_loop().time()))
            sender.sample(user_id, 1000 + number * 5, number)
        await until(lambda: server.counters.stored == 600, "600 stored")
        await until(lambda: len(live) == 600, "600 live")
        await watcher.close()
    assert stored_numbers(ingest_pool, user_id) == list(range(600))
    assert live == list(range(600))
    blocks = stored_blocks(ingest_pool, user_id)
    assert [block.starts_run for block in blocks] == [True] + [False] * (len(blocks) - 1)
    assert np.concatenate([block.device_us for block in blocks]).tolist() == [(1000 + 5 * n) * 1000 for n in range(600)]
    assert sum(server.counters.dropped.values()) == 0
    assert server.counters.missing == 0
    assert await stored_count(ingest_pool, user_id) == 600


async def test_packets_of_a_device_are_stored_at_their_own_times_and_its_stream_is_reported(
    servers, ingest_pool: Pool, sender: Sender
) -> None:
    user_id = make_profile(ingest_pool, n_channels=2)
    async with running(servers.settings, ingest_pool) as server:
        for first in range(0, 200, 4):  # two datagrams with the packet's time, one of them with two lines
            ms = 1000 + 5 * first
            sender.raw(b"%d,%d,%d,1\n%d,%d,%d,1\n" % (user_id, ms, first, user_id, ms, first + 1))
            sender.raw(b"%d, %d, %d, 1\0" % (user_id, ms, first + 2))
            sender.raw(b"%d,%d,%d,1" % (user_id, ms, first + 3))
        sender.raw(b'{"user": 1}')
        await until(lambda: server.counters.stored == 200, "200 stored")
        status = await until(lambda: server.metrics()["streams"].get(str(user_id)), "a report of the stream")
        (source,) = server.metrics()["sources"]
    assert stored_numbers(ingest_pool, user_id) == list(range(200))
    times = np.concatenate([block.device_us for block in stored_blocks(ingest_pool, user_id)])
    assert times.tolist() == [(1000 + 5 * number) * 1000 for number in range(200)]
    assert (status["samples"], status["datagrams"], status["refused"]) == (200, 150, {})
    assert (status["segments"], status["runs"], status["low"], status["high"]) == (1, 1, 0.0, 199.0)
    assert (source["state"], source["said"]) == ("json", '{"user": 1}')


async def test_bad_datagrams_are_counted_by_reason_and_good_ones_stored(
    servers, ingest_pool: Pool, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    user_id = make_profile(ingest_pool)
    closed = make_profile(ingest_pool, "closed", allow_v1=False)
    unasked = make_profile(ingest_pool, "unasked", consent=None)
    values = ",".join("7" * 8)
    bad = {
        b"": "empty",
        b"\xff\xfe\xfd": "not_text",
        b"hello": "field_count",
        f"{user_id},10".encode(): "field_count",
        f"{user_id},10,1,2,3".encode(): "channel_count",
        f"{user_id},10,nan,1,2,3,4,5,6,7".encode(): "not_number",
        f"{user_id},10,inf,1,2,3,4,5,6,7".encode(): "not_number",
        f"{user_id},10,1e99,1,2,3,4,5,6,7".encode(): "value_range",
        f"{user_id},99999999999999,{values}".encode(): "time_range",
        f"-1,10,{values}".encode(): "not_integer",
        f"987654,10,{values}".encode(): "unknown_profile",
        f"{closed},10,{values}".encode(): "v1_not_allowed",
        f"{unasked},10,{values}".encode(): "no_consent",
        b"x" * 64_000: "too_long",
    }
    rng = np.random.default_rng(1)
    async with running(servers.settings, ingest_pool) as server:
        for number in range(200):
            sender.sample(user_id, 1000 + number * 5, number)
            for datagram in bad:
                sender.raw(datagram)
            if number % 50 == 0:
                sender.raw(rng.bytes(60_000))
            await asyncio.sleep(0.001)
        await until(lambda: server.counters.stored == 200, "the good samples stored")
        expected = Counter(bad.values())
        found = {reason: server.counters.dropped[reason] for reason in expected}
        assert found == {reason: 200 * n for reason, n in expected.items()} | {"too_long": 204}
        assert server.counters.received == 200 * (1 + len(bad)) + 4
        metrics = await until(lambda: server.metrics() if server.metrics()["stored"] == 200 else None, "a snapshot")
        assert metrics["dropped"]["unknown_profile"] == 200
        (source,) = metrics["sources"]
        assert source["address"].startswith("127.0.0.1:")
        assert "clock_error_ms" in source
    assert stored_numbers(ingest_pool, user_id) == list(range(200))
    per_second = [record for record in caplog.records if "dropped in the last second" in record.getMessage()]
    assert 1 <= len(per_second) <= 10


async def test_loss_disorder_duplicates_wrap_and_reboot_keep_every_sample_once(
    servers, ingest_pool: Pool, sender: Sender
) -> None:
    user_id = make_profile(ingest_pool)
    top = 1 << 32
    plan = [(top - 100 + 5 * i, i) for i in range(20)] + [(5 * i, 20 + i) for i in range(60)]
    del plan[50:53]
    plan[30], plan[31] = plan[31], plan[30]
    plan[40:40] = [plan[39], plan[38]]
    plan += [(1_000_000 + 5 * i, 100 + i) for i in range(20)] + [(10 + 5 * i, 200 + i) for i in range(40)]
    async with running(servers.settings, ingest_pool) as server:
        for device_ms, number in plan:
            sender.sample(user_id, device_ms % top, number)
            await asyncio.sleep(0.004)
        expected = sorted({number for _, number in plan})
        await until(lambda: server.counters.stored == len(expected), "all stored")
    assert sorted(stored_numbers(ingest_pool, user_id)) == expected
    assert server.counters.dropped == Counter(duplicate=2)
    assert server.counters.segments == 4
    assert server.counters.missing == 3


async def test_samples_of_two_profiles_never_mix(servers, ingest_pool: Pool, sender: Sender) -> None:
    first, second = make_profile(ingest_pool, "a"), make_profile(ingest_pool, "b", n_channels=2, rate_hz=100.0)
    settings = servers.settings.model_copy(update={"journal_partitions": 2})
    async with running(settings, ingest_pool) as server:
        for number in range(200):
            sender.sample(first, 1000 + number * 5, number)
            sender.sample(second, 77_000 + number * 10, 5000 + number, n_channels=2)
            await asyncio.sleep(0.001)
        await until(lambda: server.counters.stored == 400, "all stored")
    assert stored_numbers(ingest_pool, first) == list(range(200))
    assert stored_numbers(ingest_pool, second) == list(range(5000, 5200))


async def test_new_profile_is_accepted_within_two_seconds_and_a_changed_one_starts_a_run(
    servers, ingest_pool: Pool, sender: Sender
) -> None:
    async with running(servers.settings, ingest_pool) as server:
        user_id = make_profile(ingest_pool, n_channels=4)
        number = 0

        async def accepted() -> bool:
            nonlocal number
            sender.sample(user_id, 1000 + number * 5, number, n_channels=4)
            number += 1
            return server.counters.accepted > 0

        start = asyncio.get_running_loop().time()
        await until(accepted, "the new profile accepted")
        assert asyncio.get_running_loop().time() - start < 2.0
        await until(lambda: server.counters.stored == server.counters.accepted, "stored")
        with ingest_pool.transaction() as tx:
            execute(tx, "UPDATE devices SET channels = '{a0,a1}' WHERE user_id = %s", (user_id,))
        runs = server.counters.runs
        watcher = await bus.connect(servers.settings, "page", forever=False)
        await watcher.publish(PROFILES_SUBJECT, ProfileChanged(userid=user_id).to_bytes())
        await watcher.close()

        async def accepted_with_two() -> bool:
            nonlocal number
            sender.sample(user_id, 1000 + number * 5, number, n_channels=2)
            number += 1
            return server.counters.runs > runs

        await until(accepted_with_two, "two channels accepted")
    widths = {block.samples.shape[1]: block.starts_run for block in stored_blocks(ingest_pool, user_id)}
    assert set(widths) == {2, 4}
    blocks = stored_blocks(ingest_pool, user_id)
    assert next(block for block in blocks if block.samples.shape[1] == 2).starts_run


async def test_burst_is_flushed_in_messages_that_nats_takes(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool, n_channels=16, rate_hz=1000.0)
    async with running(servers.settings, ingest_pool) as server:
        for number in range(20_000):
            sender.sample(user_id, 1000 + number, number, n_channels=16)
            if number % 500 == 499:
                await until(lambda n=number: server.counters.received > n, "received")
        await until(lambda: server.counters.stored == 20_000, "all stored")
    assert stored_numbers(ingest_pool, user_id) == list(range(20_000))


async def test_what_the_kernel_holds_at_stop_is_still_stored(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    async with running(servers.settings, ingest_pool) as server:
        for number in range(500):
            sender.sample(user_id, 1000 + number * 5, number)
        assert server.counters.stored == 0
    assert stored_numbers(ingest_pool, user_id) == list(range(500))


async def test_restarted_server_starts_a_run(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    for turn in range(2):
        async with running(servers.settings, ingest_pool):
            for number in range(turn * 100, turn * 100 + 100):
                sender.sample(user_id, 1000 + number * 5, number)
                await asyncio.sleep(0.001)
    blocks = stored_blocks(ingest_pool, user_id)
    assert sum(block.starts_run for block in blocks) == 2
    assert stored_numbers(ingest_pool, user_id) == list(range(200))


async def test_taken_port_is_a_sentence_that_names_the_setting(servers, ingest_pool: Pool) -> None:
    async with running(servers.settings, ingest_pool):
        with pytest.raises(SettingsError, match="UDP_PORT"):
            await IngestServer(servers.settings, ingest_pool).run(asyncio.Event())


async def test_sign_of_life_shows_the_sender(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    async with running(servers.settings, ingest_pool):
        number = 0

        async def shown() -> dict | None:
            nonlocal number
            sender.sample(user_id, 1000 + number * 5, number)
            number += 1
            with ingest_pool.transaction() as tx:
                found = [status for status in list_services(tx) if status.service == "udpserver"]
            return next((row for status in found for row in status.metrics.get("sources", ())), None)

        source = await until(shown, "the sender in the services table")
        assert source["user_id"] == user_id
        assert source["state"] == "ok"
        assert source["channels"] == 8
    with ingest_pool.transaction() as tx:
        assert [status for status in list_services(tx) if status.service == "udpserver"] == []


async def test_unknown_number_is_stored_from_the_moment_it_is_assigned(
    servers, ingest_pool: Pool, sender: Sender
) -> None:
    user_id = make_profile(ingest_pool)
    async with running(servers.settings, ingest_pool) as server:
        sender.sample(999_999, 1000, 0)
        await until(lambda: server.counters.dropped["unknown_profile"] == 1, "refused")
        with ingest_pool.transaction() as tx:
            senders.assign_sender(tx, 999_999, user_id)
        numbers = itertools.count(1)

        def sent_again() -> bool:
            number = next(numbers)
            sender.sample(999_999, 1000 + 5 * number, number)
            return server.counters.stored > 0

        await until(sent_again, "stored for the profile")
    stored = stored_numbers(ingest_pool, user_id)
    assert stored == list(range(stored[0], stored[0] + len(stored)))
    assert stored[0] > 0


async def test_withdrawn_consent_stops_the_stream_and_what_waits_in_the_journal(
    servers, ingest_pool: Pool, sender: Sender
) -> None:
    user_id, other = make_profile(ingest_pool), make_profile(ingest_pool, "other")
    no_store = servers.settings.model_copy(update={"run_store_task": False})
    async with running(no_store, ingest_pool) as server:
        for number in range(20):
            sender.sample(user_id, 1000 + number * 5, number)
            sender.sample(other, 1000 + number * 5, number)
        await until(lambda: server.counters.journalled == 40, "all journalled")
        with ingest_pool.transaction() as tx:
            consents.insert_consent(tx, user_id, replace(TEST_PERSON, scopes=()))
        await until(lambda: _refused(server, sender, user_id), "refused since the withdrawal")
    async with running(servers.settings, ingest_pool) as server:
        await until(lambda: server.counters.stored == 20, "the other profile's samples stored")
        assert server.counters.erased >= 20
    assert stored_numbers(ingest_pool, user_id) == []
    assert stored_numbers(ingest_pool, other) == list(range(20))


def _refused(server: IngestServer, sender: Sender, user_id: int) -> bool:
    sender.sample(user_id, 5000, 0)
    return server.counters.dropped["no_consent"] > 0
