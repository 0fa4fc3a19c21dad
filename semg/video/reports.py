"""Read the browser's clock from the sender reports of a WebRTC stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from semg.clock import now_us

logger = logging.getLogger(__name__)

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905)."""
_MARK = "semg_reports"


def us_from_ntp(timestamp: int) -> int:
    """Return microseconds since the Unix epoch of a 64-bit NTP timestamp."""
    return ((timestamp >> 32) - NTP_EPOCH_S) * 1_000_000 + ((timestamp & 0xFFFFFFFF) * 1_000_000 >> 32)


def unwrap(timestamp: int, near: int) -> int:
    """Return the number nearest to ``near`` that equals a 32-bit timestamp modulo 2³²."""
    return near + ((timestamp - near + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def listen(connection: Any, on_report: Callable[[int, int, int], None]) -> bool:
    """Call ``on_report`` with each report of a peer connection's video, and return whether that is possible.

    aiortc has no public way to a report's media time: its receiver keeps the newest one's clock time only. The
    receiver's handler is wrapped instead; ``testing/tests/video`` fails when a new version of aiortc moves it, and
    without reports a video still gets times, less exact ones.

    Parameters
    ----------
    connection
        An ``aiortc.RTCPeerConnection``.
    on_report
        Called with the media time (as frames have it in ``pts``), the browser's clock, and the arrival, the latter two
        in microseconds since the epoch; called on the connection's event loop.
    """
    from aiortc.rtp import RtcpSrPacket

    found = [one for one in connection.getReceivers() if getattr(one.track, "kind", "") == "video"]
    if not found:
        return False
    receiver = found[0]
    if getattr(receiver, _MARK, False):
        return True
    handle = getattr(receiver, "_handle_rtcp_packet", None)
    mapper = getattr(receiver, "_RTCRtpReceiver__timestamp_mapper", None)
    if handle is None or mapper is None:
        logger.warning("this version of aiortc hides the browser's clock; the times of frames are less exact")
        return False

    async def handle_and_hear(packet: Any) -> None:
        arrival_us = now_us()
        origin, last = mapper._origin, mapper._last
        if isinstance(packet, RtcpSrPacket) and origin is not None:
            info = packet.sender_info
            on_report(unwrap(info.rtp_timestamp - origin, last - origin), us_from_ntp(info.ntp_timestamp), arrival_us)
        await handle(packet)

    receiver._handle_rtcp_packet = handle_and_hear
    setattr(receiver, _MARK, True)
    return True
