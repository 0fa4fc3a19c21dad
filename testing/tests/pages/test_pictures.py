"""Uploaded pictures are looked at before anything unpacks them."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from semg.errors import InvalidValueError
from ui.pictures import check_picture


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 24)).save(out, kind)
    return out.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose head claims another size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_pictures_are_taken(kind: str) -> None:
    check_picture(picture(kind))


@pytest.mark.parametrize("size", [(10_000, 10_000), (60_000, 60_000), (1 << 20, 1 << 20)])
def test_picture_that_would_fill_the_memory_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidValueError, match="prompt"):
        check_picture(claims(*size))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF8",
        picture("PNG")[:40],
        b"\x89PNG\r\n\x1a\n<script>",
        picture("BMP"),
        b"RIFF0000WEBPVP8 " + b"\xff" * 9,
    ],
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidValueError, match="prompt"):
        check_picture(content)
