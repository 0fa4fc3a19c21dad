"""The device clock fitted to the server's: simulated WiFi, seeded; times are passed in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.ingest.streams.counters import Counters
from semg.ingest.streams.device_clock import ClockFit
from semg.ingest.text.text_stream import TextStream

T0_US = 1_790_000_000_000_000
BOOT_MS = 5_000


@dataclass(frozen=True)
class Network:
    """Delays of a simulated WiFi network.

    In order: packets wait for the next moment at which the network lets them through, up to ``jitter_ms`` apart, as
    with power saving and aggregation. Otherwise each packet has a delay of its own and they overtake one another.
    """

    jitter_ms: float = 80.0
    in_order: bool = True
    stall_every_s: float = 3.0
    stall_s: float = 0.3
    loss: float = 0.01


def simulate(network: Network, drift_ppm: float, seconds: float, rate_hz: float = 200.0, seed: int = 1):
    """Device time in ms, true time and arrival in µs of the packets that arrive, in order of arrival."""
    rng = np.random.default_rng(seed)
    sent_us = np.arange(round(seconds * rate_hz)) * (1e6 / rate_hz)
    device_ms = np.floor(BOOT_MS + sent_us * (1 + drift_ppm * 1e-6) / 1000).astype(np.int64)
    arrival = sent_us + rng.uniform(1000, 2000, sent_us.size)
    if network.in_order:
        moments = np.cumsum(rng.uniform(10_000, network.jitter_ms * 1000, round(seconds * 120)))
        arrival = moments[np.searchsorted(moments, arrival)]
    else:
        arrival += rng.uniform(0, network.jitter_ms * 1000, sent_us.size)
    phase = np.mod(sent_us, network.stall_every_s * 1e6)
    if network.stall_s:
        stalled = phase > (network.stall_every_s - network.stall_s) * 1e6
        arrival[stalled] = np.maximum(arrival, sent_us - phase + network.stall_every_s * 1e6)[stalled]
    if network.in_order:
        arrival = np.maximum.accumulate(arrival)
    keep = rng.random(sent_us.size) >= network.loss
    order = np.argsort(arrival[keep], kind="stable")
    truth = T0_US + sent_us[keep][order]
    return device_ms[keep][order], truth, T0_US + arrival[keep][order].astype(np.int64)


def server_times(device_ms, truth, arrival, flush_us: int = 10_000):
    """Server times that blocks carry, with the true times of the same samples, by device time."""
    tracker, blocks = TextStream(21, 200.0, 25_000, Counters()), []
    next_flush = arrival[0] + flush_us
    for number, (at_ms, at_us) in enumerate(zip(device_ms.tolist(), arrival.tolist(), strict=True)):
        while at_us >= next_flush:
            tracker.release(int(next_flush))
            blocks += tracker.take()
            next_flush += flush_us
        tracker.push(at_ms, at_us, (float(number),))
    tracker.release(int(next_flush), everything=True)
    blocks += tracker.take()
    number = np.concatenate([block.samples[:, 0] for block in blocks]).astype(int)
    return blocks, np.concatenate([block.server_us for block in blocks]), truth[number], tracker


@pytest.mark.parametrize("drift_ppm", [-50.0, 50.0])
@pytest.mark.parametrize("in_order", [True, False])
def test_sample_times_are_within_5_ms_over_wifi(drift_ppm: float, in_order: bool) -> None:
    blocks, server, truth, tracker = server_times(*simulate(Network(in_order=in_order), drift_ppm, 180.0))
    settled = truth > T0_US + 10_000_000
    error_ms = np.abs(server - truth)[settled] / 1000
    assert np.percentile(error_ms, 99) < 5.0
    assert tracker.clock.error_bound_us < 5_000
    assert len({block.segment_id for block in blocks}) == 1


def test_offset_is_constant_for_seconds_so_that_blocks_merge() -> None:
    blocks, *_ = server_times(*simulate(Network(), 50.0, 120.0))
    settled = [block for block in blocks if block.device_us[0] > (BOOT_MS + 20_000) * 1000]
    assert len({block.clock_offset_us for block in settled}) < 40


@pytest.mark.parametrize("drift_ppm", [-10_000.0, 10_000.0])
def test_clock_of_an_rc_oscillator_is_followed(drift_ppm: float) -> None:
    _, server, truth, _ = server_times(*simulate(Network(), drift_ppm, 90.0))
    error_ms = np.abs(server - truth)[truth > T0_US + 15_000_000] / 1000
    assert np.percentile(error_ms, 99) < 8.0


def test_long_stall_does_not_bend_the_clock() -> None:
    network = Network(stall_every_s=40.0, stall_s=4.0)
    _, server, truth, _ = server_times(*simulate(network, 50.0, 120.0))
    error_ms = np.abs(server - truth)[truth > T0_US + 10_000_000] / 1000
    assert np.percentile(error_ms, 99) < 5.0


def test_error_bound_covers_the_error_within_the_first_seconds() -> None:
    device_ms, truth, arrival = simulate(Network(), 50.0, 60.0)
    clock = ClockFit()
    for at_ms, true_us, at_us in zip(device_ms.tolist(), truth.tolist(), arrival.tolist(), strict=True):
        clock.add(at_ms * 1000, at_us)
        offset = clock.block_offset_us(at_ms * 1000, at_ms * 1000)
        if at_ms > BOOT_MS + 1000:
            # 2 ms: the constant part of the network's delay, and the device's millisecond.
            assert abs(at_ms * 1000 + offset - true_us) < clock.error_bound_us + 3000


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 3_000_000)), min_size=2, max_size=300),
    st.integers(0, 1 << 40),
)
def test_server_time_never_runs_backwards(steps: list[tuple[int, int]], start_us: int) -> None:
    clock, device_us, last = ClockFit(), start_us, None
    for step, delay in steps:
        device_us += step
        clock.add(device_us, T0_US + device_us + delay)
        server_us = device_us + clock.block_offset_us(device_us, device_us)
        assert last is None or server_us >= last
        last = server_us
