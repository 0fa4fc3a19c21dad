"""Leases of partitions among workers on any machines: one worker per partition; a dead worker's go to others.

A worker's claims are messages in a small JetStream stream that forgets what is not renewed for ``SHARE_LEASE_S``:
``semg.shares.<kind>.member.<worker>`` (it lives) and ``semg.shares.<kind>.lease.<partition>`` (it works on this one). A
lease is taken and renewed on condition that its last revision is the one known (``KeyValue.update``), so that of two
workers one gets it. The stream keeps subjects of its own, not a bucket's, so that workers of two versions share during
an upgrade; what is given back is deleted, because a bucket's delete marker would look like a lease. The stream is where
the samples come from: a worker that cannot reach it has nothing to work on either, so it keeps its partitions until
somebody else is seen to have them (docs/decisions/scaling.md).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, KeyWrongLastSequenceError, NoStreamResponseError, NotFoundError
from nats.js.kv import KeyValue

from semg.settings import Settings
from semg.wire.messages import SHARES_STREAM, SHARES_SUBJECTS, share_subject

logger = logging.getLogger(__name__)

TURNS_PER_LEASE = 4


class PartitionLeases:
    """One worker's leases on the partitions of a kind of work.

    Parameters
    ----------
    kind
        Kind of work, whose workers share the partitions: ``inference``, ``store``.
    apply
        Called with all partitions of this worker whenever they change: before one is released, after one is acquired.
    """

    def __init__(
        self, client: Client, settings: Settings, kind: str, apply: Callable[[set[int]], Awaitable[None]]
    ) -> None:
        self._client = client
        self._settings = settings
        self._kind = kind
        self._apply = apply
        self._prefix = share_subject(kind, "")
        self._member = f"member.{_token(socket.gethostname())}-{secrets.token_hex(6)}"
        self._leases = {f"lease.{number}": number for number in range(settings.journal_partitions)}
        self._held: dict[str, int] = {}
        self._applied: set[int] | None = None
        self._turn_s = settings.share_lease_s / TURNS_PER_LEASE
        self._js: JetStreamContext = client.jetstream(timeout=max(0.5, self._turn_s))
        self._claims = KeyValue(SHARES_STREAM, SHARES_STREAM, self._prefix, self._js, direct=False)
        self.turns = self.failed_turns = 0

    @property
    def partitions(self) -> set[int]:
        """The partitions that this worker has."""
        return {self._leases[lease] for lease in self._held}

    async def run(self) -> None:
        """Claim a fair share and renew it periodically; cancel to stop, then call ``leave``."""
        while True:
            try:
                await self._turn()
                self.turns += 1
            except (NatsError, TimeoutError, OSError) as exc:
                self.failed_turns += 1
                if self.failed_turns.bit_count() == 1:  # the 1st, 2nd, 4th, 8th … is logged
                    logger.warning("%s: the shares cannot be looked at: %s", self._kind, str(exc) or type(exc).__name__)
            # Python 3.11's wait_for, under the bus's requests, loses a cancellation that meets the answer.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError
            await asyncio.sleep(self._turn_s)

    async def leave(self) -> None:
        """Release everything, so that the others need not wait for the leases to expire."""
        released, self._held = list(self._held.values()), {}
        with suppress(NatsError, TimeoutError, OSError):
            await self._apply_changes()
            for revision in released:
                await self._delete(revision)
            await self._delete((await self._claims.get(self._member)).revision)

    async def _turn(self) -> None:
        """Renew this worker's membership and leases, and release or claim partitions up to a fair share."""
        try:
            await self._claims.put(self._member, b"")
        except (NoStreamResponseError, NotFoundError):
            await self._make_stream()
            return
        await self._renew()
        info = await self._js.stream_info(SHARES_STREAM, subjects_filter=f"{self._prefix}>")
        claims = {subject.removeprefix(self._prefix) for subject in info.state.subjects or {}}
        fair = self._fair_share(sorted(claims - self._leases.keys()))
        await self._release(len(self._held) - fair)
        for lease in self._leases:
            if len(self._held) < fair and lease not in claims:
                claimed = await self._claim(lease, 0)
                if claimed is not None:
                    self._held[lease] = claimed
        await self._apply_changes()

    async def _renew(self) -> None:
        """Renew all leases at once; those that another worker holds now are dropped, whatever else fails."""
        held = list(self._held.items())
        answers = await asyncio.gather(*(self._claim(*known) for known in held), return_exceptions=True)
        failed: BaseException | None = None
        for (lease, _), answer in zip(held, answers, strict=True):
            if isinstance(answer, BaseException):
                failed = answer
            elif answer is None:
                logger.warning("%s: partition %d was lost to another worker", self._kind, self._leases[lease])
                del self._held[lease]
            else:
                self._held[lease] = answer
        if None in answers:
            await self._apply_changes()
        if failed is not None:
            raise failed

    def _fair_share(self, members: list[str]) -> int:
        """Return how many partitions this worker should have; the shares of all workers add up to all partitions."""
        if self._member not in members:
            return len(self._held)
        each, more = divmod(len(self._leases), len(members))
        return each + (members.index(self._member) < more)

    async def _release(self, n: int) -> None:
        """Release the last ``n`` leases, after this worker has stopped using them."""
        chosen = list(self._held)[len(self._held) - n :] if n > 0 else []
        released = [self._held.pop(lease) for lease in chosen]
        if released:
            await self._apply_changes()
        for revision in released:
            await self._delete(revision)

    async def _claim(self, lease: str, last: int) -> int | None:
        """Write a lease whose last revision is as known, and give its revision; None: another worker was there."""
        try:
            return await self._claims.update(lease, self._member.encode(), last=last)
        except KeyWrongLastSequenceError:
            return await self._claim_again(lease, last)

    async def _claim_again(self, lease: str, last: int) -> int | None:
        """Claim what is not as known: it ran out, or an acknowledgement of this worker's own got lost."""
        try:
            there = await self._claims.get(lease)
        except NotFoundError:
            return await self._claim(lease, 0) if last else None
        mine = there.value == self._member.encode()
        return await self._claim(lease, there.revision) if mine and there.revision and there.revision != last else None

    async def _delete(self, revision: int | None) -> None:
        with suppress(APIError):  # it ran out
            if revision is not None:
                await self._js.delete_msg(SHARES_STREAM, revision)

    async def _apply_changes(self) -> None:
        if self.partitions != self._applied:
            self._applied = self.partitions
            logger.info("%s: partitions %s", self._kind, sorted(self._applied) or "none")
            await self._apply(set(self._applied))

    async def _make_stream(self) -> None:
        await self._js.add_stream(
            StreamConfig(
                name=SHARES_STREAM,
                subjects=[SHARES_SUBJECTS],
                storage=StorageType.MEMORY,
                max_age=self._settings.share_lease_s,
                max_msgs_per_subject=1,
                discard=DiscardPolicy.OLD,
                duplicate_window=min(120.0, self._settings.share_lease_s),
                num_replicas=self._settings.journal_replicas,
            )
        )


def _token(name: str) -> str:
    """Return a name as a token of a subject."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)[:40]
