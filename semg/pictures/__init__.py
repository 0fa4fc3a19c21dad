"""Pictures drawn by this program: postures of the hand, and where electrodes go on the forearm."""

from __future__ import annotations

import base64
from functools import cache

from semg.pictures.hand import draw
from semg.pictures.names import posture_of
from semg.pictures.placement import placement_svg
from semg.pictures.postures import POSTURES

__all__ = ["data_uri", "hand_svg", "placement_svg", "posture_of"]


def hand_svg(name: str) -> str | None:
    """Return the picture of a gesture as the text of an SVG file, or None for a name that is not known.

    Parameters
    ----------
    name
        Of the gesture; case, ``_`` and ``-`` do not count, and common other names are known.
    """
    posture = posture_of(name)
    return None if posture is None else _drawn(posture)


def data_uri(svg: str) -> str:
    """Return a picture as an address that holds it, for the ``src`` of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


@cache
def _drawn(posture: str) -> str:
    return draw(POSTURES[posture], posture)
