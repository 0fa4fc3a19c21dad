"""Check that an uploaded picture or video is valid, of a kind and size that may be shown.

A file's name and its first bytes may say anything: it is opened in a separate process, and its first picture
unpacked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semg.errors import DecoderError, InvalidValueError
from semg.process import confined
from semg.process.confined import Confinement
from semg.store.gestures import MAX_PROMPT_BYTES, media_type_of

MAX_PIXELS = 24_000_000
"""A large camera's picture. A file of some kB can claim a thousand times more and fill the memory when it is shown."""
MAX_FRAMES = 1000
MAX_SCANS = 100
"""Of a JPEG. Cameras and programs write one, or about ten when it is progressive."""
MAX_VIDEO_PIXELS = 4096 * 2304
MAX_VIDEO_S = 60.0
MAX_VIDEO_FRAMES = 7200
"""Two minutes at 60 a second: also of a file that says no duration."""
CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
"""What browsers play."""
DECODER = Path(__file__).with_name("prompt_decoder.py")
MAY = Confinement(memory_bytes=1 << 30, cpu_s=10, answer_bytes=1 << 16, wall_s=30.0)
"""The largest picture that is allowed takes about a third of the memory and a few seconds."""
_PICTURES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
_DEMUXERS = {"video/mp4": "mp4", "video/webm": "webm"}
"""Only these are tried: others open files named in the content."""


def check_prompt(content: bytes) -> str:
    """Return the media type of a picture or short video that can be shown.

    Parameters
    ----------
    content
        The whole file.

    Raises
    ------
    InvalidValueError
        It is none of the known kinds, damaged, or too large or long, or its decoder crashed.
    ConflictError
        Too many others are being opened.
    """
    media_type = media_type_of(content)
    if media_type is None:
        raise InvalidValueError("prompt", "choose a PNG, JPEG, GIF or WebP picture, or an MP4 or WebM video")
    if len(content) > MAX_PROMPT_BYTES:
        raise InvalidValueError(
            "prompt", f"choose a file of at most {MAX_PROMPT_BYTES >> 20} MB (now {len(content):,} bytes)"
        )
    try:
        answer = confined.run(DECODER, content, order_for(media_type), MAY)
    except DecoderError as exc:
        raise InvalidValueError("prompt", f"save the file again, smaller: it cannot be used ({exc})") from exc
    if problem := answer.get("problem"):
        raise InvalidValueError("prompt", str(problem)[:500])
    return media_type


def order_for(media_type: str) -> dict[str, Any]:
    """Return the argument of ``semg/capture/prompt_decoder.py`` for a file of this type."""
    if media_type in _PICTURES:
        return {
            "is_picture": True,
            "kind": _PICTURES[media_type],
            "max_pixels": MAX_PIXELS,
            "max_frames": MAX_FRAMES,
            "max_scans": MAX_SCANS,
        }
    return {
        "is_picture": False,
        "kind": _DEMUXERS[media_type],
        "max_pixels": MAX_VIDEO_PIXELS,
        "max_frames": MAX_VIDEO_FRAMES,
        "max_s": MAX_VIDEO_S,
        "codecs": CODECS,
    }
