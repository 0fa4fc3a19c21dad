"""One NATS user per service: each does its work, and may touch nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from semg.errors import BusError
from semg.platform.servers.bus_users import subjects_of, users_of
from semg.process import bus
from semg.process.partition_leases import PartitionLeases
from semg.settings import NATS_SERVICES, Settings, load_settings
from semg.wire import messages
from testing.tests.conftest import Servers

pytestmark = pytest.mark.servers

EVERY_SUBJECT = (
    messages.live_subject(0),
    messages.samples_subject(21),
    messages.journal_subject(0),
    messages.watch_subject(21),
    messages.decisions_subject(21),
    messages.models_subject(21),
    messages.sessions_subject(21),
    messages.share_subject("store", "lease", "0"),
    messages.share_subject("inference", "lease", "0"),
    messages.PROFILES_SUBJECT,
)
PUBLISHES = {
    "udpserver": {"semg.live.0", "semg.samples.21", "semg.journal.0"},
    "store": {"semg.shares.store.lease.0"},
    "nat_inference": {"semg.decisions.21", "semg.shares.inference.lease.0"},
    "api": {"semg.watch.21"},
    "job_runner": {"semg.sessions.21", "semg.models.21"},
}
SUBSCRIBES = {
    "udpserver": {"semg.watch.21", "semg.profiles"},
    "store": set(),
    "nat_inference": {"semg.live.0", "semg.sessions.21", "semg.models.21", "semg.watch.21", "semg.profiles"},
    "api": {"semg.samples.21", "semg.decisions.21", "semg.models.21"},
    "job_runner": set(),
}


@asynccontextmanager
async def connected(settings: Settings, service: str | None) -> AsyncIterator[Client]:
    client = await bus.connect(settings, service or "test", forever=False, service=service)
    try:
        yield client
    finally:
        await client.close()


async def settle(client: Client) -> None:
    """Wait until the server has taken everything that was sent, and what it had sent before has arrived.

    The client's first question overtakes what it still holds in its buffer; the second does not.
    """
    await client.flush()
    await client.flush()


async def heard(speaker: Client, listener: Client, subjects: tuple[str, ...]) -> set[str]:
    """Return the subjects on which what one says reaches the other."""
    listening = {subject: await listener.subscribe(subject) for subject in subjects}
    await settle(listener)
    for subject in subjects:
        await speaker.publish(subject, b"")
    await settle(speaker)
    await settle(listener)
    return {subject for subject, subscription in listening.items() if subscription.pending_msgs}


@pytest.mark.parametrize("service", NATS_SERVICES)
async def test_service_publishes_and_subscribes_to_its_own_subjects_only(servers: Servers, service: str) -> None:
    async with connected(servers.settings, service) as client, connected(servers.settings, None) as everybody:
        assert await heard(client, everybody, EVERY_SUBJECT) == PUBLISHES[service]
        assert await heard(everybody, client, EVERY_SUBJECT) == SUBSCRIBES[service]


async def test_only_ingest_makes_the_journal_and_nobody_deletes_it(servers: Servers) -> None:
    async with connected(servers.settings, "udpserver") as client:
        js = await bus.ensure_journal(client, servers.settings)
        await bus.ensure_journal(client, servers.settings)
        await js.publish(messages.journal_subject(0), b"x", stream=messages.JOURNAL_STREAM)
    for service in NATS_SERVICES:
        async with connected(servers.settings, service) as client:
            js = client.jetstream(timeout=0.3)
            for attempt in (
                js.delete_stream(messages.JOURNAL_STREAM),
                js.purge_stream(messages.JOURNAL_STREAM),
                js.add_stream(StreamConfig(name="OTHER", subjects=["semg.>"])),
            ):
                with pytest.raises((NatsError, TimeoutError)):
                    await attempt
            if service not in ("udpserver", "store"):
                with pytest.raises((NatsError, TimeoutError, APIError)):
                    await js.pull_subscribe(messages.journal_subject(0), stream=messages.JOURNAL_STREAM)
    async with connected(servers.settings, None) as client:
        assert (await client.jetstream().stream_info(messages.JOURNAL_STREAM)).state.messages == 1


async def test_answers_of_one_service_are_read_by_no_other(servers: Servers) -> None:
    for service in NATS_SERVICES:
        _, subscribe = subjects_of(service)
        inboxes = [subject for subject in subscribe if subject.startswith("_INBOX")]
        assert inboxes == [f"_INBOX_{service}.>"]


async def test_workers_claim_partitions_as_their_own_users(servers: Servers) -> None:
    settings = servers.settings.model_copy(update={"journal_partitions": 2, "share_lease_s": 1.0})
    for kind, service in (("store", "store"), ("inference", "nat_inference")):
        async with connected(settings, service) as client:
            got: asyncio.Queue[set[int]] = asyncio.Queue()
            share = PartitionLeases(client, settings, kind, got.put)
            running = asyncio.create_task(share.run())
            async with asyncio.timeout(20):
                while await got.get() != {0, 1}:
                    pass
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await share.leave()


async def test_service_with_a_wrong_password_is_not_let_in(servers: Servers) -> None:
    wrong = servers.settings.model_copy(update={"nats_api_password": type(servers.settings.nats_password)("wrong")})
    with pytest.raises(BusError, match="'api'"):
        await bus.connect(wrong, "api", forever=False, service="api")


def test_service_without_settings_of_its_own_works_as_the_common_user() -> None:
    settings = load_settings(None).model_copy(update={"nats_user": "everything"})
    assert users_of(settings) == []
    assert {settings.nats_credentials(service) for service in NATS_SERVICES} == {("everything", "")}


def test_named_user_and_password_win_over_the_common_ones() -> None:
    settings = Settings(_env_file=None, nats_password="common", nats_api_user="reader", nats_store_password="own")
    assert settings.nats_credentials("api") == ("reader", "common")
    assert settings.nats_credentials("store") == ("store", "own")
    assert settings.nats_credentials("udpserver") == ("semg", "common")
    assert [user.name for user in users_of(settings)] == ["store", "reader"]
