"""Text datagrams of one sample, as the sketch and the simulators send them."""

from __future__ import annotations

from semg.wire.udp import SampleV1, decode_v1


def decode_one(datagram: bytes) -> SampleV1:
    """Return the only sample of a text datagram."""
    (sample,) = decode_v1(datagram)
    return sample
