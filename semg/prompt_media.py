"""Whether an uploaded picture or video is one, of a kind and size that may be shown.

A file's name and its first bytes may say anything: it is opened, and its first picture unpacked.
"""

from __future__ import annotations

import io
import warnings

import av
from PIL import Image

from semg.errors import InvalidValueError
from semg.store.gestures import MAX_PROMPT_BYTES, media_type_of

MAX_PIXELS = 24_000_000
"""A large camera's picture. A file of some kB can claim a thousand times more and fill the memory when it is shown."""
MAX_FRAMES = 1000
MAX_VIDEO_PIXELS = 4096 * 2304
MAX_VIDEO_S = 60.0
MAX_VIDEO_FRAMES = 7200
"""Two minutes at 60 a second: also of a file that says no duration."""
CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
"""What browsers play."""
_PICTURES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
_DEMUXERS = {"video/mp4": "mp4", "video/webm": "webm"}
"""Only these are tried: others follow names that stand in the file."""


def check_prompt(content: bytes) -> str:
    """Give the media type of a picture or short video that can be shown.

    Parameters
    ----------
    content
        The whole file.

    Raises
    ------
    InvalidValueError
        It is none of the known kinds, damaged, or too large or long.
    """
    media_type = media_type_of(content)
    if media_type is None:
        raise InvalidValueError("prompt", "expected a PNG, JPEG, GIF or WebP picture, or an MP4 or WebM video")
    if len(content) > MAX_PROMPT_BYTES:
        raise InvalidValueError("prompt", f"expected at most {MAX_PROMPT_BYTES >> 20} MB, got {len(content):,} bytes")
    if media_type in _PICTURES:
        check_picture(content, _PICTURES[media_type])
    else:
        check_video(content, _DEMUXERS[media_type])
    return media_type


def check_picture(content: bytes, kind: str) -> None:
    """Read a picture's head, and unpack it (of an animation the first one) when that says a size that is allowed.

    Parameters
    ----------
    kind
        As Pillow calls it: ``PNG``, ``JPEG``, ``GIF``, ``WEBP``.

    Raises
    ------
    InvalidValueError
        It is damaged, of another kind, or too large.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=(kind,)) as picture:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise InvalidValueError(
                    "prompt", f"expected at most {MAX_PIXELS // 1_000_000} megapixels, got {width} × {height}"
                )
            if getattr(picture, "n_frames", 1) > MAX_FRAMES:
                raise InvalidValueError("prompt", f"expected at most {MAX_FRAMES} frames; make the animation shorter")
            picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning) as exc:
        raise InvalidValueError("prompt", f"the picture cannot be read ({exc}); save it anew as PNG or JPEG") from exc


def check_video(content: bytes, demuxer: str) -> None:
    """Read a video's packets, and unpack its first picture.

    Parameters
    ----------
    demuxer
        As FFmpeg calls it: ``mp4`` or ``webm``.

    Raises
    ------
    InvalidValueError
        It is damaged, of another kind, or too large or long.
    """
    try:
        options = {"max_pixels": str(MAX_VIDEO_PIXELS)}
        with av.open(io.BytesIO(content), "r", format=demuxer, options=options) as container:
            if len(container.streams) > 4 or len(container.streams.video) != 1:
                raise InvalidValueError("prompt", "expected a video with one picture track")
            _check_track(container, container.streams.video[0])
    except (av.FFmpegError, OSError, ValueError, OverflowError, EOFError) as exc:
        raise InvalidValueError(
            "prompt", f"the video cannot be read ({exc}); save it anew as MP4 (H.264) or WebM"
        ) from exc


def _check_track(container: av.container.InputContainer, track: av.VideoStream) -> None:
    codec: av.VideoCodecContext | None = track.codec_context
    if codec is None:
        raise InvalidValueError("prompt", f"expected a video in {', '.join(CODECS)}, got none that is known")
    if codec.name not in CODECS and codec.codec.canonical_name not in CODECS:
        raise InvalidValueError("prompt", f"expected a video in {', '.join(CODECS)}, got {codec.name}")
    if not 0 < codec.width * codec.height <= MAX_VIDEO_PIXELS:
        raise InvalidValueError("prompt", f"expected at most 4096 × 2304 pixels, got {codec.width} × {codec.height}")
    codec.thread_count = 1
    codec.options = {"max_pixels": str(MAX_VIDEO_PIXELS)}
    shown, n, last_s = False, 0, 0.0
    for packet in container.demux(track):
        n += packet.size > 0
        if packet.pts is not None and packet.time_base is not None:
            last_s = max(last_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if n > MAX_VIDEO_FRAMES or last_s > MAX_VIDEO_S:
            raise InvalidValueError(
                "prompt", f"expected at most {MAX_VIDEO_S:.0f} s and {MAX_VIDEO_FRAMES:,} pictures; make it shorter"
            )
        if not shown:
            shown = bool(packet.decode())
    if not shown:
        raise InvalidValueError("prompt", "the video cannot be read: no picture is in it")
