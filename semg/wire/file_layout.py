"""How a file of samples is laid out: what its columns are, and what they count in.

The platform's own layout is ``millis,a0,…,aN,gesture,repetition``. Files from elsewhere have other separators, times in
seconds, no labels. What a guess cannot determine is a question (``LayoutGuess.questions``) for the person who imports
the file.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from semg.domain import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, REST
from semg.errors import RecordingError

TimeUnit = Literal["ms", "s", "us", "samples"]
UNIT_MS: dict[TimeUnit, float] = {"ms": 1.0, "s": 1000.0, "us": 0.001}
"""Length of a unit in milliseconds; of ``samples`` it is the period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is read.

    Attributes
    ----------
    header
        A name for each column, in order; ``c1, c2, …`` of a file without a header line.
    n_skipped
        Lines before the first one that counts.
    time, time_unit
        The column of time, and what it counts; without a column, samples follow each other at ``rate_hz``.
    rate_hz
        Sampling rate; found from the times when None.
    channels
        The columns of values, in the order of the device's channels.
    channel_names
        What the device calls them; the columns' own names when empty.
    label
        The column of gestures; None for a file without labels.
    rest
        The label that means rest.
    repetition
        The column of repetitions; counted from the runs of a label when None.
    """

    encoding: str = "utf-8-sig"
    separator: str = ","
    decimal: str = "."
    has_header: bool = True
    n_skipped: int = 0
    header: tuple[str, ...] = ()
    time: str | None = "millis"
    time_unit: TimeUnit = "ms"
    rate_hz: float | None = None
    channels: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    label: str | None = "gesture"
    rest: str = REST
    repetition: str | None = "repetition"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.channel_names or self.channels

    @property
    def is_own(self) -> bool:
        """Whether it is the platform's own layout: ``millis,…,gesture,repetition``."""
        return self.separator == "," and (self.header[:1], self.header[-2:]) == (("millis",), ("gesture", "repetition"))

    @property
    def fingerprint(self) -> str:
        """What files of one layout have in common: separator, decimal sign and columns."""
        seen = [self.separator, self.decimal, str(self.has_header), *self.header]
        return hashlib.sha256("\x1f".join(seen).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return the layout as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Layout:
        """Return a layout from what ``as_json`` gave."""
        known: dict[str, Any] = {name: value for name, value in values.items() if name in cls.__dataclass_fields__}
        for name in ("header", "channels", "channel_names"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutAnswers:
    """Answers of the person who imports a file; None leaves a field to the guess.

    Attributes
    ----------
    separator
        One character, or ``tab``, ``blank``.
    time, label, repetition
        Names of columns; an empty text: there is none.
    rest
        The label that means rest; an empty text: none does.
    """

    separator: str | None = None
    time: str | None = None
    time_unit: str | None = None
    rate_hz: float | None = None
    channels: tuple[str, ...] | None = None
    label: str | None = None
    rest: str | None = None
    repetition: str | None = None


NO_ANSWERS = LayoutAnswers()


@dataclass(frozen=True, slots=True)
class LayoutGuess:
    """What the first lines of a file say.

    Attributes
    ----------
    rows
        The first rows, as text.
    labels
        The labels of the first lines, in their order.
    questions
        Fields of the layout that the file does not settle.
    """

    layout: Layout
    rows: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    questions: tuple[str, ...]

    def answered(self, answers: LayoutAnswers) -> LayoutGuess:
        """Return the guess, overridden by what the person has specified.

        Raises
        ------
        RecordingError
            A unit that is none.
        """
        said = {
            one.name: getattr(answers, one.name)
            for one in fields(answers)
            if one.name != "separator" and getattr(answers, one.name) is not None
        }
        if said.get("time_unit", "ms") not in get_args(TimeUnit):
            raise RecordingError(
                f"expected one of {', '.join(get_args(TimeUnit))} as the unit of time, got {said['time_unit']!r}"
            )
        left = tuple(one for one in self.questions if one not in said and not (one == "time" and "label" in said))
        for column in ("time", "label", "repetition"):
            if column in said:
                said[column] = said[column] or None
        layout = replace(self.layout, **said)
        taken = {layout.time, layout.label, layout.repetition}
        if "channels" not in said:
            layout = replace(layout, channels=tuple(one for one in layout.channels if one not in taken))
            left = tuple(one for one in left if one != "channels" or "label" not in said)
        return replace(self, layout=layout, questions=left)


def checked(name: str, layout: Layout) -> Layout:
    """Return a layout that somebody chose.

    Raises
    ------
    RecordingError
        A column is not there, or chosen twice; there is no channel; a rate is missing.
    """
    chosen = [*layout.channels, *(one for one in (layout.time, layout.label, layout.repetition) if one is not None)]
    missing = [one for one in chosen if one not in layout.header]
    if missing:
        raise RecordingError(
            f"{name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; expected the header "
            f"millis,a0,…,aN,gesture,repetition and found {','.join(layout.header)[:200]}. Choose the columns yourself."
        )
    if len(set(chosen)) < len(chosen):
        raise RecordingError(f"{name}: one column is chosen twice; choose each column only once.")
    if not 1 <= len(layout.channels) <= MAX_CHANNELS:
        raise RecordingError(f"{name} has {len(layout.channels)} channel columns; expected 1 to {MAX_CHANNELS}.")
    if layout.channel_names and len(layout.channel_names) != len(layout.channels):
        each = "the channel" if len(layout.channels) == 1 else f"each of the {len(layout.channels)} channels"
        raise RecordingError(f"{name}: expected one name for {each}, got {len(layout.channel_names)}.")
    if layout.rate_hz is None and (layout.time is None or layout.time_unit == "samples"):
        raise RecordingError(f"{name} contains no times: enter the samples per second (--rate-hz on the command line).")
    if layout.rate_hz is not None and not MIN_RATE_HZ <= layout.rate_hz <= MAX_RATE_HZ:
        raise RecordingError(
            f"{name}: expected a rate of {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} samples/s, got {layout.rate_hz:g}."
        )
    return layout
