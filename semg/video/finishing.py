"""Join the parts of a session's video into one MP4: frames as encoded, each at its time on the server's clock."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np

from semg.errors import EncryptedFileError, VideoError
from semg.security.encrypted_files import EncryptedWriter
from semg.video.files import VideoFiles
from semg.video.frame_clock import frame_times, rising
from semg.video.part_log import CLOCK_HZ, Int64, read_log
from semg.video.writer import TIME_BASE

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)
LAST_FRAME_S = 0.04
ROW_BYTES = 32
INDEX_BYTES, INDEX_BYTES_A_FRAME = 16_384, 24
"""An index has 12 to 20 bytes for a frame whose time and size are its own; a log has a row for each frame."""
AnyPacket: TypeAlias = "Packet[Any]"


@dataclass(frozen=True, slots=True)
class FinishedVideo:
    """Properties of a finished video.

    Attributes
    ----------
    started_us, ended_us
        Server time of the first and of the last frame.
    time_error_us
        Maximum over the parts; None when a part had no reports of the browser's clock.
    """

    started_us: int
    ended_us: int
    frames: int
    n_bytes: int
    width: int
    height: int
    time_error_us: int | None


def finish(files: VideoFiles) -> FinishedVideo:
    """Build the finished video from the parts, and remove the parts.

    The frames keep their encoded pictures; only their times are new: 0 is the first frame, and a frame stands as many
    1/90,000 s after it as it was taken later, on the server's clock. A session's time therefore maps to the file's by a
    subtraction. Space for the index is left in front, so that a browser seeks by ranges: an encrypted file is not
    written a second time, as ``faststart`` would.

    Raises
    ------
    VideoError
        There is no picture in any of the parts.
    """
    made, times_made = files.video.with_suffix(".making"), files.times.with_suffix(".making-times")
    parts = files.list_parts()
    errors: list[int | None] = []
    with files.create(made, files.video) as file:
        writer = _Joined(file, sum(log.stat().st_size for _, log in parts) // ROW_BYTES)
        try:
            for video, log in parts:
                error_us, used = writer.add_part(files, video, log)
                errors += [error_us] if used else []
        finally:
            writer.close()
    if not writer.times:
        made.unlink(missing_ok=True)
        raise VideoError("no frames came from the camera; check its light and the browser's permission")
    times_us = np.concatenate(writer.times)
    with files.create(times_made, files.times) as sidecar:
        sidecar.write(times_us.astype("<i8").tobytes())
    known = [error for error in errors if error is not None]
    finished = FinishedVideo(
        int(times_us[0]),
        int(times_us[-1]),
        len(times_us),
        made.stat().st_size,
        *writer.size,
        max(known) if len(known) == len(errors) else None,
    )
    os.replace(times_made, files.times)
    os.replace(made, files.video)
    files.remove_parts()
    return finished


class _Joined:
    """The file that the parts are copied into."""

    def __init__(self, file: EncryptedWriter, most_frames: int) -> None:
        index_bytes = str(INDEX_BYTES + INDEX_BYTES_A_FRAME * most_frames)
        self._container = av.open(file, "w", format="mp4", options={"moov_size": index_bytes})
        self._stream: VideoStream | None = None
        self._stream_format: tuple[int, int, bytes] | None = None
        self.times: list[Int64] = []
        self._first_us = 0
        self._held: tuple[AnyPacket, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        assert self._stream_format is not None
        return self._stream_format[:2]

    def add_part(self, files: VideoFiles, video: Path, log: Path) -> tuple[int | None, bool]:
        """Copy a part; return the error of its times, and whether it had frames."""
        try:
            with files.open(log) as opened:
                rows = read_log(opened)
        except EncryptedFileError as exc:
            logger.warning("part of a video is left out: %s", exc)
            return None, False
        if len(rows.media) == 0:
            return None, False
        server_us, error_us = frame_times(rows)
        server_us = rising(server_us, int(self.times[-1][-1]) if self.times else None)
        # Found by media time, not by position: a crash may leave more rows than pictures, or fewer.
        relative = rows.media - rows.media[0]
        used: list[int] = []
        for packet in _packets(files, video):
            index = int(np.searchsorted(relative, packet.pts or 0))
            if index == len(relative) or relative[index] != packet.pts:
                continue
            if not used and not self._fits(packet.stream):
                return None, False
            if not self.times and not used:
                self._first_us = int(server_us[index])
            used.append(index)
            self._mux(packet, int(server_us[index]))
        if used:
            self.times.append(server_us[used])
        return error_us, bool(used)

    def close(self) -> None:
        """Write the last frame, and finish the file."""
        if self._held is not None:
            packet, tick = self._held
            self._write(packet, tick, tick + round(LAST_FRAME_S * CLOCK_HZ))
        self._container.close()

    def _mux(self, packet: AnyPacket, server_us: int) -> None:
        """Hold a frame until the next one determines its duration."""
        tick = round((server_us - self._first_us) * (CLOCK_HZ / 1e6))
        if self._held is not None:
            self._write(*self._held, tick)
        self._held = (packet, tick)

    def _write(self, packet: AnyPacket, tick: int, end: int) -> None:
        packet.stream, packet.time_base = self._stream, TIME_BASE
        packet.pts = packet.dts = tick
        packet.duration = end - tick
        self._container.mux(packet)

    def _fits(self, stream: VideoStream) -> bool:
        stream_format = (stream.width, stream.height, bytes(stream.codec_context.extradata or b""))
        if self._stream is None:
            self._stream = self._container.add_stream_from_template(stream)
            self._stream.time_base = TIME_BASE
            self._stream_format = stream_format
        return stream_format == self._stream_format


def _packets(files: VideoFiles, video: Path) -> Iterator[AnyPacket]:
    """Yield the encoded frames of a part, as far as they were written."""
    try:
        with files.open(video) as opened, av.open(opened, "r") as container:
            for packet in container.demux(video=0):
                if packet.is_corrupt:
                    return  # the last picture before a crash, half written; no browser plays on after it
                if packet.pts is not None and packet.size:
                    yield packet
    except (av.FFmpegError, IndexError, EncryptedFileError) as exc:
        logger.warning("part of a video ends here: %s", exc)
