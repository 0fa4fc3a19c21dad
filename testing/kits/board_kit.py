"""A board for the tests: signs datagrams whose samples count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from semg.domain import NEVER_SENT, Block, Device, HighWaterMark
from semg.ingest.boards.datagrams import KnownBoard
from semg.ingest.pipeline import Pipeline
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import Datagram, DatagramBatch
from semg.wire.udp2 import DatagramV2, Key, encode_v2

PERIOD_US = 5000
WAIT_US = 25_000
ADDRESS = ("10.0.0.1", 2390)
NOW_US = 1_700_000_000_000_000


class SimulatedBoard:
    """Sample *n* is taken at ``start_us + n * PERIOD_US``; its first channel is *n*, the others depend on it."""

    def __init__(
        self, board_id: int = 7, secret: bytes = bytes(32), *, boot_id: int = 5, channels: int = 2, first: int = 0
    ) -> None:
        self.board_id, self.secret, self.boot_id, self.channels = board_id, secret, boot_id, channels
        self.key = Key(secret)
        self.sequence, self.number, self.start_us = first, 0, 1_000_000
        self.told: dict[str, int] = {}

    def known(self, user_id: int | None = 21, last: HighWaterMark = NEVER_SENT) -> KnownBoard:
        return KnownBoard(self.board_id, user_id, self.key, last)

    def skip(self, samples: int) -> None:
        """Miss samples without missing a datagram, as a board does that was held up."""
        self.number += samples

    def next(self, n_samples: int = 4) -> bytes:
        numbers = np.arange(self.number, self.number + n_samples)
        datagram = DatagramV2(
            self.board_id, self.boot_id, self.sequence % (1 << 32), self.device_us(self.number),
            PERIOD_US * 1000, values(numbers, self.channels), **self.told,
        )  # fmt: skip
        self.sequence += 1
        self.number += n_samples
        return encode_v2(datagram, self.key)

    def device_us(self, number: int) -> int:
        """The board's time of a sample."""
        return self.start_us + number * PERIOD_US

    def reboot(self) -> None:
        self.boot_id += 1
        self.sequence, self.start_us = 0, 1_000_000 - self.number * PERIOD_US


def values(numbers: np.ndarray, channels: int) -> np.ndarray:
    """The samples of these numbers, int16 ``(n, channels)``."""
    return (numbers[:, None] + 1000 * np.arange(channels)).astype(np.int16)


def make_pipeline(*boards: KnownBoard, users: Iterable[int] = (21, 22), channels: int = 2) -> Pipeline:
    pipeline = Pipeline(WAIT_US, Counters())
    names = tuple(f"a{number}" for number in range(channels))
    pipeline.set_registry([Device(user_id, names, 1e6 / PERIOD_US, allow_v1=True) for user_id in users], boards)
    return pipeline


def process(pipeline: Pipeline, batch: Sequence[Datagram], now_us: int) -> list[Block]:
    return pipeline.process(DatagramBatch.of(batch), now_us).blocks()


def feed(pipeline: Pipeline, *datagrams: bytes, at_us: int = NOW_US) -> list[Block]:
    return process(pipeline, [(datagram, at_us, ADDRESS) for datagram in datagrams], at_us)


def numbers_of(blocks: Iterable[Block]) -> list[int]:
    return [int(number) for block in blocks for number in block.samples[:, 0]]
