"""Normal form of the names of people, gestures, sessions and labels.

Names that look equal are equal: they are stored in Unicode's composed form (NFC), without blanks at their edges and
with one blank between words, and are compared without case.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from semg.domain import REST

LIKE_REST = frozenset(
    {"0", "rest", "resting", "relax", "relaxed", "idle", "none", "null", "no movement", "no_movement", "no-movement",
     "no gesture", "no_gesture", "nothing", "neutral", "baseline", "ruhe"}
)  # fmt: skip
"""Labels, as ``key`` gives them, that often stand for rest in files from elsewhere; 0 is the one of NinaPro."""


LONGEST = 400
"""Longer than any name that is taken. Composing takes a time that grows with the square of a run of combining marks:
32,000 of them hold up the whole process for a second."""


def composed(text: str) -> str:
    """Return a text in Unicode's composed form, without blanks at its edges; one that is too long for a name as it is.

    Such a text is no valid name: checks of its length refuse it.
    """
    return text if len(text) > LONGEST else unicodedata.normalize("NFC", text).strip()


def normalised(name: str) -> str:
    """Return a name as it is stored."""
    return " ".join(word for word in composed(name).split(" ") if word)


def key(name: str) -> str:
    """Return the key by which names are compared."""
    return normalised(name).casefold()


def find(name: str, known: Iterable[str]) -> str | None:
    """Return the equal known name, or None."""
    wanted = key(name)
    return next((one for one in known if key(one) == wanted), None)


def is_like_rest(label: str) -> bool:
    """Return whether a label is one that often means rest in files from elsewhere."""
    return key(label) in LIKE_REST


def label(text: str) -> str:
    """Return a label of a file: normalised, and ``rest`` in whatever case."""
    name = normalised(text)
    return REST if name.casefold() == REST else name
