"""Samples, decisions and events of a profile on the bus, as udpserver and nat_inference put them there."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from semg.domain import Block, Decision
from semg.event_types import EventSpec
from semg.process import bus
from semg.settings import Settings
from semg.signals.model.gesture_events import EventMachine
from semg.wire import messages
from testing.kits.ingest_kit import encode_blocks

PERIOD_US, CHUNK = 5000, 4
VERSION = 3
"""Of the model that seems to decide."""


class Publisher:
    """Publishes samples and decisions of a profile until told to stop, from a thread of its own."""

    def __init__(self, settings: Settings, user_id: int) -> None:
        self._settings = settings
        self._user_id = user_id
        self._stop = threading.Event()
        self.label: str | None = "fist"
        self.streams = True
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        client = await bus.connect(self._settings, "test-publisher")
        sample, started_us = 0, time.time_ns() // 1000
        machine, sequence = EventMachine(self._user_id, EventSpec(), VERSION), 1
        while not self._stop.is_set():
            if self.streams:
                now_us = time.time_ns() // 1000
                await client.publish(messages.samples_subject(self._user_id), self._block(sample, started_us, now_us))
                decision = Decision(
                    self._user_id, self.label, 0.87, VERSION, now_us, now_us, now_us - 12_000, now_us,
                    {"rest": 0.05, "fist": 0.05, "open hand": 0.03} | {self.label or "rest": 0.87}, 0.46,
                )  # fmt: skip
                message = messages.DecisionMessage.encode(decision)
                await client.publish(messages.decisions_subject(self._user_id), message)
                for event in machine.push(self.label, now_us, 0.87, 0.5):
                    numbered = replace(event, sequence=sequence)
                    text = messages.EventMessage.of(numbered).to_bytes()
                    await client.publish(messages.events_subject(self._user_id), text)
                    sequence += 1
                await client.flush()
                sample += CHUNK
            await asyncio.sleep(CHUNK * PERIOD_US / 1e6)
        await client.close()

    def _block(self, first: int, started_us: int, now_us: int) -> bytes:
        device_us = np.arange(first, first + CHUNK, dtype=np.int64) * PERIOD_US
        wave = np.sin(device_us[:, None] / 1e6 * np.array([7.0, 11.0])).astype(np.float32) * 500 + 2048
        received = np.full(CHUNK, now_us, np.int64)
        return encode_blocks(
            [Block(self._user_id, started_us, first == 0, False, started_us, device_us, received, wave)]
        )

    @contextmanager
    def running(self) -> Iterator[Publisher]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join(20)
