"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "OPEN", "untried"]
WIDTH = 96


@dataclass(frozen=True, slots=True)
class Finding:
    """One request, or a few of a kind, and what came of it.

    Attributes
    ----------
    asked
        What was asked, in words or as the request's first line.
    answered
        What came back, short: no secret and no content of anybody.
    """

    outcome: Outcome
    asked: str
    answered: str

    def __str__(self) -> str:
        """Return the line that is printed."""
        return f"  {self.outcome:<8}{_line(self.asked)}: {_line(self.answered)}"


class NotTried(Exception):
    """A group, or the rest of one, could not be tried; the message says why."""


def judged(is_shut: bool, asked: str, answered: object) -> Finding:
    """Return the finding of a check."""
    return Finding("ok" if is_shut else "OPEN", asked, str(answered))


def _line(text: str) -> str:
    """Return a text as one printable line that is not too long."""
    shown = "".join(letter if letter.isprintable() else "·" for letter in " ".join(text.split()))
    return shown if len(shown) <= WIDTH else shown[: WIDTH - 1] + "…"
