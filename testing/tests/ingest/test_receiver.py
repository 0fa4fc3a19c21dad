"""The socket's edge and the table of senders."""

from __future__ import annotations

import socket

import pytest

from semg.domain import Device
from semg.ingest.counters import MAX_SOURCES, Counters, Sources
from semg.ingest.pipeline import TRACKER_IDLE_US, Pipeline
from semg.ingest.receiver import kernel_drops, open_socket, read_left_over
from semg.settings import Settings

T0_US = 1_790_000_000_000_000


def _settings(**values) -> Settings:
    return Settings(_env_file=None, udp_host="127.0.0.1", **values)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_datagrams_that_the_kernel_drops_are_counted() -> None:
    settings = _settings(udp_port=_free_port(), udp_receive_buffer=65_536)
    receiving = open_socket(settings)
    with receiving, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        assert kernel_drops(receiving) == 0
        for _ in range(3000):
            sending.sendto(b"x" * 200, ("127.0.0.1", settings.udp_port))
        dropped = kernel_drops(receiving)
        assert dropped > 0
        kept = read_left_over(receiving)
        assert len(kept) == 3000 - dropped
        assert kept[0][0] == b"x" * 200
        assert read_left_over(receiving) == []


def test_too_small_a_buffer_is_told_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    open_socket(_settings(udp_port=_free_port(), udp_receive_buffer=1 << 30)).close()
    assert "net.core.rmem_max" in caplog.text


def test_table_of_senders_is_bounded_and_makes_room_for_new_ones() -> None:
    counters = Counters()
    sources = Sources(counters)
    for number in range(MAX_SOURCES + 50):
        sources.note(("10.0.0.1", number), T0_US)
    assert len(sources.table(T0_US)) == MAX_SOURCES
    assert counters.untracked_sources == 50
    later = T0_US + 61_000_000
    sources.note(("10.0.0.2", 1), later).state = "ok"
    (row,) = sources.table(later)
    assert row["address"] == "10.0.0.2:1"
    assert row["state"] == "ok"


def test_rate_of_a_sender_is_that_since_the_last_look() -> None:
    sources = Sources(Counters())
    sources.table(T0_US)
    for number in range(200):
        sources.note(("10.0.0.1", 9), T0_US + number * 5000)
    (row,) = sources.table(T0_US + 1_000_000)
    assert row["rate_hz"] == 200.0
    (row,) = sources.table(T0_US + 2_000_000)
    assert row["rate_hz"] == 0.0
    assert row["age_s"] == pytest.approx(1.0, abs=0.01)


def test_silent_profile_costs_no_memory_and_starts_a_segment_afterwards() -> None:
    counters = Counters()
    pipeline = Pipeline(25_000, counters)
    pipeline.set_devices([Device(number, ("a0",), 200.0) for number in (1, 2)])
    pipeline.process([(b"1,1000,5", T0_US, ("h", 1))], T0_US)
    later = T0_US + TRACKER_IDLE_US + 1
    pipeline.process([(b"2,1000,5", later, ("h", 2))], later)
    assert counters.segments == 2
    back = later + 1_000_000
    (block,) = pipeline.process([(b"1,122000,5", back, ("h", 1))], back)
    assert block.starts_run
    assert counters.segments == 3


def test_erased_profile_is_refused_at_once_with_what_it_held() -> None:
    counters = Counters()
    pipeline = Pipeline(25_000, counters)
    pipeline.set_devices([Device(1, ("a0",), 200.0)])
    pipeline.process([(b"1,1000,5", T0_US, ("h", 1)), (b"1,1020,6", T0_US + 20_000, ("h", 1))], T0_US + 20_000)
    assert pipeline.holds
    pipeline.set_devices([])
    assert not pipeline.holds
    assert pipeline.process([(b"1,1025,7", T0_US + 25_000, ("h", 1))], T0_US + 90_000) == []
    assert counters.dropped["unknown_profile"] == 1


def test_what_is_held_is_given_at_the_end() -> None:
    pipeline = Pipeline(25_000, Counters())
    pipeline.set_devices([Device(1, ("a0",), 200.0)])
    pipeline.process([(b"1,1000,5", T0_US, ("h", 1)), (b"1,1020,6", T0_US + 20_000, ("h", 1))], T0_US + 20_000)
    (block,) = pipeline.finish(T0_US + 21_000)
    assert block.samples.tolist() == [[6.0]]
    assert block.starts_run
