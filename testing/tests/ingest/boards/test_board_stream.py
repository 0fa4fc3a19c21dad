"""Binary datagrams put in order: nothing twice, nothing over a gap, time exact; without the socket."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.domain import Device
from semg.ingest.boards.board_stream import MAX_HELD
from semg.ingest.boards.sequences import REMEMBERED, SEQUENCES, SeenSequences
from semg.ingest.stream_health import StreamHealth, judge_stream
from semg.wire.udp2 import DatagramV2, Flag, encode_v2
from testing.kits.board_kit import (
    NOW_US,
    PERIOD_US,
    WAIT_US,
    SimulatedBoard,
    feed,
    make_pipeline,
    numbers_of,
    process,
    values,
)

CHANNELS = 3


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[SimulatedBoard, list[tuple[int, bytes]], dict[bytes, list[int]]]:
    """A board, its datagrams as they arrive (loss, copies, disorder), and the sample numbers of each."""
    board = SimulatedBoard(channels=CHANNELS, first=draw(st.sampled_from([0, 1000, SEQUENCES - 5, SEQUENCES - 20])))
    arrivals, carried = [], {}
    for _ in range(draw(st.integers(1, 40))):
        if draw(st.integers(0, 9)) == 0:
            board.skip(draw(st.integers(1, 50)))
        first, n_samples = board.number, draw(st.integers(1, 6))
        data = board.next(n_samples)
        carried[data] = list(range(first, first + n_samples))
        sent_us = NOW_US + board.number * PERIOD_US
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 1, 1, 2]))):
            arrivals.append((sent_us + draw(st.sampled_from([0, 0, 0, 100, 9000, 30_000, 120_000])), data))
    return board, sorted(arrivals, key=lambda arrival: arrival[0]), carried


@pytest.mark.slow
@settings(max_examples=300)
@given(made=deliveries(), cuts=st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_every_sample_comes_once_in_order_and_no_run_crosses_a_gap(made, cuts: list[int]) -> None:
    board, arrivals, carried = made
    pipeline = make_pipeline(board.known(), channels=CHANNELS)
    blocks, at, turn = [], 0, 0
    while at < len(arrivals):
        batch = arrivals[at : at + cuts[turn % len(cuts)]]
        blocks += process(pipeline, [(data, us, ("10.0.0.1", 1)) for us, data in batch], batch[-1][0])
        at, turn = at + len(batch), turn + 1
    blocks += pipeline.finish(NOW_US).blocks()
    assert not pipeline.holds

    expected = sorted(number for data in {data for _, data in arrivals} for number in carried[data])
    assert sorted(numbers_of(blocks)) == expected
    in_order = numbers_of(block for block in blocks if not block.late)
    assert in_order == sorted(in_order)
    for block in blocks:
        numbers = block.samples[:, 0].astype(int)
        assert block.device_us.tolist() == (board.start_us + numbers * PERIOD_US).tolist()
        assert np.array_equal(block.samples, values(numbers, CHANNELS))
    last, last_server_us = None, 0
    for block in (block for block in blocks if not block.late):
        first = int(block.samples[0, 0])
        assert block.starts_run == (last is None or first != last + 1)
        assert int(block.server_us[0]) >= last_server_us, "server time does not run back"
        last, last_server_us = int(block.samples[-1, 0]), int(block.server_us[-1])
    counters = pipeline.counters
    assert counters.dropped == Counter(duplicate=len(arrivals) - len({data for _, data in arrivals})) - Counter()
    assert counters.accepted == len(expected)
    assert counters.late == len(expected) - len(in_order)
    gaps = sum(step - 1 for step in np.diff(in_order))
    assert counters.missing == gaps
    assert len({block.segment_id for block in blocks}) == min(1, len(arrivals)) == counters.segments


@given(data=st.data())
def test_seen_window_equals_a_set(data: st.DataObject) -> None:
    first = data.draw(st.integers(0, SEQUENCES - 1))
    seen, newest, known = SeenSequences(first), first, {first}
    for _ in range(30):
        number = newest + data.draw(st.one_of(st.integers(-20, 20), st.integers(-REMEMBERED - 3, REMEMBERED + 3)))
        assert seen.number_of(number % SEQUENCES) == number
        expected = "replayed" if number <= newest - REMEMBERED else "duplicate" if number in known else ""
        assert seen.refusal(number) == expected
        if not expected:
            known.add(number)
        newest = max(newest, number)


def test_edges_of_the_seen_window() -> None:
    seen = SeenSequences(0)
    assert seen.refusal(REMEMBERED) == ""
    assert seen.refusal(0) == "replayed"
    assert seen.refusal(1) == ""
    assert seen.refusal(1) == "duplicate"
    assert seen.refusal(2 * REMEMBERED - 1) == ""
    assert seen.refusal(REMEMBERED) == "duplicate", "the oldest that is remembered"


def test_one_missing_sample_at_1000_hz_is_a_gap() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    sent = [
        encode_v2(DatagramV2(7, 5, n, 1000 * n, 1_000_000, values(np.arange(n, n + 1), 2)), board.key) for n in range(4)
    ]
    blocks = feed(pipeline, sent[0], sent[1], sent[3]) + process(pipeline, [], NOW_US + WAIT_US)
    assert [block.starts_run for block in blocks] == [True, False, True], "by its sequence: the step is below 2.5 ms"
    assert pipeline.counters.missing == 1


def test_moment_of_arrival_decides_and_not_the_batch() -> None:
    for together in (True, False):
        board = SimulatedBoard()
        pipeline = make_pipeline(board.known())
        first, missing, after = board.next(), board.next(), board.next()
        moments = [(first, NOW_US), (after, NOW_US), (missing, NOW_US + WAIT_US)]
        arrivals = [(data, at_us, ("10.0.0.1", 1)) for data, at_us in moments]
        batches = [arrivals] if together else [[arrival] for arrival in arrivals]
        blocks = [block for batch in batches for block in process(pipeline, batch, batch[-1][1])]
        assert [(numbers_of([block])[0], block.starts_run, block.late) for block in blocks] == [
            (0, True, False), (8, True, False), (4, False, True),
        ]  # fmt: skip


def test_block_leaves_at_once_when_nothing_is_missing() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    for turn in range(5):
        (block,) = feed(pipeline, board.next(10), at_us=NOW_US + turn)
        assert block.starts_run == (turn == 0)
        assert block.received_us.tolist() == [NOW_US + turn] * 10
        assert not pipeline.holds


def test_missing_datagram_is_waited_for_and_then_a_gap_of_its_samples() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next(4))
    lost = board.next(7)
    assert feed(pipeline, board.next(4), at_us=NOW_US + 1) == []
    assert pipeline.holds
    assert process(pipeline, [], NOW_US + WAIT_US) == []
    (block,) = process(pipeline, [], NOW_US + 1 + WAIT_US)
    assert block.starts_run
    assert pipeline.counters.missing == 7
    (late,) = feed(pipeline, lost, at_us=NOW_US + 2 * WAIT_US)
    assert (late.late, late.starts_run, late.segment_id) == (True, False, block.segment_id)
    assert pipeline.counters.late == 7
    assert feed(pipeline, lost, at_us=NOW_US + 3 * WAIT_US) == []
    assert pipeline.counters.dropped == Counter(duplicate=1)
    (block,) = feed(pipeline, board.next(4))
    assert not block.starts_run


def test_time_that_steps_on_without_a_missing_sequence_starts_a_run() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next(4))
    board.skip(3)
    (block,) = feed(pipeline, board.next(4))
    assert block.starts_run
    assert (pipeline.counters.missing, pipeline.counters.segments) == (3, 1)


def test_datagram_that_begins_before_the_last_one_ended_starts_a_segment() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    (before,) = feed(pipeline, board.next(4))
    board.start_us -= 3 * PERIOD_US
    (after,) = feed(pipeline, board.next(4))
    assert after.starts_run
    assert after.segment_id == before.segment_id + 1, "it grows even within one microsecond"


def test_clock_that_goes_back_within_a_boot_is_no_new_datagram() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next(4))
    board.start_us -= 500_000
    assert feed(pipeline, board.next(4)) == []
    assert pipeline.counters.dropped == {"replayed": 1}


def test_times_follow_the_period_in_nanoseconds() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    period_ns = 976_563
    datagram = DatagramV2(7, 5, 0, 123_456_789_012, period_ns, values(np.arange(255), 2), Flag.MISSED)
    (block,) = feed(pipeline, encode_v2(datagram, board.key))
    assert block.device_us.tolist() == [123_456_789_012 + i * period_ns // 1000 for i in range(255)]


def test_held_datagrams_are_bounded() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next(1))
    board.next(1)
    waiting = [board.next(1) for _ in range(MAX_HELD)]
    assert feed(pipeline, *waiting) == []
    blocks = feed(pipeline, board.next(1))
    assert numbers_of(blocks) == list(range(2, MAX_HELD + 3))
    assert not pipeline.holds


def test_server_clock_set_back_does_not_hold_samples_for_long() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next(1))
    board.next(1)
    assert feed(pipeline, board.next(1)) == []
    assert numbers_of(process(pipeline, [], NOW_US - 3_600_000_000)) == [2]


@pytest.mark.parametrize("drift", [0.0, 80e-6])
def test_server_times_follow_the_undelayed_datagrams(drift: float) -> None:
    board, rng = SimulatedBoard(), np.random.default_rng(3)
    pipeline = make_pipeline(board.known())
    worst_us = 0.0
    for turn in range(1500):
        data = board.next(10)
        last_us = board.start_us + (board.number - 1) * PERIOD_US
        true_us = NOW_US + last_us * (1 + drift)
        for block in feed(pipeline, data, at_us=round(true_us + rng.exponential(3000))):
            if turn > 600:
                worst_us = max(worst_us, abs(float(block.server_us[-1]) - true_us))
    assert 0 < worst_us < 2000


def test_what_a_board_tells_of_battery_and_electrodes_is_in_the_judgement_of_its_stream() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    device = Device(21, ("a0", "a1"), 1e6 / PERIOD_US, adc_min=-32768, adc_max=32767)
    now_us = NOW_US
    pipeline.streams_table(now_us)

    def judged(**told: int) -> StreamHealth:
        nonlocal now_us
        board.told = told
        for _ in range(12):
            now_us += 50 * 20 * PERIOD_US // 50
            feed(pipeline, board.next(20), at_us=now_us)
        received = pipeline.streams_table(now_us)[21]
        assert received.battery_percent == told.get("battery_percent")
        return judge_stream("Ada", device, received)

    assert judged().code == "good"
    assert judged(battery_percent=16).code == "good"
    low = judged(battery_percent=12)
    assert (low.level, low.code, low.sentence) == (
        "fair", "battery", "The battery of Ada's board is at 12 %. Charge it soon.",
    )  # fmt: skip
    off = judged(battery_percent=12, lead_off=0b10)
    assert (off.level, off.code, off.blocks) == ("bad", "lead_off", False)
    assert off.sentence.startswith("Ada's board reports no contact at a1.")
    assert judged(battery_percent=80).code == "good", "what it told last counts"
