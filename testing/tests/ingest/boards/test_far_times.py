"""Signed datagrams and text whose device time is far from their arrival: stored near it, or refused and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from semg.domain import Block
from semg.ingest.streams.datagram_batch import Datagram
from semg.wire.plausible_times import AHEAD_US, BEHIND_US
from semg.wire.udp2 import MAX_PERIOD_NS, DatagramV2, encode_v2
from testing.kits.board_kit import ADDRESS, NOW_US, PERIOD_US, SimulatedBoard, make_pipeline, process, values

DAY_US = 86_400_000_000
Sent = tuple[int, int, int]
"""Number, device time and arrival."""


def datagrams(board: SimulatedBoard, sent: list[Sent], period_ns: int, n: int) -> list[Datagram]:
    made = []
    for number, device_us, received_us in sent:
        numbers = values(np.arange(number * n, number * n + n), 2)
        data = encode_v2(DatagramV2(board.board_id, 5, number, device_us, period_ns, numbers), board.key)
        made.append((data, received_us, ADDRESS))
    return made


def received(
    sent: list[Sent], *, at_once: int, period_ns: int = PERIOD_US * 1000, n: int = 2
) -> tuple[list[Block], Counter[str]]:
    """Return the blocks and what was dropped, from batches of ``at_once`` datagrams."""
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    blocks = []
    for batch in batches(datagrams(board, sent, period_ns, n), at_once):
        blocks += process(pipeline, batch, batch[-1][1])
    return blocks + pipeline.finish(NOW_US).blocks(), pipeline.counters.dropped


def batches(sent: Sequence[Datagram], at_once: int) -> Iterator[Sequence[Datagram]]:
    for first in range(0, len(sent), at_once):
        yield sent[first : first + at_once]


def furthest_us(blocks: list[Block]) -> int:
    return max(int(np.abs(block.server_us - block.received_us).max()) for block in blocks)


@pytest.mark.parametrize("at_once", [1, 4])
def test_two_datagrams_of_different_ages_lie_at_their_arrival(at_once: int) -> None:
    sent = [(0, 1_000_000, NOW_US), (1, 1 << 61, NOW_US + 300_000), (2, (1 << 61) + 10_000, NOW_US + 310_000)]
    blocks, dropped = received(sent, at_once=at_once)
    assert sum(block.n_samples for block in blocks) == 6
    assert furthest_us(blocks) <= 20_000
    assert len({block.segment_id for block in blocks}) == 2
    assert dropped == Counter()


@pytest.mark.parametrize("at_once", [1, 20])
def test_datagrams_two_days_apart_make_no_days(at_once: int) -> None:
    sent = [(number, 1_000_000 + number * 2 * DAY_US, NOW_US + number * 1000) for number in range(400)]
    blocks, _ = received(sent, at_once=at_once)
    assert {int(block.server_us[0]) // DAY_US for block in blocks} == {NOW_US // DAY_US}


def test_late_datagram_of_another_time_is_dropped_and_counted() -> None:
    board_us = [1_000_000 + PERIOD_US * 2 * number for number in range(6)]
    sent = [(number, board_us[number], NOW_US + 10_000 * number) for number in (0, 1, 3, 5)]
    late = [(2, 1 << 60, NOW_US + 200_000), (4, board_us[4], NOW_US + 200_000)]
    blocks, dropped = received(sent + late, at_once=1)
    assert [int(block.samples[0, 0]) for block in blocks if block.late] == [8]
    assert dropped == Counter(time_jump=2)
    assert furthest_us(blocks) < 1_000_000


@pytest.mark.parametrize("at_once", [1, 10])
def test_stream_that_runs_ahead_without_a_gap_is_brought_back(at_once: int) -> None:
    period_us, n = MAX_PERIOD_NS // 1000, 20
    sent = [(number, number * n * period_us, NOW_US + number * 20_000) for number in range(400)]
    blocks, dropped = received(sent, at_once=at_once, period_ns=MAX_PERIOD_NS, n=n)
    assert sent[-1][1] > 150_000_000, "it claims minutes in eight seconds"
    assert sum(block.n_samples for block in blocks) + sum(dropped.values()) == 400 * n
    ahead = max(int((block.server_us - block.received_us).max()) for block in blocks)
    assert AHEAD_US // 2 < ahead <= AHEAD_US + 1_000_000
    assert len({block.segment_id for block in blocks}) > 3


def test_single_and_batched_give_the_same_blocks_of_a_stream_that_jumps() -> None:
    ahead_us = [0, 0, 20_000_000, 20_000_000, 90_000_000, 90_000_000, 3 * DAY_US]
    sent = [
        (number, number * 10_000 + ahead_us[number // 50], NOW_US + number * 10_000 + ahead_us[number // 50] // 2)
        for number in range(350)
    ]
    single, batched = (
        [
            (block.segment_id, block.starts_run, block.late, block.clock_offset_us, block.device_us.tolist())
            for block in received(sent, at_once=at_once)[0]
        ]
        for at_once in (1, 10)
    )
    assert single == batched
    assert len({segment_id for segment_id, *_ in single}) == 3


@pytest.mark.parametrize("at_once", [1, 10])
def test_outage_of_minutes_with_a_backlog_stays_in_its_segment(at_once: int) -> None:
    live = [(number, number * 10_000, NOW_US + number * 10_000) for number in range(100)]
    back_us = NOW_US + 1_000_000 + BEHIND_US - 30_000_000
    backlog = [(100 + number, 1_000_000 + number * 10_000, back_us + number * 100) for number in range(200)]
    blocks, dropped = received(live + backlog, at_once=at_once)
    assert len({block.segment_id for block in blocks}) == 1
    assert dropped == Counter()
    server_us = np.concatenate([block.server_us for block in blocks])
    assert np.abs(server_us - (NOW_US + np.concatenate([block.device_us for block in blocks]))).max() < 20_000


def test_text_that_runs_ahead_without_a_gap_is_brought_back() -> None:
    pipeline = make_pipeline()
    sent = [(f"21,{10_000 + 5 * n},{n % 100},1".encode(), NOW_US + 1000 * n, ADDRESS) for n in range(15_000)]
    blocks = []
    for batch in batches(sent, 25):
        blocks += process(pipeline, batch, batch[-1][1])
    blocks += pipeline.finish(NOW_US + 20_000_000).blocks()
    ahead = max(int((block.server_us - block.received_us).max()) for block in blocks)
    assert AHEAD_US // 2 < ahead <= AHEAD_US + 1_000_000
    assert len({block.segment_id for block in blocks}) == 2
