"""Blocks to whoever wants them now: core NATS, which may lose them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nats.aio.client import Client
from nats.errors import Error as NatsError

from semg.domain import Block
from semg.ingest.counters import Counters
from semg.wire.blocks import encode_blocks, encoded_size
from semg.wire.messages import live_subject, partition_of, samples_subject

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 900_000
"""NATS refuses more than 1 MB."""


class LivePublisher:
    """Publishes each flush twice: all profiles together for inference, each profile by itself for its watchers.

    ``semg.live.<partition>`` does not wait for the journal to acknowledge what came before, as a reader of the
    journal's subject would. What is due while NATS is away is left out; a profile's first block after that starts a
    run.
    """

    def __init__(self, client: Client, counters: Counters, partitions: int) -> None:
        self._client = client
        self._counters = counters
        self._partitions = partitions
        self._connection = -1
        self._continued: set[int] = set()

    async def publish(self, blocks: Iterable[Block]) -> None:
        """Publish blocks; late ones are for the journal only."""
        if not self._client.is_connected or self._client.stats["reconnects"] != self._connection:
            self._connection = self._client.stats["reconnects"]
            self._continued.clear()
        if not self._client.is_connected:
            return
        by_profile: dict[int, list[Block]] = {}
        for block in blocks:
            if not block.late:
                by_profile.setdefault(block.user_id, []).append(block)
        for user_id, own in by_profile.items():
            if user_id not in self._continued:
                own[0] = replace(own[0], starts_run=True)
        try:
            await self._publish_together(by_profile)
            for user_id, own in by_profile.items():
                await self._client.publish(samples_subject(user_id), encode_blocks(own))
        except (NatsError, OSError) as exc:
            logger.debug("live: %s", exc)
            self._continued.difference_update(by_profile)
            return
        self._continued.update(by_profile)
        self._counters.live_messages += len(by_profile)

    async def _publish_together(self, by_profile: dict[int, list[Block]]) -> None:
        by_partition: dict[int, list[Block]] = {}
        for user_id, own in by_profile.items():
            by_partition.setdefault(partition_of(user_id, self._partitions), []).extend(own)
        for partition, blocks in by_partition.items():
            for part in _parts(blocks):
                await self._client.publish(live_subject(partition), encode_blocks(part))


def _parts(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Give blocks in parts that each fit a message."""
    part: list[Block] = []
    size = 0
    for block in blocks:
        if part and size + encoded_size(block) > MAX_MESSAGE_BYTES:
            yield part
            part, size = [], 0
        part.append(block)
        size += encoded_size(block)
    if part:
        yield part
