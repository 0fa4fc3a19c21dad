"""Colours that people with any of the common colour deficiencies can tell apart.

Channels and gestures take them from the qualitative set of Okabe and Ito (*Color Universal Design*, 2008), darkened
where needed for lines on white. State is never told by colour alone: a word or a shape stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

CHANNELS = ("#0072b2", "#d55e00", "#009e73", "#b5598d", "#a67c00", "#3a8fc4", "#5f4b8b", "#444444")
"""Lines; with more than eight channels they repeat, which lanes keep apart."""
GESTURES = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442", "#8c6bb1", "#7f7f7f")
REST = "#c3ccd3"
UNSURE = "#eef1f4"
GOOD, FAIR, BAD = "#0b7a55", "#8f5500", "#b3261e"
LEVEL_COLOURS = {"good": GOOD, "fair": FAIR, "bad": BAD}
LEVEL_SIGNS = {"good": "●", "fair": "▲", "bad": "■"}
INK, PAPER = "#000000", "#ffffff"
"""Of text on a colour: one of the two has a contrast of at least 4.5 with any colour."""
HEAT = ((0.0, "#f7fbff"), (0.5, "#6baed6"), (1.0, "#08306b"))
"""One hue from light to dark: it keeps its order in greyscale."""


def gesture_colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each gesture by its position; rest is always the same grey."""
    others = [name for name in dict.fromkeys(names) if name != "rest"]
    colours = {name: GESTURES[index % len(GESTURES)] for index, name in enumerate(others)}
    return colours | {"rest": REST}


def channel_colours(n_channels: int) -> list[str]:
    """Return a colour for each channel by its position."""
    return [CHANNELS[index % len(CHANNELS)] for index in range(n_channels)]


def gesture_inks(names: Sequence[str]) -> dict[str, str]:
    """Return the colour of text on each gesture's colour."""
    return {name: ink(colour) for name, colour in gesture_colours(names).items()}


def ink(colour: str) -> str:
    """Return black or white, whichever is read better on a colour ``#rrggbb``."""
    return max((INK, PAPER), key=lambda one: contrast(one, colour))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours ``#rrggbb``, from 1 to 21 (WCAG 2.2, *contrast ratio*)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2, *relative luminance*)."""
    shares = (int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
