"""The bounds around aiortc's decoder; what strangers send to its ports: ``pages/test_webcam.py``."""

from __future__ import annotations

from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.error import InvalidDataError

from semg.video import webrtc_guards
from semg.video.webrtc_guards import BURST, CPU_BURST_S, BoundedDecoder, size_of_key_frame


def key_frame(width: int, height: int) -> bytes:
    """A real VP8 key frame."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    grey = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 128, np.uint8), format="yuv420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(grey), *encoder.encode(None)])


def claiming(width: int, height: int) -> bytes:
    """A key frame of 64 x 48 that says it were of another size."""
    data = bytearray(key_frame(64, 48))
    data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return bytes(data)


INTER_FRAME = b"\x01" + bytes(20)


class Counting:
    """Stands for aiortc's decoder: gives one picture a frame, and takes a time of the CPU."""

    def __init__(self) -> None:
        self.taken, self.cpu_s, self.each_s = 0, 0.0, 0.0

    def decode(self, encoded: SimpleNamespace) -> list[str]:
        self.taken += 1
        self.cpu_s += self.each_s
        return ["picture"]


def bounded(inner: Counting, now: list[float]) -> BoundedDecoder:
    return BoundedDecoder(inner, lambda: now[0], lambda: inner.cpu_s)


def feed(decoder: BoundedDecoder, data: bytes) -> str:
    try:
        return "decoded" if decoder.decode(SimpleNamespace(data=data)) else "left out"
    except InvalidDataError:
        return "asked for a key frame"


def test_size_is_read_as_libvpx_reads_it() -> None:
    assert size_of_key_frame(key_frame(320, 240)) == (320, 240)
    assert size_of_key_frame(claiming(16_383, 16_383)) == (16_383, 16_383)
    for data in (INTER_FRAME, b"", key_frame(64, 48)[:9]):
        assert size_of_key_frame(data) is None


def test_picture_that_is_too_large_is_left_out_until_a_smaller_one() -> None:
    inner = Counting()
    decoder = bounded(inner, [0.0])
    told = [
        feed(decoder, data)
        for data in (
            key_frame(64, 48),
            INTER_FRAME,
            claiming(8192, 8192),
            INTER_FRAME,
            claiming(0, 9),
            key_frame(64, 48),
        )
    ]
    assert told == ["decoded", "decoded", "asked for a key frame", "left out", "left out", "decoded"]
    assert (inner.taken, decoder.left_out) == (3, 3)


def test_more_frames_than_a_camera_sends_are_left_out() -> None:
    now, inner = [0.0], Counting()
    decoder = bounded(inner, now)
    told = [feed(decoder, key_frame(64, 48)) for _ in range(int(BURST) + 30)]
    assert told.count("decoded") == BURST
    now[0] += 1.0
    assert feed(decoder, INTER_FRAME) == "left out", "what it refers to was not decoded"
    assert feed(decoder, key_frame(64, 48)) == "decoded"
    ordinary = bounded(Counting(), now)
    for _ in range(900):
        now[0] += 1 / 30
        assert feed(ordinary, INTER_FRAME) == "decoded"


def test_decoding_takes_half_of_a_core_at_the_most() -> None:
    now, inner = [0.0], Counting()
    inner.each_s = 0.1
    decoder = bounded(inner, now)
    for _ in range(300):
        now[0] += 1 / 30
        feed(decoder, key_frame(64, 48))
    assert inner.cpu_s <= CPU_BURST_S + 10.0 * 0.5 + 0.1


@pytest.mark.parametrize(
    ("data", "sender", "taken"),
    [
        (bytes(20), ("10.0.0.1", 5), True),
        (bytes(20), ("10.0.0.1", 5, 0, 0), True),
        (bytes(20), ("10.0.0.1", 6), False),
        (bytes(4) + bytes.fromhex("2112a442") + bytes(12), ("10.9.9.9", 6), True),
        (b"", ("10.0.0.1", 5), False),
        (bytes(7), ("10.0.0.1", 5), False),
    ],
    ids=["peer", "peer-v6", "stranger", "stranger-stun", "nothing", "short"],
)
def test_data_are_taken_from_the_peer_only_and_stun_from_anybody(
    data: bytes, sender: tuple[object, ...], taken: bool
) -> None:
    passed: list[bytes] = []
    receive = webrtc_guards._careful(lambda protocol, data, addr: passed.append(data))
    pair = SimpleNamespace(remote_addr=("10.0.0.1", 5))
    for connection in (
        SimpleNamespace(_check_list=[pair], _nominated={}),
        SimpleNamespace(_check_list=[], _nominated={1: pair}),
    ):
        receive(SimpleNamespace(receiver=connection), data, sender)
    assert len(passed) == 2 * taken


def test_only_vp8_is_decoded_and_within_bounds() -> None:
    """Fails when a new version of aiortc moves what is wrapped."""
    import aioice.ice
    import aiortc.rtcrtpreceiver as receiving
    from aiortc.codecs import CODECS

    for _ in range(2):
        webrtc_guards.install()
    assert {codec.name for codec in CODECS["video"]} == {"VP8", "rtx"}
    decoder = receiving.get_decoder(CODECS["video"][0])
    assert isinstance(decoder, BoundedDecoder)
    assert decoder._decoder.codec.thread_count == 1, "what other threads take would not be counted"
    (picture,) = decoder.decode(SimpleNamespace(data=key_frame(64, 48), timestamp=0))
    assert (picture.width, picture.height) == (64, 48)
    with pytest.raises(InvalidDataError):
        decoder.decode(SimpleNamespace(data=claiming(16_383, 16_383), timestamp=1))
    assert aioice.ice.StunProtocol.datagram_received.__module__ == webrtc_guards.__name__
