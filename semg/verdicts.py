"""A verdict in plain words, as every page shows it: of a session, a model's version, a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VerdictLevel = Literal["good", "usable", "do not use", "unknown"]

WORDS: dict[VerdictLevel, str] = {
    "good": "Good",
    "usable": "Usable",
    "do not use": "Do not use",
    "unknown": "Not known",
}
_WORST_FIRST: tuple[VerdictLevel, ...] = ("do not use", "usable", "unknown", "good")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number behind a verdict: its name, its value with the unit, and what it means."""

    name: str
    value: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something is good enough for use.

    Attributes
    ----------
    sentence
        The reason, as one sentence.
    next_step
        What to do, as one sentence; empty where nothing is to be done.
    figures
        The numbers behind it.
    code
        The deciding criterion, for programs and tests.
    """

    level: VerdictLevel
    sentence: str
    next_step: str = ""
    figures: tuple[Figure, ...] = ()
    code: str = ""

    @property
    def word(self) -> str:
        """The level as a word."""
        return WORDS[self.level]

    @property
    def text(self) -> str:
        """The word, the reason and the next step in one line."""
        return " ".join(part for part in (f"{self.word}.", self.sentence, self.next_step) if part)


def level_of(quality: str) -> VerdictLevel:
    """Return the level of a signal that was called ``good``, ``fair`` or ``bad``; of any other word, ``unknown``."""
    found: dict[str, VerdictLevel] = {"good": "good", "fair": "usable", "bad": "do not use"}
    return found.get(quality, "unknown")


def worst(first: Verdict, *others: Verdict) -> Verdict:
    """Return the worst of some verdicts; of several equally bad ones the first."""
    return min((first, *others), key=lambda one: _WORST_FIRST.index(one.level))
