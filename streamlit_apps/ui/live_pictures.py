"""Pictures of gestures for the live views, as addresses that a browser shows without asking anybody."""

from __future__ import annotations

import base64

from semg.domain import Gesture
from ui import prompts
from ui.runtime import App

MAX_BYTES = 4 << 20
"""Of all pictures together: they travel with the page."""


def pictures_of(app: App, bank: list[Gesture]) -> dict[str, str]:
    """Return the data URI of each gesture's picture, by name; gestures without one, and videos, are left out."""
    made, room = {}, MAX_BYTES
    for gesture in bank:
        found = prompts.find(app, gesture)
        if found is not None and found[0].startswith("image/") and len(found[1]) <= room:
            room -= len(found[1])
            made[gesture.name] = f"data:{found[0]};base64,{base64.b64encode(found[1]).decode()}"
    return made
