"""Stored exactly once through kills, restarts and outages of every part. Real processes, real servers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from semg.ingest.journal import publisher as journal_module
from semg.ingest.server import IngestServer
from semg.platform.servers import embedded, nats
from semg.process import bus
from semg.settings import PROJECT_DIR, Settings
from semg.store.pool import Pool, execute, one
from semg.wire.messages import JOURNAL_STREAM
from testing.kits.ingest_kit import (
    PATIENCE_S,
    Sender,
    make_profile,
    running,
    stored_blocks,
    stored_count,
    stored_numbers,
    until,
)
from testing.tests.conftest import Servers, admin_execute

pytestmark = pytest.mark.servers


def _environment(settings: Settings, ready: Path) -> dict[str, str]:
    names = ("postgres_host", "postgres_port", "postgres_db", "postgres_user", "nats_server", "nats_user")
    names += ("udp_host", "udp_port", "data_dir", "journal_max_bytes")
    own = {name.upper(): str(getattr(settings, name)) for name in names}
    own["POSTGRES_PASSWORD"] = settings.postgres_password.get_secret_value()
    own["NATS_PASSWORD"] = settings.nats_password.get_secret_value()
    own |= {"SEMG_READY_FILE": str(ready), "SEMG_ENV_FILE": str(ready.parent / "none.env")}
    return {**os.environ, **own, "PYTHONPATH": str(PROJECT_DIR)}


@contextmanager
def _process(settings: Settings, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """The real ``cd udpserver && python udpserver.py``; its ready file and its log."""
    ready, log = folder / "udpserver.ready", folder / "udpserver.log"
    ready.unlink(missing_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "udpserver.py"],
            cwd=PROJECT_DIR / "udpserver",
            env=_environment(settings, ready),
            stdout=out,
            stderr=out,
        )
    try:
        yield process, ready, log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


async def _ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        return ready.exists() and ready.read_text() == str(process.pid)

    await until(is_ready, "the process ready")


def _restart(servers: Servers, folder: Path) -> nats.NatsServer:
    """Start NATS again, on its port and with its files."""
    return nats.start(folder / "nats.conf", servers.nats.port, folder / "nats.log")


async def test_killed_process_loses_nothing_that_was_journalled_and_doubles_nothing(
    servers, ingest_pool: Pool, sender: Sender, tmp_path: Path
) -> None:
    user_id = make_profile(ingest_pool)
    number = 0
    with _process(servers.settings, tmp_path) as (process, ready, log):
        await _ready(process, ready, log)
        while await stored_count(ingest_pool, user_id) < 100:
            for _ in range(20):
                sender.sample(user_id, 1000 + number * 5, number)
                number += 1
                await asyncio.sleep(0.005)
        # Killed while samples are on the way to the journal, in it, and being stored.
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    client = await bus.connect(servers.settings, "test", forever=False)
    journal = await client.jetstream().stream_info(JOURNAL_STREAM)
    await client.close()
    assert journal.state.messages > 0
    first_life = number
    with _process(servers.settings, tmp_path) as (process, ready, log):
        await _ready(process, ready, log)
        for _ in range(100):
            sender.sample(user_id, 1000 + number * 5, number)
            number += 1
            await asyncio.sleep(0.005)

        async def last_is_stored() -> bool:
            return number - 1 in await asyncio.to_thread(stored_numbers, ingest_pool, user_id)

        await until(last_is_stored, "the last sample stored")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    found = stored_numbers(ingest_pool, user_id)
    assert len(found) == len(set(found))
    assert set(range(first_life, number)) <= set(found)
    missing = sorted(set(range(number)) - set(found))
    # What a killed process had received but not yet journalled: the last flushes, and nothing before them.
    assert all(one_ >= first_life - 30 for one_ in missing), missing
    assert missing == list(range(first_life - len(missing), first_life))
    assert "Traceback" not in log.read_text()


async def test_nats_restarted_during_the_stream(servers, ingest_pool: Pool, sender: Sender, tmp_path: Path) -> None:
    user_id = make_profile(ingest_pool)
    with ExitStack() as later:
        async with running(servers.settings, ingest_pool) as server:
            for number in range(800):
                if number == 200:
                    servers.nats.process.kill()
                    servers.nats.process.wait(10)
                if number == 500:
                    later.callback(_restart(servers, tmp_path).stop)
                sender.sample(user_id, 1000 + number * 5, number)
                await asyncio.sleep(0.003)
            await until(lambda: server.counters.journal_pending == 0, "all journalled")
            await until(lambda: server.counters.stored >= 800, "all stored")
            assert server.counters.journal_retries > 0
    assert stored_numbers(ingest_pool, user_id) == list(range(800))
    assert sum(block.starts_run for block in stored_blocks(ingest_pool, user_id)) == 1


async def test_full_buffer_is_counted_and_starts_a_run(
    servers, ingest_pool: Pool, sender: Sender, tmp_path: Path
) -> None:
    user_id = make_profile(ingest_pool)
    settings = servers.settings.model_copy(update={"ingest_max_pending": 1000})
    with ExitStack() as later:
        async with running(settings, ingest_pool) as server:
            servers.nats.process.kill()
            servers.nats.process.wait(10)
            for number in range(1500):
                sender.sample(user_id, 1000 + number * 5, number)
                if number % 20 == 0:
                    await asyncio.sleep(0.005)
            await until(lambda: server.counters.accepted == 1500, "all received")
            await until(lambda: server.counters.dropped["journal_overflow"] > 0, "an overflow")
            assert server.counters.journal_pending <= 1000
            later.callback(_restart(servers, tmp_path).stop)
            await until(lambda: server.counters.journal_pending == 0, "all journalled")
            for number in range(1500, 1550):
                sender.sample(user_id, 1000 + number * 5, number)
                await asyncio.sleep(0.005)
            kept = 1550 - server.counters.dropped["journal_overflow"]
            await until(lambda: server.counters.stored == kept, "what was kept is stored")
    found = stored_numbers(ingest_pool, user_id)
    assert found == [*range(kept - 50), *range(1500, 1550)]
    starts = [int(block.samples[0, 0]) for block in stored_blocks(ingest_pool, user_id) if block.starts_run]
    assert starts == [0, 1500]


async def test_outage_of_postgres_is_caught_up_exactly_once(
    servers, ingest_pool: Pool, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    user_id = make_profile(ingest_pool)
    database = servers.settings.postgres_db
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'" % database  # noqa: UP031
    async with running(servers.settings, ingest_pool) as server:
        for number in range(600):
            if number == 100:
                await until(lambda: server.counters.stored > 0, "something stored")
                admin_execute(servers.postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
            if number in (100, 200):
                admin_execute(servers.postgres, terminate)
            sender.sample(user_id, 1000 + number * 5, number)
            await asyncio.sleep(0.003)
        await until(lambda: server.counters.store_retries > 0, "the outage noticed")
        assert server.counters.stored < 600
        await until(lambda: server.counters.journalled == 600, "the journal goes on")
        admin_execute(servers.postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")

        async def all_stored() -> bool:
            return await stored_count(ingest_pool, user_id) >= 600

        await until(all_stored, "caught up")
    assert stored_numbers(ingest_pool, user_id) == list(range(600))
    assert not [record for record in caplog.records if record.exc_info]


async def test_what_arrives_before_the_database_answers_waits_in_the_socket(
    servers, ingest_pool: Pool, sender: Sender
) -> None:
    user_id = make_profile(ingest_pool)
    database = servers.settings.postgres_db
    admin_execute(servers.postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'" % database  # noqa: UP031
    admin_execute(servers.postgres, terminate)
    server, stop = IngestServer(servers.settings, ingest_pool), asyncio.Event()
    serving = asyncio.create_task(server.run(stop))
    await until(lambda: server.counters.receive_buffer > 0, "the socket is open")
    for number in range(100):
        sender.sample(user_id, 1000 + number * 5, number)
    assert not server.ready.is_set()
    assert server.counters.received == 0
    admin_execute(servers.postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    await until(lambda: server.counters.stored == 100, "all stored")
    stop.set()
    await asyncio.wait_for(serving, PATIENCE_S)
    assert sum(server.counters.dropped.values()) == 0
    assert stored_numbers(ingest_pool, user_id) == list(range(100))


async def test_connections_ended_at_every_moment_double_nothing(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    settings = servers.settings.model_copy(update={"store_every_ms": 20.0})
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{settings.postgres_db}' AND application_name = 'ingest-test'"  # noqa: S608
    )
    async with running(settings, ingest_pool):
        for number in range(1000):
            sender.sample(user_id, 1000 + number * 5, number)
            await asyncio.sleep(0.002)
            if number % 100 == 50:
                await asyncio.to_thread(admin_execute, servers.postgres, terminate)
        counting = Pool(settings, name="counting")

        async def all_stored() -> bool:
            return await stored_count(counting, user_id) >= 1000

        await until(all_stored, "all stored")
        assert stored_numbers(counting, user_id) == list(range(1000))
        counting.close()


async def test_erased_profile_is_not_brought_back_by_the_journal(servers, ingest_pool: Pool, sender: Sender) -> None:
    erased, kept = make_profile(ingest_pool, "erased"), make_profile(ingest_pool, "kept")
    quiet = servers.settings.model_copy(update={"run_store_task": False})
    async with running(quiet, ingest_pool) as server:
        for number in range(100):
            sender.sample(erased, 1000 + number * 5, number)
            sender.sample(kept, 1000 + number * 5, number)
            await asyncio.sleep(0.001)
        await until(lambda: server.counters.journalled == 200, "journalled")
    with ingest_pool.transaction() as tx:
        execute(tx, "DELETE FROM profiles WHERE user_id = %s", (erased,))
    async with running(servers.settings, ingest_pool) as server:
        await until(lambda: server.counters.stored == 100, "the other's samples stored")
        assert server.counters.erased == 100
    assert stored_numbers(ingest_pool, kept) == list(range(100))
    assert await stored_count(ingest_pool, erased) == 0


async def test_recreated_stream_is_stored_from_its_first_message(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    async with running(servers.settings, ingest_pool) as server:
        for number in range(200):
            sender.sample(user_id, 1000 + number * 5, number)
            await asyncio.sleep(0.002)
        await until(lambda: server.counters.stored == 200, "the first stream stored")
        client = await bus.connect(servers.settings, "test", forever=False)
        await client.jetstream().delete_stream(JOURNAL_STREAM)
        for number in range(200, 300):
            sender.sample(user_id, 1000 + number * 5, number)
            await asyncio.sleep(0.002)
        await until(lambda: server.counters.stored == 300, "the new stream stored")
        info = await client.jetstream().stream_info(JOURNAL_STREAM)
        await client.close()
    assert stored_numbers(ingest_pool, user_id) == list(range(300))
    with ingest_pool.transaction() as tx:
        saved = one(tx, "SELECT created_at, sequence FROM journal_progress")
    assert saved.created_at == info.created
    assert saved.sequence == info.state.last_seq


async def test_two_store_tasks_on_one_partition_store_once(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    other_settings = servers.settings.model_copy(update={"udp_port": servers.settings.udp_port + 1})
    async with running(servers.settings, ingest_pool), running(other_settings, ingest_pool):
        for number in range(600):
            sender.sample(user_id, 1000 + number * 5, number)
            await asyncio.sleep(0.002)

        async def all_stored() -> bool:
            return await stored_count(ingest_pool, user_id) >= 600

        await until(all_stored, "all stored")
    assert stored_numbers(ingest_pool, user_id) == list(range(600))


async def test_messages_that_expired_unread_are_counted(
    servers, ingest_pool: Pool, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    user_id = make_profile(ingest_pool)
    quiet = servers.settings.model_copy(update={"run_store_task": False})
    async with running(quiet, ingest_pool) as server:
        for number in range(100):
            sender.sample(user_id, 1000 + number * 5, number)
            await asyncio.sleep(0.002)
        await until(lambda: server.counters.journalled == 100, "journalled")
        client = await bus.connect(servers.settings, "test", forever=False)
        last = (await client.jetstream().stream_info(JOURNAL_STREAM)).state.last_seq
        assert last > 3
        await client.jetstream().purge_stream(JOURNAL_STREAM, seq=last)
        await client.close()
    async with running(servers.settings, ingest_pool) as server:
        await until(lambda: server.counters.stored > 0, "the rest stored")
        assert server.counters.journal_expired == last - 1
    assert any("expired" in record.getMessage() for record in caplog.records)
    found = stored_numbers(ingest_pool, user_id)
    assert found == list(range(found[0], 100))
    assert found[0] > 0


async def test_retry_after_the_id_was_forgotten_does_not_double(
    servers, ingest_pool: Pool, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acknowledgement is lost, and JetStream has forgotten the id when the retry comes."""
    user_id = make_profile(ingest_pool)
    monkeypatch.setattr(journal_module, "FORGOTTEN_AFTER_S", -1.0)
    lost = 0

    async with running(servers.settings, ingest_pool) as server:
        publish = journal_module.JetStreamContext.publish

        async def publish_and_lose_ack(self, subject, payload=b"", timeout=None, stream=None, headers=None):
            nonlocal lost
            ack = await publish(self, subject, payload, timeout, stream, headers)
            lost += 1
            if lost % 3 == 0:
                raise TimeoutError("acknowledgement lost")
            return ack

        monkeypatch.setattr(journal_module.JetStreamContext, "publish", publish_and_lose_ack)
        for number in range(300):
            sender.sample(user_id, 1000 + number * 5, number)
            await asyncio.sleep(0.003)
        await until(lambda: server.counters.journalled == 300, "all journalled")
        await until(lambda: server.counters.stored == 300, "all stored")
        assert server.counters.journal_retries > 0
        # No message went out twice: JetStream itself had nothing to recognise.
        assert lost == server.counters.journal_messages
    assert stored_numbers(ingest_pool, user_id) == list(range(300))


async def test_two_servers_with_lost_acknowledgements_double_nothing(
    servers, ingest_pool: Pool, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both publish to one partition: the subject's last message is mostly the other's."""
    first_user, second_user = make_profile(ingest_pool, "first"), make_profile(ingest_pool, "second")
    monkeypatch.setattr(journal_module, "FORGOTTEN_AFTER_S", -1.0)
    settings = servers.settings.model_copy(update={"run_store_task": False})
    second_settings = servers.settings.model_copy(update={"udp_port": embedded.free_port(kind=2)})
    second_sender = Sender(second_settings)
    sent = 0
    async with running(settings, ingest_pool) as first, running(second_settings, ingest_pool) as second:
        publish = journal_module.JetStreamContext.publish

        async def publish_and_lose_ack(self, subject, payload=b"", timeout=None, stream=None, headers=None):
            nonlocal sent
            ack = await publish(self, subject, payload, timeout, stream, headers)
            sent += 1
            if sent % 3 == 0:
                raise TimeoutError("acknowledgement lost")
            return ack

        monkeypatch.setattr(journal_module.JetStreamContext, "publish", publish_and_lose_ack)
        for number in range(200):
            sender.sample(first_user, 1000 + number * 5, number)
            second_sender.sample(second_user, 1000 + number * 5, number)
            await asyncio.sleep(0.003)
        await until(lambda: first.counters.journalled == second.counters.journalled == 200, "all journalled")
        await until(lambda: second.counters.stored == 400, "all stored")
        assert first.counters.journal_retries + second.counters.journal_retries > 0
        assert sent == first.counters.journal_messages + second.counters.journal_messages
    second_sender.close()
    for user_id in (first_user, second_user):
        assert stored_numbers(ingest_pool, user_id) == list(range(200))
