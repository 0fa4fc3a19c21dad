"""Order, gaps, duplicates and boots of one profile's stream; times are passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.domain import Block
from semg.ingest.streams.counters import Counters
from semg.ingest.text.text_stream import TextStream

T0_US = 1_790_000_000_000_000
WAIT_US = 25_000
PERIOD_MS = 5


class Bench:
    """A tracker at 200 Hz, fed with (device ms, arrival in ms after T0, value)."""

    def __init__(self, rate_hz: float = 200.0) -> None:
        self.counters = Counters()
        self.tracker = TextStream(21, rate_hz, WAIT_US, self.counters)
        self.blocks: list[Block] = []

    def push(self, device_ms: int, arrival_ms: float, value: float) -> None:
        self.tracker.push(device_ms, T0_US + round(arrival_ms * 1000), (value, 1.0))

    def flush(self, at_ms: float = 1e9) -> list[Block]:
        self.tracker.release(T0_US + round(at_ms * 1000))
        self.blocks += self.tracker.take()
        return self.blocks

    def feed(self, samples: Iterable[tuple[int, float, float]]) -> list[Block]:
        for sample in samples:
            self.push(*sample)
        return self.flush()


def runs(blocks: list[Block]) -> list[list[int]]:
    """Device times in ms of each run, as a reader puts them together from the flags."""
    found: list[list[int]] = []
    for block in blocks:
        if block.late:
            continue
        if block.starts_run:
            found.append([])
        found[-1] += [int(us) // 1000 for us in block.device_us]
    return found


def values(blocks: list[Block], *, late: bool = False) -> list[int]:
    return [int(value) for block in blocks if block.late is late for value in block.samples[:, 0]]


def steady(first_ms: int, n: int, arrival_ms: float, number: int = 0) -> list[tuple[int, float, float]]:
    return [(first_ms + i * PERIOD_MS, arrival_ms + i * PERIOD_MS, float(number + i)) for i in range(n)]


def test_steady_stream_is_one_run_in_one_segment() -> None:
    bench = Bench()
    blocks = bench.feed(steady(1000, 50, 0))
    assert runs(blocks) == [[1000 + 5 * i for i in range(50)]]
    assert {block.segment_id for block in blocks} == {T0_US}
    assert values(blocks) == list(range(50))


def test_lost_samples_end_the_run_and_are_counted() -> None:
    bench = Bench()
    stream = steady(1000, 40, 0)
    blocks = bench.feed(stream[:10] + stream[13:])
    assert [len(run) for run in runs(blocks)] == [10, 27]
    assert bench.counters.missing == 3
    assert bench.counters.segments == 1


def test_gap_is_held_open_only_for_the_reorder_wait() -> None:
    bench = Bench()
    bench.push(1000, 0, 0)
    bench.push(1010, 10, 2)
    assert values(bench.flush(10 + 24.9)) == [0]
    assert bench.tracker.holds
    assert values(bench.flush(10 + 25)) == [0, 2]
    assert not bench.tracker.holds


def test_overtaken_sample_is_put_in_order() -> None:
    bench = Bench()
    stream = steady(1000, 10, 0)
    stream[3], stream[5] = (*stream[5][:1], stream[3][1], stream[5][2]), (*stream[3][:1], stream[5][1], stream[3][2])
    blocks = bench.feed(stream)
    assert values(blocks) == list(range(10))
    assert len(runs(blocks)) == 1
    assert bench.counters.missing == 0
    assert bench.counters.late == 0


def test_sample_that_comes_after_its_place_is_late() -> None:
    bench = Bench()
    stream = steady(1000, 20, 0)
    missed = stream.pop(5)
    blocks = bench.feed([*stream, (missed[0], 100.0, missed[2])])
    assert values(blocks, late=True) == [5]
    assert values(blocks) == [n for n in range(20) if n != 5]
    assert bench.counters.late == 1
    assert bench.counters.segments == 1


def test_repeated_sample_is_dropped_and_other_values_at_the_same_time_are_kept() -> None:
    bench = Bench()
    blocks = bench.feed([(1000, 0, 0.0), (1005, 5, 1.0), (1005, 5.1, 1.0), (1005, 5.2, 2.0), (1000, 5.3, 0.0)])
    assert values(blocks) == [0, 1, 2]
    assert bench.counters.dropped == Counter(duplicate=2)


def test_wrap_of_the_counter_starts_a_segment_and_time_never_jumps_back() -> None:
    bench = Bench()
    top = 1 << 32
    blocks = bench.feed(((top - 50 + 5 * i) % top, 5.0 * i, float(i)) for i in range(40))
    assert [len(run) for run in runs(blocks)] == [10, 30]
    first, second = (block for block in blocks if block.starts_run)
    assert second.segment_id == T0_US + 50_000 > first.segment_id
    server = np.concatenate([block.server_us for block in blocks])
    assert np.all(np.diff(server) >= 0)
    assert server[-1] - server[0] == pytest.approx(39 * 5000, abs=1000)


def test_sample_overtaken_by_a_wrap_belongs_to_the_segment_before() -> None:
    bench = Bench()
    top = 1 << 32
    blocks = bench.feed([(top - 10, 0, 0.0), (0, 10, 2.0), (top - 5, 11, 1.0), (5, 15, 3.0), (top - 10, 16, 0.0)])
    assert bench.counters.segments == 2
    assert values(blocks) == [0, 1, 2, 3]
    assert [block.segment_id for block in blocks] == [T0_US, T0_US + 10_000]
    assert bench.counters.dropped == Counter(duplicate=1)


def test_sample_overtaken_by_the_second_one_of_a_wrap_is_late_in_the_segment_before() -> None:
    bench = Bench()
    top = 1 << 32
    blocks = bench.feed([(top - 10, 0, 0.0), (0, 10, 2.0), (5, 11, 3.0), (top - 5, 12, 1.0)])
    assert bench.counters.segments == 2
    assert values(blocks) == [0, 2, 3]
    (late,) = (block for block in blocks if block.late)
    assert late.segment_id == T0_US
    assert values([late], late=True) == [1]


def test_reboot_starts_a_segment() -> None:
    bench = Bench()
    blocks = bench.feed(steady(100_000, 20, 0) + steady(40, 20, 3000, 20))
    assert [len(run) for run in runs(blocks)] == [20, 20]
    assert len({block.segment_id for block in blocks}) == 2
    assert values(blocks) == list(range(40))


def test_quick_reboot_is_known_by_its_run_of_late_samples() -> None:
    bench = Bench()
    blocks = bench.feed(steady(0, 60, 0) + steady(0, 60, 400, 100))
    assert bench.counters.segments == 2
    assert values(blocks, late=True) == list(range(100, 115))
    assert values(blocks) == list(range(60)) + list(range(115, 160))


def test_delayed_bunch_is_no_reboot() -> None:
    bench = Bench()
    stream = steady(0, 100, 0)
    bunch = [(device, 400.0 + i * 0.01, value) for i, (device, _, value) in enumerate(stream[40:60])]
    blocks = bench.feed(stream[:40] + stream[60:80] + bunch + stream[80:])
    assert bench.counters.segments == 1
    assert values(blocks, late=True) == list(range(40, 60))
    assert bench.counters.missing == 20


def test_change_between_counter_and_epoch_starts_a_segment() -> None:
    bench = Bench()
    blocks = bench.feed(steady(1000, 10, 0) + steady(1_790_000_000_000, 10, 50, 10))
    assert len({block.segment_id for block in blocks}) == 2
    assert [len(run) for run in runs(blocks)] == [10, 10]


def test_forward_jump_that_the_arrivals_contradict_starts_a_segment() -> None:
    bench = Bench()
    bench.feed(steady(1000, 10, 0) + steady(60_000, 10, 50, 10))
    assert bench.counters.segments == 2


def test_pause_that_the_arrivals_confirm_is_a_gap() -> None:
    bench = Bench()
    blocks = bench.feed(steady(1000, 10, 0) + steady(61_000, 10, 60_000, 10))
    assert bench.counters.segments == 1
    assert [len(run) for run in runs(blocks)] == [10, 10]
    assert bench.counters.missing == (61_000 - 1045) // 5 - 1


def test_network_stall_without_loss_is_no_gap() -> None:
    bench = Bench()
    stream = steady(1000, 1000, 0)
    late = [(device, max(arrival, 4000.0), value) for device, arrival, value in stream]
    blocks = bench.feed(stream[:100] + late[100:])
    assert len(runs(blocks)) == 1
    assert bench.counters.segments == 1


def test_segment_ids_grow_even_when_the_clock_of_the_server_is_set_back() -> None:
    bench = Bench()
    blocks = bench.feed(steady(100_000, 3, 0) + steady(40, 3, -5000, 3) + steady(1_790_000_000_000, 3, -9000, 6))
    ids = [block.segment_id for block in blocks if block.starts_run]
    assert ids == sorted(set(ids))
    assert len(ids) == 3
    assert values(blocks) == list(range(9))


def test_changed_device_starts_a_run() -> None:
    bench = Bench()
    bench.feed(steady(1000, 5, 0))
    bench.tracker.set_rate(100.0)
    blocks = bench.feed([(1025, 25, 5.0), (1035, 35, 6.0), (1045, 45, 7.0)])
    assert [len(run) for run in runs(blocks)] == [5, 3]


def test_single_loss_at_500_hz_is_seen() -> None:
    bench = Bench(rate_hz=500.0)
    blocks = bench.feed([(2 * i, 2.0 * i, float(i)) for i in range(100) if i != 50])
    assert [len(run) for run in runs(blocks)] == [50, 49]
    assert bench.counters.missing == 1


@st.composite
def _disturbed(draw: st.DrawFn) -> list[tuple[int, float, float]]:
    """A stream with loss, duplicates and disorder, in order of arrival."""
    n = draw(st.integers(1, 120))
    arrivals = []
    for number in range(n):
        fate = draw(st.sampled_from(["ok"] * 12 + ["lost", "twice", "delayed", "far"]))
        device_ms = 1000 + number * PERIOD_MS
        if fate == "lost":
            continue
        delay = {"delayed": draw(st.integers(0, 24)), "far": draw(st.integers(0, 400))}.get(fate, 0)
        arrivals.append((device_ms, number * PERIOD_MS + delay + 0.001 * number, float(number)))
        if fate == "twice":
            again = draw(st.integers(0, 300))
            arrivals.append((device_ms, number * PERIOD_MS + again + 0.001 * number + 0.0005, float(number)))
    return sorted(arrivals, key=lambda item: item[1])


@pytest.mark.slow
@settings(max_examples=150)
@given(_disturbed(), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_any_interleaving_gives_each_sample_once_in_order_and_no_run_over_a_gap(
    arrivals: list[tuple[int, float, float]], chunks: list[int]
) -> None:
    bench, at = Bench(), 0
    chunk = 0
    while at < len(arrivals):
        size = chunks[chunk % len(chunks)]
        for sample in arrivals[at : at + size]:
            bench.push(*sample)
        at, chunk = min(at + size, len(arrivals)), chunk + 1
        bench.flush(arrivals[at - 1][1])
    blocks = bench.flush()
    assert sorted(values(blocks) + values(blocks, late=True)) == sorted({int(value) for *_, value in arrivals})
    n_accepted = sum(block.n_samples for block in blocks)
    assert n_accepted + bench.counters.dropped["duplicate"] == len(arrivals)
    for run in runs(blocks):
        steps = np.diff(run)
        assert np.all(steps == PERIOD_MS), "a run holds consecutive samples only"
    for segment in {block.segment_id for block in blocks}:
        ordered = [block for block in blocks if block.segment_id == segment and not block.late]
        device = np.concatenate([block.device_us for block in ordered])
        server = np.concatenate([block.server_us for block in ordered])
        assert np.all(np.diff(device) > 0)
        assert np.all(np.diff(server) >= 0)
    assert bench.counters.late == len(values(blocks, late=True))


@settings(max_examples=60)
@given(_disturbed(), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_how_the_stream_is_cut_into_batches_does_not_change_the_runs(
    arrivals: list[tuple[int, float, float]], chunks: list[int]
) -> None:
    whole, cut = Bench(), Bench()
    whole.feed(arrivals)
    at, chunk = 0, 0
    while at < len(arrivals):
        size = chunks[chunk % len(chunks)]
        for sample in arrivals[at : at + size]:
            cut.push(*sample)
        cut.blocks += cut.tracker.take()
        at, chunk = at + size, chunk + 1
    cut.flush()
    assert runs(whole.blocks) == runs(cut.blocks)
    assert sorted(values(whole.blocks, late=True)) == sorted(values(cut.blocks, late=True))
