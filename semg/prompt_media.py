"""Whether an uploaded picture is one, and of a size that may be shown."""

from __future__ import annotations

import io
import warnings

from PIL import Image

from semg.errors import InvalidValueError

MAX_PIXELS = 24_000_000
"""A large camera's picture. A file of some kB can claim a thousand times more and fill the memory when it is shown."""

MAX_FRAMES = 1000
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


def check_picture(content: bytes) -> None:
    """Read a picture's head, without unpacking it.

    Raises
    ------
    InvalidValueError
        It is damaged, none of the known kinds, or too large.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise InvalidValueError(
                    "prompt", f"expected at most {MAX_PIXELS // 1_000_000} megapixels, got {width} × {height}"
                )
            if getattr(picture, "n_frames", 1) > MAX_FRAMES:
                raise InvalidValueError("prompt", f"expected at most {MAX_FRAMES} frames; make the animation shorter")
            picture.verify()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning) as exc:
        raise InvalidValueError("prompt", f"the picture cannot be read ({exc}); save it anew as PNG or JPEG") from exc
