"""The picture of a gesture for any page: its own, or the hand that is drawn for its name."""

from __future__ import annotations

from collections.abc import Iterable

from semg.domain import Gesture
from semg.pictures import data_uri, hand_svg
from semg.privacy import file_exports
from ui import download, prompts
from ui.runtime import App

SVG = "image/svg+xml"


def picture_uris(app: App, bank: Iterable[Gesture]) -> dict[str, str]:
    """Return what the ``src`` of an image takes to show each gesture, by name; gestures without a picture are missing.

    A stored picture is named by its address at the API, with a token of this login, so that nothing is read here; a
    stored video has no picture, and the drawn hand stands for it.
    """
    found: dict[str, str] = {}
    for gesture in bank:
        uri = picture_uri(app, gesture)
        if uri is not None:
            found[gesture.name] = uri
    return found


def picture_uri(app: App, gesture: Gesture) -> str | None:
    """Return what the ``src`` of an image takes to show a gesture, or None."""
    if gesture.prompt_type is not None and gesture.prompt_type.startswith("image/"):
        return download.file_url(app, file_exports.prompt_file(gesture.gesture_id))
    return drawn_uri(gesture.name)


def drawn_uri(name: str) -> str | None:
    """Return the drawn hand for a gesture's name as a data address, or None for a name that is not known."""
    svg = hand_svg(name)
    return None if svg is None else data_uri(svg)


def find_picture(app: App, gesture: Gesture) -> tuple[str, bytes] | None:
    """Return media type and content of what shows a gesture: its own picture or video, else the drawn hand, or None."""
    found = prompts.find(app, gesture)
    if found is not None:
        return found
    svg = hand_svg(gesture.name)
    return None if svg is None else (SVG, svg.encode())
