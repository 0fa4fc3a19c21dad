"""Write one connection's frames as an MP4, and its log."""

from __future__ import annotations

from fractions import Fraction
from io import RawIOBase
from typing import TYPE_CHECKING

import av

from semg.security.encrypted_files import EncryptedWriter
from semg.video.part_log import CLOCK_HZ, LogWriter

if TYPE_CHECKING:
    from av.video.stream import VideoStream

LONG_SIDE = 640
"""The picture shows what a hand did beside the signals; more costs CPU that recognition needs."""
TIME_BASE = Fraction(1, CLOCK_HZ)
# A fragment a key frame: what was written survives a crash. zerolatency: one picture in, one out, in order.
_CONTAINER = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
_ENCODER = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
KEY_EVERY = 30
"""Frames between two key frames: at most so many are decoded to seek."""


class PartWriter:
    """Writes one part; used by one thread.

    Parameters
    ----------
    video, log
        Files to write; closed with the part.
    size
        Width and height of the pictures; None: as the first frame, at most ``LONG_SIDE``. A browser changes the size
        of what it sends with the bandwidth that it finds; the file keeps one size.
    """

    def __init__(self, video: EncryptedWriter, log: EncryptedWriter, size: tuple[int, int] | None = None) -> None:
        self._file = video
        self._log = LogWriter(log)
        self._container = av.open(video, "w", format="mp4", options=_CONTAINER)
        self._stream: VideoStream | None = None
        self.size = size
        self.frames = 0
        self._first_media = 0
        self._last_media = -1

    def add_report(self, media: int, clock_us: int, arrival_us: int) -> None:
        """Append a report of the browser's clock."""
        self._log.add_report(media, clock_us, arrival_us)

    def add_frame(self, frame: av.VideoFrame, media: int, arrival_us: int) -> None:
        """Encode a frame; one whose media time does not increase is dropped."""
        if media <= self._last_media:
            return
        stream = self._stream or self._begin(frame, media)
        assert self.size is not None
        picture = frame.reformat(width=self.size[0], height=self.size[1], format="yuv420p")
        picture.pts, picture.time_base = media - self._first_media, TIME_BASE
        picture.pict_type = 0  # the encoder decides, not what the browser sent
        self._log.add_frame(media, arrival_us)
        self._container.mux(stream.encode(picture))
        self._last_media = media
        self.frames += 1

    def flush(self) -> None:
        """Flush both files to the operating system, the frames up to the last fragment."""
        self._file.flush()
        self._log.flush()

    @property
    def n_bytes(self) -> int:
        """Size of both files, bytes."""
        return self._file.stored_bytes + self._log.stored_bytes

    def close(self) -> None:
        """Finish both files."""
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        finally:
            self._file.close()
            self._log.close()

    def _begin(self, frame: av.VideoFrame, media: int) -> VideoStream:
        self.size = self.size or fitting(frame.width, frame.height)
        stream = self._container.add_stream("libx264", options=_ENCODER)
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        stream.codec_context.gop_size = KEY_EVERY
        self._stream, self._first_media = stream, media
        return stream


def fitting(width: int, height: int) -> tuple[int, int]:
    """Return the size of a frame whose longer side is ``LONG_SIDE``; both sides even, as the format requires."""
    scale = LONG_SIDE / max(width, height)
    return (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))


def size_of(video: RawIOBase) -> tuple[int, int] | None:
    """Return the size of a part's frames; None when it has none."""
    try:
        with av.open(video) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height
    except (av.FFmpegError, IndexError):
        return None
