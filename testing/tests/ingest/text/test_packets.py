"""Devices that send packets, wrong units or with a number twice: what is stored, and what each is called."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.block_table import BlockTable
from semg.domain import Block, ConditioningSpec, DecisionSpec, Device, WindowSpec
from semg.inference.streams import ActiveModel, Streams
from semg.ingest.pipeline import Pipeline
from semg.ingest.stream_health import StreamHealth, judge_stream
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.text.active_senders import TAKEOVER_US
from semg.ingest.text.text_stream import TextStream
from semg.settings import PROJECT_DIR
from semg.signals.model.classifier import ClassifierSpec
from semg.wire.udp import EPOCH_MS_FROM

T0_US = 1_790_000_000_000_000
WAIT_US = 25_000
PERIOD_US = 5000
DEVICE = Device(21, ("a0", "a1"), 200.0, adc_min=0, adc_max=1023, allow_v1=True)
FIRST, SECOND = ("10.0.0.1", 9), ("10.0.0.2", 9)
CASES = PROJECT_DIR.parent / "shared" / "cases" / "udp_datagrams.txt"

Sent = tuple[int, bytes, tuple[str, int]]


class Bench:
    """A pipeline with one profile, fed with datagrams at their moments of arrival."""

    def __init__(self, device: Device = DEVICE) -> None:
        self.counters = Counters()
        self.pipeline = Pipeline(WAIT_US, self.counters)
        self.pipeline.set_devices([device])
        self.device, self.blocks = device, list[Block]()
        self.now_us = T0_US
        self.pipeline.streams_table(T0_US - 1)

    def send(self, sent: list[Sent], batch: int = 3) -> None:
        """Send ``(received µs after T0, datagram, address)`` in batches; the report of each second is made."""
        for first in range(0, len(sent), batch):
            some = sent[first : first + batch]
            arrivals = DatagramBatch.of([(datagram, T0_US + at_us, address) for at_us, datagram, address in some])
            now_us = T0_US + some[-1][0]
            if now_us // 1_000_000 > self.now_us // 1_000_000:
                self.pipeline.streams_table(now_us)
            self.now_us = now_us
            self.blocks += self.pipeline.process(arrivals, now_us).blocks()

    def finish(self) -> list[Block]:
        self.blocks += self.pipeline.finish(self.now_us).blocks()
        return self.blocks

    def health(self, *, active_s: float | None = None) -> StreamHealth:
        received = self.pipeline.streams_table(self.now_us)
        return judge_stream("Ada", self.device, received.get(21), active_s=active_s)


def text(ms: int, number: int) -> bytes:
    return b"21,%d,%d,%d" % (ms, 400 + number % 200, 500 - number % 7)


def in_packets(n: int, packet: int, first_ms: int = 1000) -> list[Sent]:
    """Samples at 200 Hz that arrive together, with the time of their packet."""
    return [
        (PERIOD_US * (number // packet * packet), text(first_ms + 5 * (number // packet * packet), number), FIRST)
        for number in range(n)
    ]


def alone(n: int, first_ms: int = 1000) -> list[Sent]:
    return in_packets(n, 1, first_ms)


def times(blocks: list[Block]) -> list[int]:
    return [int(us) for block in blocks for us in block.device_us]


def numbers(blocks: list[Block]) -> list[int]:
    return [int(value) - 400 for block in blocks for value in block.samples[:, 0]]


def windows_of(blocks: list[Block]) -> list[tuple[int, bytes]]:
    """What inference would make of the blocks: device time and bytes of each window."""
    window = WindowSpec(200.0, 250, 50, 100)
    spec = ClassifierSpec(("rest", "fist"), ("a0", "a1"), window, ConditioningSpec("raw", 200.0), DecisionSpec())
    streams = Streams({21: ActiveModel(21, 1, spec, (0, 1), 2, DecisionSpec())}.get)
    found = []
    for block in blocks:
        for due in streams.push(BlockTable.from_blocks([block]), 0.0):
            found += zip(due.cut.device_us.tolist(), [one.tobytes() for one in due.cut.windows], strict=True)
    return found


# Packets


@pytest.mark.parametrize("packet", [2, 5, 10])
def test_samples_of_a_packet_are_stored_at_their_own_times_and_make_the_windows_of_single_ones(packet: int) -> None:
    bench, single = Bench(), Bench()
    bench.send(in_packets(400, packet), batch=2 * packet)
    single.send(alone(400))
    assert times(bench.finish()) == times(single.finish()) == [1_000_000 + 5000 * number for number in range(400)]
    assert numbers(bench.blocks) == numbers(single.blocks)
    assert sum(block.starts_run for block in bench.blocks) == 1
    assert windows_of(bench.blocks) == windows_of(single.blocks) != []


def test_packet_in_one_datagram_is_as_good_as_one_in_several() -> None:
    sent = in_packets(200, 4)
    joined = [
        (sent[first][0], b"\n".join(datagram for _, datagram, _ in sent[first : first + 4]) + b"\r\n", FIRST)
        for first in range(0, 200, 4)
    ]
    bench, several = Bench(), Bench()
    bench.send(joined, batch=1)
    several.send(sent, batch=4)
    assert times(bench.finish()) == times(several.finish())
    assert numbers(bench.blocks) == numbers(several.blocks) == [number % 200 for number in range(200)]
    assert bench.counters.accepted == 200


def test_repeated_datagram_is_told_from_equal_samples_in_one_datagram() -> None:
    bench = Bench()
    packet = b"21,1000,5,5\n21,1000,5,5\n21,1000,6,6"
    bench.send([(0, packet, FIRST), (10, packet, FIRST), (15_000, packet.replace(b"1000", b"1015"), FIRST)])
    assert [float(value) for block in bench.finish() for value in block.samples[:, 0]] == [5, 5, 6] * 2
    assert times(bench.blocks) == [1_000_000 + 5000 * number for number in range(6)]
    assert bench.counters.dropped == Counter(duplicate=3)


def test_second_sample_that_equals_the_first_is_kept_and_a_repetition_is_dropped() -> None:
    sent = in_packets(60, 2)
    equal = [(at_us, text(1000 + 5 * (number // 2 * 2), number // 2), FIRST) for number, (at_us, *_) in enumerate(sent)]
    mixed = sent[:20] + equal[20:40] + sent[40:]
    bench = Bench()
    bench.send(mixed)
    assert times(bench.finish()) == [1_000_000 + 5000 * number for number in range(60)]
    assert bench.counters.dropped == Counter()
    twice = [(at_us + extra, datagram, address) for at_us, datagram, address in sent for extra in (0, 200)]
    repeated = Bench()
    repeated.send(twice)
    assert numbers(repeated.finish()) == list(range(60))
    assert repeated.counters.dropped == Counter(duplicate=60)


def test_lost_packet_is_a_gap_and_the_rest_is_whole() -> None:
    sent = in_packets(200, 4)
    bench = Bench()
    bench.send(sent[:80] + sent[84:])
    bench.finish()
    assert sum(block.starts_run for block in bench.blocks) == 2
    assert bench.counters.missing == 4
    assert numbers(bench.blocks) == [*range(80), *range(84, 200)]


def test_overtaken_packet_is_put_in_order() -> None:
    sent = in_packets(80, 2)
    overtaken = [(sent[42][0] + 100, *one[1:]) for one in sent[40:42]]
    swapped = sent[:40] + sent[42:44] + overtaken + sent[44:]
    bench = Bench()
    bench.send(swapped, batch=1)
    assert times(bench.finish()) == [1_000_000 + 5000 * number for number in range(80)]
    assert numbers(bench.blocks) == list(range(80))
    assert (bench.counters.late, bench.counters.missing) == (0, 0)


def test_accuracy_of_the_clock_is_never_better_than_the_time_stamps() -> None:
    for packet, least_ms in ((1, 1.0), (4, 20.0)):
        bench = Bench()
        bench.send(in_packets(800, packet))
        (row,) = bench.pipeline.sources_table(bench.now_us)
        assert row["clock_error_ms"] >= least_ms
        assert bench.pipeline.streams_table(bench.now_us)[21].clock_error_ms == row["clock_error_ms"]


@st.composite
def traffic(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """``(received µs, device ms, value)`` of packets of changing sizes, lost, repeated, delayed."""
    sent, device_ms, at_us, number = [], draw(st.sampled_from([1000, EPOCH_MS_FROM - 200])), 0, 0
    for _ in range(draw(st.sampled_from([10, 30, 60]))):
        n = draw(st.sampled_from([1, 1, 2, 2, 2, 3]))
        fate = draw(st.integers(0, 20))
        for _ in range(n):
            for _ in range(2 if fate == 1 else 1):
                delay = draw(st.sampled_from([0, 0, 0, 0, 300, 12_000, 60_000]))
                if fate != 0:
                    sent.append((T0_US + at_us + delay, device_ms, draw(st.sampled_from([number, 0]))))
            number += 1
        device_ms = 5 if fate == 2 else device_ms + 5 * n + draw(st.sampled_from([0, 0, 0, 1]))
        at_us += 5000 * n
    return sorted(sent, key=lambda item: item[0])


@pytest.mark.slow
@settings(max_examples=200)
@given(traffic(), st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_packets_in_batches_are_those_of_one_by_one(sent: list[tuple[int, int, int]], cuts: list[int]) -> None:
    expected_counters = Counters()
    tracker, expected = TextStream(21, 200.0, WAIT_US, expected_counters), []
    bench, at, turn = Bench(), 0, 0
    while at < len(sent):
        some = sent[at : at + cuts[turn % len(cuts)]]
        at, turn = at + len(some), turn + 1
        datagrams = [(b"21,%d,%d,1" % (ms, value), received_us, FIRST) for received_us, ms, value in some]
        bench.blocks += bench.pipeline.process(DatagramBatch.of(datagrams), some[-1][0]).blocks()
        for received_us, ms, value in some:
            tracker.push(ms, received_us, (float(value), 1.0))
        tracker.release(some[-1][0])
        expected += tracker.take()
    tracker.release(0, everything=True)
    expected += tracker.take()
    bench.finish()
    for late in (False, True):
        assert _told(bench.blocks, late) == _told(expected, late)
    assert bench.counters.dropped == expected_counters.dropped
    n_stored = sum(block.n_samples for block in bench.blocks)
    assert n_stored + sum(bench.counters.dropped.values()) == len(sent)


def _told(blocks: list[Block], late: bool) -> list[tuple[int, int, float]]:
    return [
        (block.segment_id, int(us), float(value))
        for block in blocks
        if block.late is late
        for us, value in zip(block.device_us, block.samples[:, 0], strict=True)
    ]


# Wrong times


@pytest.mark.parametrize("rate_hz", [100.0, 200.0, 1000.0])
def test_microseconds_are_named_and_make_no_segment_for_each_sample(rate_hz: float) -> None:
    device = Device(21, ("a0", "a1"), rate_hz, adc_max=1023, allow_v1=True)
    period_us = round(1e6 / rate_hz)
    bench = Bench(device)
    bench.send([(period_us * n, text(1_000_000 + period_us * n, n), FIRST) for n in range(1000)])
    assert len(bench.finish()) <= 4
    assert bench.counters.segments <= 2
    assert bench.counters.dropped["time_unit"] >= 990
    health = bench.health()
    assert (health.level, health.code, health.blocks) == ("bad", "time_unit", True)
    assert f"advances by about {period_us:,} per sample" in health.sentence
    assert "microseconds" in health.sentence


def test_seconds_are_named_and_stop_after_a_second_of_samples() -> None:
    bench = Bench()
    bench.send([(PERIOD_US * n, text(1000 + n // 200, n), FIRST) for n in range(3000)])
    stored = times(bench.finish())
    assert len(stored) < 300
    assert (np.diff(stored) > 0).all()
    health = bench.health()
    assert (health.level, health.code, health.blocks) == ("bad", "time_stands", True)


def test_time_that_is_none_is_named() -> None:
    rng = np.random.default_rng(1)
    bench = Bench()
    bench.send([(PERIOD_US * n, text(int(rng.integers(0, 1 << 31)), n), FIRST) for n in range(1000)])
    assert len(bench.finish()) < 30
    assert bench.health().code == "time_jump"


def test_boot_is_stored_from_its_first_sample_on() -> None:
    bench = Bench()
    bench.send(alone(100, 50_000) + [(3_000_000 + at_us, datagram, FIRST) for at_us, datagram, _ in alone(100, 40)])
    bench.finish()
    assert [block.segment_id for block in bench.blocks if block.starts_run] == [T0_US, T0_US + 3_000_000]
    assert numbers(bench.blocks) == [*range(100), *range(100)]


def test_single_sample_of_another_time_is_dropped_and_the_stream_goes_on() -> None:
    sent = alone(100)
    bench = Bench()
    bench.send([*sent[:50], (sent[50][0], b"21,900000,1,1", FIRST), *sent[50:]])
    bench.finish()
    assert numbers(bench.blocks) == list(range(100))
    assert sum(block.starts_run for block in bench.blocks) == 1
    assert bench.counters.dropped == Counter(time_jump=1)


# Two devices


def two(first_ms: int, second_ms: int, n: int = 400) -> Iterator[Sent]:
    for number in range(n):
        yield PERIOD_US * number, text(first_ms + 5 * number, number), FIRST
        yield PERIOD_US * number + 2000, text(second_ms + 5 * number, number + 100), SECOND


@pytest.mark.parametrize("second_ms", [900_000, 1002])
@pytest.mark.parametrize("second", [SECOND, ("10.0.0.1", 10)])
def test_second_board_with_a_number_is_named_and_the_first_one_is_whole(
    second_ms: int, second: tuple[str, int]
) -> None:
    sent = [(at_us, datagram, FIRST if sender == FIRST else second) for at_us, datagram, sender in two(1000, second_ms)]
    bench = Bench()
    bench.send(sent)
    bench.finish()
    # On one host the first datagram from a second port may be a program's that opens a port for each.
    is_unsure = second != SECOND
    assert bench.counters.dropped["second_sender"] == 400 - is_unsure
    assert bench.counters.dropped["time_jump"] == (is_unsure and second_ms == 900_000)
    stored = [number for number in numbers(bench.blocks) if number != 100 or not is_unsure]
    assert stored == [number % 200 for number in range(400) if number % 200 != 100 or not is_unsure]
    assert bench.counters.segments == 1
    health = bench.health()
    assert (health.level, health.code, health.blocks) == ("bad", "second_sender", True)


def test_silent_sender_is_followed_by_the_next() -> None:
    bench = Bench()
    later_us = 100 * PERIOD_US + TAKEOVER_US
    bench.send(alone(100) + [(later_us + at_us, datagram, SECOND) for at_us, datagram, _ in alone(100, 40)])
    bench.finish()
    assert numbers(bench.blocks) == [*range(100), *range(100)]
    assert bench.counters.dropped == Counter()


def test_program_with_a_port_for_each_datagram_is_one_sender() -> None:
    bench = Bench()
    bench.send([(at_us, datagram, ("10.0.0.1", 2000 + n)) for n, (at_us, datagram, _) in enumerate(alone(600))])
    bench.finish()
    assert len(numbers(bench.blocks)) == 600
    assert bench.counters.dropped == Counter()


# What is judged


def test_good_stream_is_good_with_its_figures() -> None:
    bench = Bench()
    bench.send(alone(2400))
    health = bench.health()
    assert (health.level, health.code, health.fix) == ("good", "good", None)
    assert health.figures.startswith("200 samples/s · 0.0% lost · 0% refused · 0 gaps")


def test_values_outside_the_range_are_named_with_a_range_that_fits() -> None:
    bench = Bench(Device(21, ("a0", "a1"), 200.0, adc_min=-128, adc_max=127, allow_v1=True))
    bench.send(alone(1000))
    health = bench.health()
    assert (health.level, health.code) == ("bad", "range")
    assert health.fix is not None
    assert dict(health.fix.values) == {"adc_min": 0.0, "adc_max": 1023.0}


def test_wrong_rate_is_named_with_the_rate_that_comes() -> None:
    bench = Bench(Device(21, ("a0", "a1"), 500.0, adc_max=1023, allow_v1=True))
    bench.send(alone(2000))
    health = bench.health()
    assert (health.level, health.code) == ("bad", "rate")
    assert health.fix is not None
    assert dict(health.fix.values) == {"rate_hz": 200}


def test_wrong_number_of_channels_is_named_with_both() -> None:
    bench = Bench(Device(21, tuple("abcdefgh"), 200.0, allow_v1=True))
    bench.send(alone(1000))
    health = bench.health()
    assert (health.level, health.code, health.blocks) == ("bad", "channel_count", True)
    assert "sends 2 channels, but 8 are set" in health.sentence
    assert numbers(bench.finish()) == []


def test_loss_restarts_and_silence_are_told_apart() -> None:
    lossy = Bench()
    lossy.send([one for number, one in enumerate(alone(2000)) if number % 10])
    assert (lossy.health().level, lossy.health().code) == ("bad", "lost")
    restarts = Bench()
    restarts.send([(PERIOD_US * n, text(100 * (9 - n // 200) * 60 + 5 * (n % 200), n), FIRST) for n in range(2000)])
    assert (restarts.health().level, restarts.health().code) == ("bad", "starts")
    restarts.now_us += 10_000_000
    assert restarts.health().level == "silent"


def test_stream_that_resumes_is_judged_from_then_on() -> None:
    bench = Bench()
    bench.send(alone(1000))
    pause_us = 20_000_000
    bench.send([(pause_us + at_us, text(1000 + 20_000 + 5 * n, n), FIRST) for n, (at_us, *_) in enumerate(alone(1000))])
    assert bench.health().code == "good"
    received = bench.pipeline.streams_table(bench.now_us)[21]
    assert received.seconds < 6
    assert received.samples / received.seconds == pytest.approx(200, rel=0.02)


def test_stream_without_windows_is_not_good_when_a_model_waits_for_them() -> None:
    bench = Bench()
    bench.send(alone(2400))
    health = bench.health(active_s=60)
    assert (health.level, health.code) == ("bad", "no_windows")


def test_version_that_was_just_activated_is_waited_for() -> None:
    bench = Bench()
    bench.send(alone(2400))
    assert bench.health(active_s=5).code == "good"


# The datagrams of ../shared/cases


@pytest.mark.recordings
@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_kept_datagrams_are_taken_or_named() -> None:
    found: dict[str, list[bytes]] = {}
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and line[3:4] == ".":
            found[line[2]] = own = []
        elif line.startswith("b'"):
            own.append(ast.literal_eval(line).replace(b"U", b"21"))
    taken = {}
    for name, datagrams in found.items():
        bench = Bench()
        bench.send([(PERIOD_US * n, datagram, FIRST) for n, datagram in enumerate(datagrams)], batch=1)
        taken[name] = [block.samples.tolist() for block in bench.finish()], dict(bench.counters.dropped)
    values = {name: [sample for block in blocks for sample in block] for name, (blocks, _) in taken.items()}
    assert values["A"] == [[500, 510], [501, 509], [502, 508], [503, 507]]
    assert values["D"] == [[2051, 777], [2051, 7]]
    assert values["E"] == [[500, 510]]
    assert values["F"] == [[500, 510], [501, 509]]
    assert taken["G"] == ([], {"json": 1})
