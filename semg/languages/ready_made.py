"""The gestures of the ready-made banks in the language of who performs them; stored names are labels and stay."""

from __future__ import annotations

from collections.abc import Iterable

from semg.domain import Gesture
from semg.languages.catalogue import DEFAULT_LANGUAGE, sentence, sentences

_ROOM = "gestures"


def names() -> tuple[str, ...]:
    """Return the names of all ready-made gestures as they are stored."""
    return tuple(text for key, text in sentences(DEFAULT_LANGUAGE, _ROOM).items() if key.endswith(".name"))


def description(name: str, language: str = DEFAULT_LANGUAGE) -> str:
    """Return how a ready-made gesture is performed.

    Raises
    ------
    KeyError
        No ready-made gesture is stored under this name.
    """
    return sentence(language, f"{_key(name)}.about")


def is_ready_made(gesture: Gesture) -> bool:
    """Return whether a gesture is one of a ready-made bank, neither renamed nor described by anybody since."""
    return gesture.name in names() and gesture.description in ("", description(gesture.name))


def shown_names(bank: Iterable[Gesture], language: str) -> dict[str, str]:
    """Return the names to be read by who performs gestures, by stored name; what somebody typed stays as typed."""
    return {one.name: sentence(language, f"{_key(one.name)}.name") if is_ready_made(one) else one.name for one in bank}


def shown_descriptions(bank: Iterable[Gesture], language: str) -> dict[str, str]:
    """Return the descriptions to be read by who performs gestures, by stored name; empty where there is none."""
    return {
        one.name: description(one.name, language) if one.description and is_ready_made(one) else one.description
        for one in bank
    }


def _key(name: str) -> str:
    return f"{_ROOM}.{name.replace(' ', '_')}"
