"""Decode an uploaded picture or video; run as a separate program by ``semg/process/confined.py``.

Imports nothing of the project but its sandbox, so that it starts in a quarter of a second and knows nothing of worth.
Before it reads a byte of its input it gives up root and nearly all system calls: it can open no file and no connection.
"""

from __future__ import annotations

import copy  # noqa: F401 - Pillow imports it at the second frame of a GIF, when no file can be opened any more
import importlib.util
import io
import json
import re
import resource
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

Order = Mapping[str, Any]
"""``kind`` (as Pillow or FFmpeg calls it), ``is_picture``, and the bounds of ``semg/capture/prompt_media.py``."""
_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_SCAN, _END, _ALONE = 0xDA, 0xD9, {0x01, 0xD8}
_SANDBOX = Path(__file__).parents[1] / "process" / "sandbox.py"


class Refused(Exception):
    """Why a picture or video cannot be shown; a sentence for the person who uploaded it."""


def check_picture(content: bytes, order: Order) -> None:
    """Read a picture's head, and unpack it (of an animation the first one) when that says a size that is allowed.

    Raises
    ------
    Refused
        It is damaged, of another kind, or too large.
    """
    from PIL import Image

    if order["kind"] == "JPEG" and count_scans(content) > order["max_scans"]:
        raise Refused(f"save the JPEG again, with at most {order['max_scans']} scans")
    most = order["max_pixels"]
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=(order["kind"],)) as picture:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            width, height = picture.size
            if width * height > most:
                raise Refused(f"choose a picture of at most {most // 1_000_000} megapixels (now {width} × {height})")
            if getattr(picture, "n_frames", 1) > order["max_frames"]:
                raise Refused(f"make the animation shorter: at most {order['max_frames']} frames")
            picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning) as exc:
        raise Refused(f"save the picture again as PNG or JPEG: it cannot be read ({exc})") from exc


def count_scans(content: bytes) -> int:
    """Count the scans of a JPEG by its markers (ITU-T T.81, annex B), without decoding it.

    A progressive picture is decoded as a whole for each: a file of some kB with thousands takes minutes.
    """
    n, at = 0, 0
    while (found := _NEXT_MARKER.search(content, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        if marker in _ALONE:
            continue
        n += marker == _SCAN
        at += int.from_bytes(content[at : at + 2], "big")
    return n


def check_video(content: bytes, order: Order) -> None:
    """Read a video's packets, and unpack its first picture.

    Raises
    ------
    Refused
        It is damaged, of another kind, or too large or long.
    """
    import av

    try:
        options = {"max_pixels": str(order["max_pixels"])}
        with av.open(io.BytesIO(content), "r", format=order["kind"], options=options) as container:
            if len(container.streams) > 4 or len(container.streams.video) != 1:
                raise Refused("choose a video with one picture track")
            _check_track(container, container.streams.video[0], order)
    except (av.FFmpegError, OSError, ValueError, OverflowError, EOFError) as exc:
        raise Refused(f"save the video again as MP4 (H.264) or WebM: it cannot be read ({exc})") from exc


def _check_track(container: InputContainer, track: av.VideoStream, order: Order) -> None:
    codec: av.VideoCodecContext | None = track.codec_context
    codecs = order["codecs"]
    if codec is None:
        raise Refused(f"save the video in {', '.join(codecs)}: its codec is unknown")
    if codec.name not in codecs and codec.codec.canonical_name not in codecs:
        raise Refused(f"save the video in {', '.join(codecs)} (now {codec.name})")
    if not 0 < codec.width * codec.height <= order["max_pixels"]:
        raise Refused(f"choose a video of at most 4096 × 2304 pixels (now {codec.width} × {codec.height})")
    codec.thread_count = 1
    codec.options = {"max_pixels": str(order["max_pixels"])}
    shown, n, last_s = False, 0, 0.0
    for packet in container.demux(track):
        n += packet.size > 0
        if packet.pts is not None and packet.time_base is not None:
            last_s = max(last_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if n > order["max_frames"] or last_s > order["max_s"]:
            raise Refused(
                f"make the video shorter: at most {order['max_s']:.0f} s and {order['max_frames']:,} pictures"
            )
        if not shown:
            shown = bool(packet.decode())
    if not shown:
        raise Refused("save the video again: it cannot be read, because it contains no picture")


def confine(may: Mapping[str, Any]) -> None:
    """Bound what this process can use from now on; nothing can raise it again."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, may["cpu_s"])
    _lower(resource.RLIMIT_FSIZE, may["answer_bytes"])
    if sys.platform != "darwin":  # which knows the name and refuses every value
        _lower(resource.RLIMIT_AS, may["memory_bytes"])


def close_the_door(sandbox: ModuleType) -> None:
    """Prevent this process from opening or starting anything more; called after all imports, before the input is read.

    Raises
    ------
    sandbox.UnconfinedError
        The kernel refuses it.
    """
    _lower(resource.RLIMIT_NOFILE, 3)
    _lower(resource.RLIMIT_NPROC, 0)
    sandbox.enter()


def load_sandbox() -> ModuleType:
    """Import ``semg/process/sandbox.py`` by its path: in isolated mode the project is not on Python's."""
    spec = importlib.util.spec_from_file_location("sandbox", _SANDBOX)
    if spec is None or spec.loader is None:
        raise ImportError(f"expected the sandbox in {_SANDBOX}")
    sandbox = sys.modules["sandbox"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sandbox)
    return sandbox


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _load_libraries(kind: str, is_picture: bool) -> None:
    """Import everything needed to decode this kind, while files can be opened."""
    if is_picture:
        from PIL import Image

        Image.init()  # a damaged picture makes Pillow try every other kind
    else:
        import av.subtitles.codeccontext  # which av imports when a file is opened, as it does the next two
        import av.subtitles.stream
        import av.subtitles.subtitle

        av.open(io.BytesIO(), "w", format=kind).close()


def main() -> int:
    """Check the file on the standard input, and answer on the standard output."""
    order = json.loads(sys.argv[1])
    confine(order["may"])
    _load_libraries(order["kind"], order["is_picture"])
    sandbox = load_sandbox()
    try:
        close_the_door(sandbox)
    except sandbox.UnconfinedError as exc:
        sys.stdout.write(str(exc)[:500])
        return int(sandbox.UNCONFINED)
    problem = ""
    try:
        (check_picture if order["is_picture"] else check_video)(sys.stdin.buffer.read(), order)
    except Refused as exc:
        problem = str(exc)
    except MemoryError:
        problem = f"make it smaller: opening it takes more than {order['may']['memory_bytes'] >> 20} MB"
    sys.stdout.write(json.dumps({"problem": problem[:500]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
