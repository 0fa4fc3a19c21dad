"""The socket's edge, the table of senders, and what is held for profiles."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import numpy as np
import pytest

from semg.domain import Device
from semg.errors import SettingsError
from semg.ingest import receiver as receiver_module
from semg.ingest import udp_socket
from semg.ingest.pipeline import Pipeline
from semg.ingest.receiver import MAX_TAKEN, Receiver, now_us
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import ADDRESS_BYTES, SLOT_BYTES, DatagramBatch, readable
from semg.ingest.streams.limits import Budgets
from semg.ingest.streams.sources import MAX_SOURCES, REFUSED_LOOKED_AT, REFUSED_PER_S, Sources
from semg.ingest.text.batch_text_stream import IDLE_US
from semg.ingest.udp_socket import kernel_drops, open_socket
from semg.settings import Settings
from testing.kits.board_kit import process

T0_US = 1_790_000_000_000_000
JUNK = b"no sample"
SENDER = ("10.0.0.1", 1)


def _settings(**values) -> Settings:
    return Settings(_env_file=None, udp_host="127.0.0.1", **values)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _unix_socket(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    receiving, sending = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
    receiving.bind((host, 0))
    receiving.setblocking(False)
    sending.bind((host, 0))
    sending.connect(receiving.getsockname())
    return receiving, sending


def test_datagrams_that_the_kernel_drops_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(udp_port=_free_port(), udp_receive_buffer=65_536)
    receiving = open_socket(settings)
    with receiving, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        assert kernel_drops(receiving) == 0
        for _ in range(3000):
            sending.sendto(b"x" * 200, ("127.0.0.1", settings.udp_port))
        dropped = kernel_drops(receiving)
        assert dropped > 0
        receiver = Receiver(receiving)
        kept = receiver.take()
        assert len(kept) == 3000 - dropped
        assert kept.datagram(0) == b"x" * 200
        assert len(receiver.take()) == 0


def test_too_small_a_buffer_is_told_with_the_remedy(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp_socket, "SO_RCVBUFFORCE", socket.SO_RCVBUF)  # as without the right to force it
    open_socket(_settings(udp_port=_free_port(), udp_receive_buffer=1 << 30)).close()
    assert "net.core.rmem_max" in caplog.text


def test_socket_that_was_handed_down_is_read_and_not_inherited_further() -> None:
    settings = _settings(udp_port=_free_port())
    with open_socket(settings) as opened, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        descriptor = os.dup(opened.fileno())
        os.set_inheritable(descriptor, True)
        sending.sendto(b"waits", opened.getsockname())
        with open_socket(_settings(semg_udp_fd=descriptor)) as taken_over:
            assert Receiver(taken_over).take().datagram(0) == b"waits"
            assert not os.get_inheritable(descriptor)


def test_what_is_no_udp_socket_is_not_taken_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        with pytest.raises(SettingsError, match="SEMG_UDP_FD"):
            open_socket(_settings(semg_udp_fd=os.dup(stream.fileno())))
    with open(os.devnull) as file, pytest.raises(SettingsError, match="SEMG_UDP_FD"):
        open_socket(_settings(semg_udp_fd=file.fileno()))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("reader", ["_ManyAtOnce", "_OneByOne"])
def test_both_ways_to_read_give_the_same(host: str, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    receiving, sending = _unix_socket(host)
    with receiving, sending:
        receiver = Receiver(receiving)
        receiver._reader = getattr(receiver_module, reader)(receiving)
        before_us = now_us()
        for size in (0, 1, 900, 1400, 1401, 5000):
            sending.send(b"z" * size)
        arrivals = receiver.take()
        assert arrivals.sizes.tolist() == [0, 1, 900, 1400, 1401, SLOT_BYTES]
        assert [arrivals.datagram(place) for place in (1, 2)] == [b"z", b"z" * 900]
        assert all(before_us - 1000 <= us <= now_us() for us in arrivals.received_us.tolist())
        assert {readable(address) for address in arrivals.addresses} == {sending.getsockname()[:2]}
        assert len(set(arrivals.senders.tolist())) == 1
        sending.send(b"21,1,2")
        sending.send(b"y" * 40)
        assert [receiver.take().datagram(place) for place in (0,)] == [b"21,1,2"]


def test_more_than_fits_is_read_the_next_time() -> None:
    receiving, sending = _unix_socket("127.0.0.1")
    with receiving, sending:
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        receiver, numbers = Receiver(receiving), []
        sent = MAX_TAKEN // 2 + 100  # what a buffer of 4 MiB surely holds
        for round_ in range(3):
            for number in range(sent):
                sending.send(b"%d" % (round_ * sent + number))
            while len(arrivals := receiver.take()):
                assert len(arrivals) <= MAX_TAKEN
                numbers += [int(arrivals.datagram(place)) for place in range(len(arrivals))]
        assert numbers == list(range(3 * sent))


def test_arrival_of_another_clock_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    receiving, sending = _unix_socket("127.0.0.1")
    hour_us = 3_600_000_000
    monkeypatch.setattr(receiver_module, "now_us", lambda: time.time_ns() // 1000 - hour_us)
    with receiving, sending:
        sending.send(b"1")
        (received_us,) = Receiver(receiving).take().received_us.tolist()
    assert abs(received_us - (now_us() - hour_us)) < 10_000_000


async def test_waiting_ends_with_the_first_datagram() -> None:
    receiving, sending = _unix_socket("127.0.0.1")
    with receiving, sending:
        receiver = Receiver(receiving)
        waiting = asyncio.create_task(receiver.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        sending.send(b"1")
        await asyncio.wait_for(waiting, 20)


def _hear(sources: Sources, address: tuple[str, int], at_us: int, n: int = 1, text: bytes = b"1,1000,5") -> None:
    """Let an address send through a pipeline that has the table."""
    pipeline = Pipeline(25_000, sources._counters)
    pipeline.sources = sources
    pipeline.set_devices([Device(1, ("a0",), 1000.0, allow_v1=True)])
    pipeline.process(DatagramBatch.of([(text, at_us, address)] * n), at_us)


def test_table_of_senders_is_bounded_and_makes_room_for_new_ones() -> None:
    counters = Counters()
    sources = Sources(counters)
    for number in range(MAX_SOURCES + 50):
        _hear(sources, ("10.0.0.1", number + 1), T0_US)
    assert len(sources.table(T0_US)) == MAX_SOURCES
    assert counters.untracked_sources == 50
    later = T0_US + 61_000_000
    _hear(sources, ("10.0.0.2", 1), later)
    (row,) = sources.table(later)
    assert row["address"] == "10.0.0.2:1"
    assert (row["state"], row["user_id"], row["values"]) == ("ok", 1, [5.0])


def test_rate_of_a_sender_is_that_since_the_last_look() -> None:
    sources = Sources(Counters())
    sources.table(T0_US)
    for number in range(200):
        _hear(sources, ("10.0.0.1", 9), T0_US + number * 5000)
    (row,) = sources.table(T0_US + 1_000_000)
    assert row["rate_hz"] == 200.0
    (row,) = sources.table(T0_US + 2_000_000)
    assert row["rate_hz"] == 0.0
    assert row["age_s"] == pytest.approx(1.0, abs=0.01)


def test_sender_of_nothing_but_junk_is_hardly_looked_at_and_others_are() -> None:
    counters = Counters()
    sources = Sources(counters)
    junk, good = ("10.0.0.1", 9), ("10.0.0.2", 9)
    _hear(sources, junk, T0_US, REFUSED_PER_S + 1, JUNK)
    _hear(sources, junk, T0_US + 10_000, 5000, JUNK)
    assert counters.dropped["rate_limited"] == 5000 - REFUSED_LOOKED_AT
    _hear(sources, good, T0_US + 10_000)
    assert counters.accepted == 1
    _hear(sources, junk, T0_US + 2_000_000)  # it has stopped, and sends samples
    assert counters.accepted == 2


def test_sender_for_many_is_not_limited_for_one_of_them() -> None:
    counters = Counters()
    sources = Sources(counters)
    for flush in range(20):
        _hear(sources, ("10.0.0.1", 9), T0_US + flush * 10_000, 300, b"2,1,1")
        _hear(sources, ("10.0.0.1", 9), T0_US + flush * 10_000, 100, b"1,%d,5" % flush)
    assert counters.dropped["unknown_profile"] == 20 * 300
    assert counters.dropped["rate_limited"] == 0


def test_flood_for_a_profile_costs_only_its_surplus() -> None:
    budgets = Budgets([200.0, 200.0])
    both = np.array([0, 1] * 10_000)
    ones = np.ones(len(both), np.int64)
    assert budgets.admit(both, ones, T0_US).all()
    places = np.array([0] * 3000 + [1] * 10)
    admitted = budgets.admit(places, np.ones(len(places), np.int64), T0_US + 1_000_000)
    assert admitted[:1000].all()
    assert not admitted[1000:3000].any()
    assert admitted[3000:].all()


def test_addresses_are_told_apart() -> None:
    hosts = [("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1), ("fe80::1", 1), ("fe80::2", 1)]
    arrivals = DatagramBatch.of([(b"", 0, address) for address in hosts])
    assert arrivals.addresses.shape == (5, ADDRESS_BYTES)
    assert len(set(arrivals.senders.tolist())) == 5
    assert [readable(address) for address in arrivals.addresses] == hosts


def test_silent_profile_costs_no_memory_and_starts_a_segment_afterwards() -> None:
    counters = Counters()
    pipeline = Pipeline(25_000, counters)
    pipeline.set_devices([Device(number, ("a0",), 200.0, allow_v1=True) for number in (1, 2)])
    process(pipeline, [(b"1,1000,5", T0_US, SENDER)], T0_US)
    later = T0_US + IDLE_US + 1
    process(pipeline, [(b"2,1000,5", later, ("10.0.0.2", 1))], later)
    assert counters.segments == 2
    back = later + 1_000_000
    (block,) = process(pipeline, [(b"1,122000,5", back, SENDER)], back)
    assert block.starts_run
    assert counters.segments == 3


def test_erased_profile_is_refused_at_once_with_what_it_held() -> None:
    counters = Counters()
    pipeline = Pipeline(25_000, counters)
    pipeline.set_devices([Device(1, ("a0",), 200.0, allow_v1=True)])
    process(pipeline, [(b"1,1000,5", T0_US, SENDER), (b"1,1020,6", T0_US + 20_000, SENDER)], T0_US + 20_000)
    assert pipeline.holds
    pipeline.set_devices([])
    assert not pipeline.holds
    assert process(pipeline, [(b"1,1025,7", T0_US + 25_000, SENDER)], T0_US + 90_000) == []
    assert counters.dropped["unknown_profile"] == 1


def test_what_is_held_is_given_at_the_end() -> None:
    pipeline = Pipeline(25_000, Counters())
    pipeline.set_devices([Device(1, ("a0",), 200.0, allow_v1=True)])
    process(pipeline, [(b"1,1000,5", T0_US, SENDER), (b"1,1020,6", T0_US + 20_000, SENDER)], T0_US + 20_000)
    (block,) = pipeline.finish(T0_US + 21_000).blocks()
    assert block.samples.tolist() == [[6.0]]
    assert block.starts_run


def test_text_with_an_assigned_number_is_stored_for_its_profile() -> None:
    counters = Counters()
    pipeline = Pipeline(25_000, counters)
    devices = [Device(1, ("a0",), 200.0, allow_v1=True), Device(8, ("a0", "a1"), 200.0, allow_v1=True)]
    sent = [(b"77,1000,5,6", T0_US, SENDER), (b"8,1000,1,2", T0_US, SENDER), (b"9,1000,5,6", T0_US, SENDER)]
    pipeline.set_registry(devices, [], {77: 8, 5: 404})
    (block,) = process(pipeline, sent[:1], T0_US)
    assert (block.user_id, block.samples.tolist()) == (8, [[5.0, 6.0]])
    assert counters.dropped == {}
    (row,) = pipeline.sources.table(T0_US)
    assert (row["user_id"], row["board_id"], row["state"]) == (77, None, "ok")
    process(pipeline, [(b"77,1005,5", T0_US, SENDER), sent[2], (b"5,1000,5", T0_US, SENDER)], T0_US)
    assert counters.dropped == {"channel_count": 1, "unknown_profile": 2}
    pipeline.set_registry(devices, [], {})
    assert process(pipeline, [(b"77,1010,5,6", T0_US, SENDER)], T0_US) == []
    assert counters.dropped["unknown_profile"] == 3


def test_a_profile_keeps_its_own_number_whatever_is_assigned() -> None:
    pipeline = Pipeline(25_000, Counters())
    pipeline.set_registry(
        [Device(1, ("a0",), 200.0, allow_v1=True), Device(8, ("a0",), 200.0, allow_v1=True)], [], {1: 8}
    )
    (block,) = process(pipeline, [(b"1,1000,5", T0_US, SENDER)], T0_US)
    assert block.user_id == 1
