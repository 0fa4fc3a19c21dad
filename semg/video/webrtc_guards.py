"""Bounds that aiortc and aioice lack: what a browser sends to be decoded, what strangers send to a connection's port.

The libraries decode whatever a peer sends, at any size and speed, and end a connection on an empty datagram. What
``install`` puts around them is their own; ``testing/tests/video`` fails when a new version moves it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

MAX_PIXELS = 1920 * 1080
FRAMES_PER_S, BURST = 60.0, 120.0
CPU_SHARE, CPU_BURST_S = 0.5, 2.0
"""Of one connection: decoding takes half of a core at the most."""
SMALLEST_PACKET = 8
"""Bytes of the shortest packet of RTP, RTCP, DTLS or STUN."""
SAY_EVERY_S = 60.0
_KEY_FRAME = b"\x9d\x01\x2a"
_STUN_COOKIE = bytes.fromhex("2112a442")
_MARK = "semg_guarded"


def size_of_key_frame(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a VP8 key frame (RFC 6386, 9.1), or None for any other frame."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != _KEY_FRAME:
        return None
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


class BoundedDecoder:
    """A VP8 decoder that looks at a frame before it is decoded; what is too large, or too much, is left out.

    After a frame that was left out nothing is decoded until the next key frame, which the peer is asked for.

    Parameters
    ----------
    decoder
        aiortc's; called with an encoded frame that has ``data``.
    clock, cpu_clock
        Seconds; of the decoder's thread the latter.
    """

    def __init__(
        self,
        decoder: Any,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._decoder, self._clock, self._cpu_clock = decoder, clock, cpu_clock
        self._at = clock()
        self._frames, self._cpu_s = BURST, CPU_BURST_S
        self._waits = False
        self.left_out = 0

    def decode(self, encoded: Any) -> list[Any]:
        """Return the pictures of a frame.

        Raises
        ------
        av.error.InvalidDataError
            This frame is the first of some that are left out; aiortc asks the peer for a key frame.
        """
        from av.error import InvalidDataError

        now = self._clock()
        passed, self._at = now - self._at, now
        self._frames = min(BURST, self._frames + passed * FRAMES_PER_S)
        self._cpu_s = min(CPU_BURST_S, self._cpu_s + passed * CPU_SHARE)
        size = size_of_key_frame(encoded.data)
        fits = size is None or 0 < size[0] * size[1] <= MAX_PIXELS
        if not fits or self._frames < 1 or self._cpu_s < 0 or (self._waits and size is None):
            self.left_out += 1
            if self._waits:
                return []
            self._waits = True
            raise InvalidDataError(1, "left out: too large, or more than is decoded")
        self._waits = False
        self._frames -= 1
        began = self._cpu_clock()
        try:
            pictures: list[Any] = self._decoder.decode(encoded)
        finally:
            self._cpu_s -= self._cpu_clock() - began
        return pictures


def install() -> None:
    """Put the bounds around aiortc and aioice, once in a process; only VP8 is decoded, which every browser sends."""
    import aioice.ice
    import aiortc.rtcrtpreceiver as receiving
    from aiortc.codecs import CODECS

    if getattr(receiving, _MARK, False):
        return
    setattr(receiving, _MARK, True)
    vp8 = {codec.payloadType for codec in CODECS["video"] if codec.name == "VP8"}
    CODECS["video"][:] = [
        codec for codec in CODECS["video"] if codec.payloadType in vp8 or codec.parameters.get("apt") in vp8
    ]
    make_decoder = receiving.get_decoder

    def bounded(codec: Any) -> Any:
        decoder: Any = make_decoder(codec)
        if codec.name != "VP8":
            return decoder
        decoder.codec.thread_count = 1  # else the time of its other threads is not counted
        return BoundedDecoder(decoder)

    receiving.get_decoder = bounded
    protocol: Any = aioice.ice.StunProtocol
    protocol.datagram_received = _careful(protocol.datagram_received)


def _careful(take: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """Drop and count what cannot be parsed, and what comes from no address of the peer: anybody may send to the port.

    A forged alert would end a connection that is being made. Addresses come from the peer's offer, and from STUN
    requests, which only who has the offer's answer can sign.
    """
    dropped, said_at = 0, -SAY_EVERY_S

    def datagram_received(self: Any, data: bytes, addr: Any) -> None:
        nonlocal dropped, said_at
        if len(data) < SMALLEST_PACKET:
            problem = "too short"
        elif data[4:8] != _STUN_COOKIE and not _is_of_peer(self.receiver, addr):
            problem = "from a stranger"
        else:
            try:
                take(self, data, addr)
                return
            except Exception as exc:  # whatever the parser meets in a stranger's bytes
                problem = type(exc).__name__
        dropped += 1
        if time.monotonic() - said_at >= SAY_EVERY_S:
            said_at = time.monotonic()
            logger.warning("dropped %d datagrams at the webcams' ports, the last one: %s", dropped, problem)

    return datagram_received


def _is_of_peer(connection: Any, addr: Any) -> bool:
    pairs = [*connection._check_list, *connection._nominated.values()]
    return any(pair.remote_addr == tuple(addr[:2]) for pair in pairs)
