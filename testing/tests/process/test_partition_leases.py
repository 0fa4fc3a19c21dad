"""Partitions shared among workers: each has one owner, a fair share each, a dead worker's move. Real JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from nats.aio.client import Client

from semg.process import bus
from semg.process.partition_leases import PartitionLeases
from semg.settings import Settings
from semg.wire.messages import SHARES_STREAM, share_subject
from testing.kits.ingest_kit import until

pytestmark = pytest.mark.servers

N_PARTITIONS = 7


class Worker:
    """A worker that notes what it has, and what nobody else may have at the same time."""

    def __init__(self, client: Client, settings: Settings, owners: dict[int, Worker], kind: str = "inference") -> None:
        self.share = PartitionLeases(client, settings, kind, self.apply)
        self.has: set[int] = set()
        self.history: list[set[int]] = []
        self._owners = owners
        self._task = asyncio.create_task(self.share.run())

    async def apply(self, partitions: set[int]) -> None:
        for number in partitions - self.has:
            assert number not in self._owners, f"partition {number} has two owners"
            self._owners[number] = self
        for number in self.has - partitions:
            del self._owners[number]
        self.has = partitions
        self.history.append(partitions)

    async def die(self) -> None:
        """Fall silent, as a killed process does."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for number in self.has:
            self._owners.pop(number, None)

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.share.leave()


@pytest.fixture
def sharing(servers) -> Settings:
    return servers.settings.model_copy(update={"journal_partitions": N_PARTITIONS, "share_lease_s": 0.8})


@asynccontextmanager
async def workers(settings: Settings, n: int) -> AsyncIterator[tuple[list[Worker], dict[int, Worker]]]:
    async with AsyncExitStack() as stack:
        made: list[Worker] = []
        owners: dict[int, Worker] = {}
        for _ in range(n):
            client = await bus.connect(settings, "worker", service="nat_inference")
            stack.push_async_callback(client.close)
            made.append(Worker(client, settings, owners))
        try:
            yield made, owners
        finally:
            for worker in made:
                await worker.die()


def sizes(made: list[Worker]) -> list[int]:
    return sorted(len(worker.has) for worker in made)


async def test_every_partition_has_one_owner_and_the_shares_are_fair(sharing: Settings) -> None:
    async with workers(sharing, 3) as (made, owners):
        await until(lambda: sizes(made) == [2, 2, 3], "fair shares")
        assert set(owners) == set(range(N_PARTITIONS))


async def test_single_worker_has_all(sharing: Settings) -> None:
    async with workers(sharing, 1) as (made, _):
        await until(lambda: made[0].has == set(range(N_PARTITIONS)), "all partitions")


async def test_partitions_of_a_dead_worker_move(sharing: Settings) -> None:
    async with workers(sharing, 3) as (made, owners):
        await until(lambda: sizes(made) == [2, 2, 3], "fair shares")
        before = {id(worker): worker.has for worker in made}
        await made[0].die()
        await until(lambda: set(owners) == set(range(N_PARTITIONS)), "all partitions owned again")
        await until(lambda: sizes(made[1:]) == [3, 4], "fair shares of two")
        for worker in made[1:]:
            assert before[id(worker)] <= worker.has, "what a living worker had stays with it"


async def test_worker_that_leaves_hands_over_before_its_leases_run_out(sharing: Settings) -> None:
    slow = sharing.model_copy(update={"share_lease_s": 8.0})
    async with workers(slow, 1) as (made, owners):
        await until(lambda: len(made[0].has) == N_PARTITIONS, "all partitions")
        await made[0].leave()
        assert made[0].has == set()
        client = await bus.connect(slow, "next", service="nat_inference")
        heir = Worker(client, slow, owners)
        await until(lambda: len(heir.has) == N_PARTITIONS, "handed over", timeout_s=7)
        await heir.die()
        await client.close()


async def test_newcomer_gets_its_share_from_the_others(sharing: Settings) -> None:
    async with workers(sharing, 2) as (made, owners):
        await until(lambda: sizes(made) == [3, 4], "fair shares of two")
        client = await bus.connect(sharing, "newcomer", service="nat_inference")
        third = Worker(client, sharing, owners)
        await until(lambda: sizes([*made, third]) == [2, 2, 3] and len(owners) == N_PARTITIONS, "fair shares of three")
        await third.die()
        await client.close()


async def test_more_workers_than_partitions_leave_some_without(sharing: Settings) -> None:
    few = sharing.model_copy(update={"journal_partitions": 1})
    async with workers(few, 2) as (made, owners):
        await until(lambda: sizes(made) == [0, 1], "one owner")
        (owner,) = [worker for worker in made if worker.has]
        await owner.die()
        await until(lambda: 0 in owners, "the other one takes over")


async def test_worker_that_was_asleep_lets_go_of_what_another_has(sharing: Settings) -> None:
    async with workers(sharing.model_copy(update={"journal_partitions": 1}), 2) as (made, owners):
        await until(lambda: sizes(made) == [0, 1], "one owner")
        (owner,) = [worker for worker in made if worker.has]
        (other,) = [worker for worker in made if not worker.has]
        turn, awake = owner.share._turn, asyncio.Event()

        async def asleep() -> None:
            await awake.wait()
            await turn()

        owner.share._turn = asleep
        owners.pop(0)  # it is not counted as an owner while it sleeps
        await until(lambda: other.has == {0}, "the other one takes over")
        owners.clear()
        owner.history.clear()
        owners[0] = owner
        awake.set()
        await until(lambda: owner.history == [set()], "it lets go")


async def test_partition_that_was_lost_is_let_go_of_though_the_turn_fails(
    sharing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workers(sharing, 1) as (made, owners):
        await until(lambda: len(made[0].has) == N_PARTITIONS, "all partitions")
        claim = made[0].share._claim

        async def taken_or_failing(subject: str, last: int) -> int | None:
            if subject.endswith(".2"):
                return None
            if subject.endswith((".3", ".4")):
                raise TimeoutError("no answer")
            return await claim(subject, last)

        monkeypatch.setattr(made[0].share, "_claim", taken_or_failing)
        await until(lambda: 2 not in owners, "the lost one let go of")
        assert made[0].has == set(range(N_PARTITIONS)) - {2}, "what only was not answered stays"


async def test_lost_acknowledgement_of_a_renewal_loses_no_lease(sharing: Settings) -> None:
    async with workers(sharing, 1) as (made, _):
        await until(lambda: len(made[0].has) == N_PARTITIONS, "all partitions")
        client = await bus.connect(sharing, "test")
        subject = share_subject("inference", "lease", "3")
        # As if the worker's own publish had arrived and its answer had not.
        await client.jetstream().publish(subject, made[0].share._member.encode(), stream=SHARES_STREAM)
        await client.close()
        turns = made[0].share.turns
        await until(lambda: made[0].share.turns > turns + 3, "some turns")
        assert made[0].history == [set(range(N_PARTITIONS))]


async def test_cancellation_that_a_request_loses_ends_the_worker_all_the_same(
    sharing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workers(sharing, 1) as (made, _):
        turn, inside = made[0].share._turn, asyncio.Event()

        async def swallow() -> None:
            inside.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await turn()

        monkeypatch.setattr(made[0].share, "_turn", swallow)
        await inside.wait()
        async with asyncio.timeout(30):
            await made[0].die()


async def test_kinds_of_work_do_not_share_with_one_another(sharing: Settings) -> None:
    async with workers(sharing, 1) as (made, _):
        client = await bus.connect(sharing, "store", service="store")
        other = Worker(client, sharing, {}, "store")
        await until(lambda: len(made[0].has) == len(other.has) == N_PARTITIONS, "all partitions each")
        await other.die()
        await client.close()
