"""Samples that continue their streams are taken all at once: with what one by one would have given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.domain import Block, Device
from semg.ingest.pipeline import Pipeline
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.text.text_stream import TextStream
from semg.wire.udp import EPOCH_MS_FROM, encode_v1

T0_US = 1_790_000_000_000_000
WAIT_US = 25_000
DEVICES = {
    21: Device(21, ("a0", "a1"), 200.0, allow_v1=True),
    22: Device(22, ("a0", "a1"), 100.0, allow_v1=True),
    30: Device(30, ("a0", "a1", "a2"), 1000.0, allow_v1=True),
}
SENDER = ("10.0.0.1", 9)

Sent = tuple[int, int, int, tuple[float, ...]]


@st.composite
def traffic(draw: st.DrawFn) -> list[Sent]:
    """What several boards send, as it arrives: ``(received_us, user_id, device_ms, values)``."""
    sent: list[Sent] = []
    for user_id, device in DEVICES.items():
        period_ms = round(1000 / device.rate_hz)
        device_ms = draw(st.sampled_from([1000, EPOCH_MS_FROM - 30, 1_700_000_000_000]))
        at_us = T0_US + draw(st.integers(0, 5000))
        for number in range(draw(st.sampled_from([0, 20, 60, 90]))):
            values = (float(number), *(1.0 for _ in device.channels[1:]))
            happens = draw(st.integers(0, 40))
            copies = 1
            if happens == 0:
                copies = 0
            elif happens == 1:
                copies = 2
            elif happens == 2:
                device_ms = 5  # a boot
            elif happens == 3:
                device_ms += 700
                at_us += 700_000
            elif happens == 4:
                device_ms += draw(st.integers(0, 3)) - 1
            elif happens == 5:
                device_ms = max(5, device_ms - 300)  # a boot, or a board that repeats itself
            for _ in range(copies):
                delay_us = draw(st.sampled_from([0, 0, 0, 0, 300, 2000, 12_000, 60_000, 650_000]))
                sent.append((at_us + delay_us, user_id, device_ms, values))
            device_ms += period_ms
            at_us += 1000 * period_ms
    return sorted(sent, key=lambda item: item[0])


def one_by_one(batches: list[list[Sent]]) -> tuple[list[Block], Counters]:
    """Every sample through its profile's tracker."""
    counters, blocks = Counters(), []
    trackers = {user_id: TextStream(user_id, device.rate_hz, WAIT_US, counters) for user_id, device in DEVICES.items()}
    for batch in batches:
        for received_us, user_id, device_ms, values in batch:
            trackers[user_id].push(device_ms, received_us, values)
        for tracker in trackers.values():
            tracker.release(batch[-1][0])
            blocks += tracker.take()
    for tracker in trackers.values():
        tracker.release(0, everything=True)
        blocks += tracker.take()
    return blocks, counters


def told(blocks: list[Block], user_id: int, *, late: bool) -> list[tuple[object, ...]]:
    """A profile's samples with all that is known of each, in order."""
    found = []
    for block in blocks:
        if block.user_id == user_id and block.late is late:
            for index in range(block.n_samples):
                found.append(
                    (
                        block.segment_id,
                        block.starts_run and index == 0,
                        int(block.device_us[index]),
                        int(block.received_us[index]),
                        block.samples[index].tolist(),
                    )
                )
    return found


@pytest.mark.slow
@settings(max_examples=400)
@given(traffic(), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_equal_to_one_by_one(sent: list[Sent], cuts: list[int]) -> None:
    batches, at = [], 0
    while at < len(sent):
        batches.append(sent[at : at + cuts[len(batches) % len(cuts)]])
        at += len(batches[-1])
    counters = Counters()
    pipeline = Pipeline(WAIT_US, counters)
    pipeline.set_devices(DEVICES.values())
    blocks: list[Block] = []
    for batch in batches:
        datagrams = [(encode_v1(user_id, ms, values), us, SENDER) for us, user_id, ms, values in batch]
        blocks += pipeline.process(DatagramBatch.of(datagrams), batch[-1][0]).blocks()
    blocks += pipeline.finish(T0_US).blocks()
    expected, expected_counters = one_by_one(batches)
    for user_id in DEVICES:
        for late in (False, True):
            assert told(blocks, user_id, late=late) == told(expected, user_id, late=late)
    for name in ("late", "missing", "segments"):
        assert getattr(counters, name) == getattr(expected_counters, name)
    assert counters.dropped["duplicate"] == expected_counters.dropped["duplicate"]


def test_clock_follows_the_device_in_a_steady_stream() -> None:
    """Offsets are those that a tracker gives for the same batches, drift and jitter included."""
    rng = np.random.default_rng(5)
    batches: list[list[Sent]] = []
    device_ms, n = 1000, 0
    for flush in range(3000):
        batch = []
        for _ in range(2):
            true_us = T0_US + n * 5000 + n * 2  # the device's clock is slow by 400 ppm
            batch.append((true_us + 1000 + int(rng.exponential(3000)), 21, device_ms + 5 * n, (float(flush), 1.0)))
            n += 1
        batches.append(sorted(batch))
    pipeline = Pipeline(WAIT_US, Counters())
    pipeline.set_devices(DEVICES.values())
    offsets = []
    for batch in batches:
        datagrams = [(encode_v1(user_id, ms, values), us, SENDER) for us, user_id, ms, values in batch]
        offsets += [b.clock_offset_us for b in pipeline.process(DatagramBatch.of(datagrams), batch[-1][0]).blocks()]
    expected, _ = one_by_one(batches)
    assert len(set(offsets)) > 5
    assert offsets == [block.clock_offset_us for block in expected]
