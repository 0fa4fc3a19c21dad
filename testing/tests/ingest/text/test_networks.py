"""Text datagrams are taken from the networks of the setting only; binary ones prove themselves who sends."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from semg.domain import Device
from semg.errors import SettingsError
from semg.ingest.pipeline import Pipeline
from semg.ingest.stream_health import REFUSALS
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.streams.drop_codes import DROP_CODES, OK
from semg.ingest.text.networks import Networks
from semg.settings import load_settings

T0_US = 1_800_000_000_000_000


def contained(networks: str, *hosts: str) -> list[bool]:
    arrivals = DatagramBatch.of([(b"", 0, (host, 7)) for host in hosts])
    return Networks([ip_network(one) for one in networks.split()]).contain(arrivals.addresses).tolist()


def test_addresses_are_looked_up_in_every_network() -> None:
    hosts = ("192.168.7.1", "192.168.8.1", "10.1.2.3", "fd00::1", "fe80::1", "::ffff:192.168.7.9")
    assert contained("192.168.7.0/24", *hosts) == [True, False, False, False, False, True]
    assert contained("192.168.7.0/24 10.0.0.0/8 fd00::/8", *hosts) == [True, False, True, True, False, True]
    assert contained("192.168.7.1/32", *hosts) == [True, False, False, False, False, False]
    assert contained("::/0", *hosts) == [True] * 6
    assert contained("", *hosts) == [True] * 6


def test_text_from_elsewhere_is_refused_and_counted() -> None:
    counters = Counters()
    pipeline = Pipeline(0, counters, Networks([ip_network("10.0.0.0/24")]))
    pipeline.set_devices([Device(1, ("a0",), 200.0, allow_v1=True)])
    datagrams = [(b"1,1000,5", T0_US, ("10.0.0.9", 1)), (b"1,1005,6", T0_US, ("10.0.1.9", 1))]
    stored = pipeline.process(DatagramBatch.of(datagrams), T0_US).blocks() + pipeline.finish(T0_US).blocks()
    assert [block.samples.tolist() for block in stored] == [[[5.0]]]
    assert counters.dropped == {"v1_network": 1}
    refused = next(row for row in pipeline.sources_table(T0_US) if row["address"].startswith("10.0.1.9"))
    assert refused["state"] == "v1_network"


def test_setting_is_checked_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V1_NETWORKS", "192.168.7.5/24, fd00::/8")
    assert [str(one) for one in load_settings(None).text_networks] == ["192.168.7.0/24", "fd00::/8"]
    monkeypatch.setenv("V1_NETWORKS", "192.168.7.0/33")
    with pytest.raises(SettingsError, match="V1_NETWORKS"):
        load_settings(None)


def test_page_says_a_sentence_for_every_reason() -> None:
    assert [reason for number, reason in enumerate(DROP_CODES) if number != OK and reason not in REFUSALS] == []
