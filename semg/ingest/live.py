"""Blocks to whoever watches now: core NATS, which may lose them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from nats.aio.client import Client
from nats.errors import Error as NatsError

from semg.domain import Block
from semg.ingest.counters import Counters
from semg.wire.blocks import encode_blocks
from semg.wire.messages import samples_subject

logger = logging.getLogger(__name__)


class LivePublisher:
    """Publishes blocks on ``semg.samples.<userid>``, one message per profile and flush.

    What is due while NATS is away is left out; a profile's first block after that starts a run.
    """

    def __init__(self, client: Client, counters: Counters) -> None:
        self._client = client
        self._counters = counters
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
                await self._client.publish(samples_subject(user_id), encode_blocks(own))
            except (NatsError, OSError) as exc:
                logger.debug("live: %s", exc)
                self._continued.discard(user_id)
                continue
            self._continued.add(user_id)
            self._counters.live_messages += 1
