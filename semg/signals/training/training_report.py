"""The report of a training, as it is made, read and stored as JSON; needs nothing but Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self, cast

VerdictLevel = Literal["good", "usable", "do not use"]

FIGURES = frozenset(
    "accuracy balanced_accuracy macro_f1 trimmed per_gesture confusion classes windows chance chance_balanced "
    "trials".split()
)
"""Keys of every report of windows that no fitting step has seen, also where they are null."""
HELD_OUT = frozenset(
    "baseline baselines folds train_windows reliability decisions events operating_points operating_point "
    "silent_channels advice".split()
)
"""Keys of a training that held out a part of its data."""
FINISHED = frozenset(
    "split held_out seed last_epoch classifier base n_parameters model_bytes us_per_window train_s report_s "
    "previous".split()
)
"""Keys of every training that came to its end."""


class _Part:
    """A part of a report: a frozen dataclass whose fields are the keys of a JSON object."""

    __slots__ = ()

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the part of a JSON object; keys that are missing become None or empty, unknown ones are left out."""
        make: Any = cls
        made: Self = make(**_read(cls, stored))
        return made

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON-ready values."""
        return {one.name: _json(getattr(self, one.name)) for one in fields(cast(Any, self))}


def _part(kind: type[_Part]) -> Any:
    return field(default=None, metadata={"read": kind.from_json})


def _parts(kind: type[_Part]) -> Any:
    return field(default=(), metadata={"read": lambda stored: tuple(map(kind.from_json, stored))})


def _by_name(kind: type[_Part]) -> Any:
    def read(stored: Mapping[str, Any]) -> dict[str, _Part]:
        return {name: kind.from_json(one or {}) for name, one in stored.items()}

    return field(default_factory=dict, metadata={"read": read})


def _tuple(read: Callable[[Any], Any] | None = None) -> Any:
    return field(default=(), metadata={"read": lambda stored: tuple(stored if read is None else map(read, stored))})


def _read(kind: Any, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a dataclass's fields that a JSON object holds."""
    return {
        one.name: one.metadata["read"](stored[one.name]) if "read" in one.metadata else stored[one.name]
        for one in fields(kind)
        if stored.get(one.name) is not None
    }


def _json(value: Any) -> Any:
    if isinstance(value, _Part):
        return value.as_json()
    if isinstance(value, Mapping):
        return {key: _json(each) for key, each in value.items()}
    return [_json(each) for each in value] if isinstance(value, tuple | list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(_Part):
    """What was held out in turn: ``by`` is session, repetition or none."""

    by: str = ""
    folds: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureFigures(_Part):
    """Of one gesture's held-out windows; no recall without any."""

    recall: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryFigures(_Part):
    """What one classifier scored on some windows."""

    accuracy: float | None = None
    balanced_accuracy: float | None = None
    macro_f1: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFigures(SummaryFigures):
    """What a plain method scored on the same windows; ``trimmed`` without those at a stretch's start."""

    classifier: str = ""
    trimmed: Mapping[str, float | None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return all fields; no classifier where the baselines are listed by it."""
        found = {one.name: _json(getattr(self, one.name)) for one in fields(self)}
        return {name: value for name, value in found.items() if name != "classifier" or value}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedFigures(SummaryFigures):
    """What a classifier scored on a calibration; confusions: rows true, columns predicted."""

    confusion: tuple[tuple[int, ...], ...] = _tuple(tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFigures(_Part):
    """What calibrating changed, each gesture judged without its own repetition."""

    windows: int = 0
    by: str = ""
    before: CalibratedFigures | None = _part(CalibratedFigures)
    after: CalibratedFigures | None = _part(CalibratedFigures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(_Part):
    """The version beside the one before it, on windows that neither has seen; ``why`` where that cannot be."""

    comparable: bool = False
    why: str = ""
    windows: int = 0
    new: SummaryFigures | None = _part(SummaryFigures)
    previous: SummaryFigures | None = _part(SummaryFigures)

    def as_json(self) -> dict[str, Any]:
        """Return the figures, or why there are none."""
        names = ("comparable", "windows", "new", "previous") if self.comparable else ("comparable", "why")
        return {name: _json(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin(_Part):
    """The predictions of one band of confidence; no figures without windows."""

    low: float = 0.0
    high: float = 1.0
    windows: int = 0
    confidence: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability(_Part):
    """How often predictions are right for each band of confidence.

    Attributes
    ----------
    calibration_error
        Mean distance of confidence and accuracy, weighed by windows.
    """

    bins: tuple[ReliabilityBin, ...] = _parts(ReliabilityBin)
    calibration_error: float | None = None
    mean_confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFigures(_Part):
    """What voting and rejection with certain settings make of predictions, fractions of 1.

    Attributes
    ----------
    hysteresis
        None in reports from before there was one.
    accuracy
        Of what was not rejected.
    recognised
        Mean over the gestures that occur, rest included, of the windows whose decision is right; a rejected one is
        not. None in reports from before it was counted.
    false_activations_per_min
        How often in a minute of rest a decision for another gesture begins; None when no rest was held out or the
        classifier knows none.
    """

    vote_n: int = 1
    min_confidence: float = 0.0
    hysteresis: float | None = None
    accuracy: float | None = None
    rejected: float | None = None
    recognised: float | None = None
    false_activations_per_min: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFigures(_Part):
    """What gesture events would have come of held-out predictions.

    Performances whose own gesture was pressed first, or another one; presses on ``rest_s`` of rest.
    """

    performances: int = 0
    recognised: int = 0
    other: int = 0
    false_on_rest: int = 0
    rest_s: float = 0.0
    median_latency_ms: float | None = None
    dwell_ms: int = 0

    @property
    def false_per_hour(self) -> float | None:
        """False presses per hour of rest; None without rest."""
        return 3600 * self.false_on_rest / self.rest_s if self.rest_s > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(_Part):
    """The assessment of a version.

    Attributes
    ----------
    code
        The deciding criterion: ``good``, ``gesture``, ``accuracy``, ``few``, ``chance``, ``baseline``, ``labels``.
    sentence
        The reason and the next step.
    chance
        Balanced accuracy of guessing: one over the number of gestures.
    standard_error
        Of balanced accuracy, from the number of held-out trials: windows of one trial are correlated.
    """

    level: VerdictLevel
    code: str = ""
    sentence: str = ""
    chance: float | None = None
    standard_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation(_Part):
    """Whether a version decided as soon as it was judged, and why not."""

    activated: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicFigures(_Part):
    """What the classifier of short dynamic gestures scored on performances that no step of its fit has seen.

    Attributes
    ----------
    by
        What was held out in turn: session or repetition.
    performances
        Each counts once, by the first decision on it; one that was missed or not decided is wrong.
    balanced_accuracy
        Mean recall over the dynamic gestures.
    confusion
        Rows are what was performed, columns what was decided, in the order of ``classes``, of which the last, empty one
        stands for everything else: its row counts the onsets in held gestures and rest.
    missed_onsets, doubled
        Performances that no trial began in, and decisions beyond the first one of a performance.
    false_per_min_rest, false_per_min_held
        Decisions for a dynamic gesture in a minute of rest, and of held gestures; None without any.
    """

    by: str = ""
    performances: int = 0
    balanced_accuracy: float | None = None
    per_gesture: Mapping[str, GestureFigures] = _by_name(GestureFigures)
    classes: tuple[str, ...] = _tuple()
    confusion: tuple[tuple[int, ...], ...] = _tuple(tuple)
    missed_onsets: int = 0
    doubled: int = 0
    false_per_min_rest: float | None = None
    false_per_min_held: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport(_Part):
    """What a version scored on data that no fitting step has seen, and what it took; see docs/recognition.md.

    A version that is still being tested has only ``pending``, one that will not be has ``incomplete``, which says why.

    Attributes
    ----------
    trimmed
        ``accuracy`` and ``macro_f1`` without the windows that start less than 750 ms into their stretch.
    confusion
        Rows are the true gesture, columns the predicted one, in the order of ``classes``.
    chance
        Accuracy of always naming the most frequent gesture; ``chance_balanced``: balanced accuracy of guessing.
    trials
        Stretches that the windows are of.
    held_out
        Names of the sessions or repetitions that were left out once.
    last_epoch
        The epoch that the network ended at; None of a method without a network.
    train_s, report_s
        Seconds until the classifier was ready, and until the report was.
    written
        Keys that the JSON has also where their value is null or empty.
    extra
        What the JSON has beside: keys that no field stands for, and values that the fields would not give back as they
        were stored (parts that other versions wrote with other keys).
    """

    pending: bool = False
    incomplete: str = ""
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    trimmed: Mapping[str, float | None] = field(default_factory=dict)
    per_gesture: Mapping[str, GestureFigures] = _by_name(GestureFigures)
    confusion: tuple[tuple[int, ...], ...] = _tuple(tuple)
    classes: tuple[str, ...] = _tuple()
    windows: int = 0
    chance: float | None = None
    chance_balanced: float | None = None
    trials: int = 0
    baseline: BaselineFigures | None = _part(BaselineFigures)
    baselines: Mapping[str, BaselineFigures] = _by_name(BaselineFigures)
    folds: tuple[Mapping[str, Any], ...] = _tuple()
    train_windows: int = 0
    reliability: Reliability | None = _part(Reliability)
    decisions: DecisionFigures | None = _part(DecisionFigures)
    events: EventFigures | None = _part(EventFigures)
    operating_points: tuple[DecisionFigures, ...] = _parts(DecisionFigures)
    operating_point: DecisionFigures | None = _part(DecisionFigures)
    silent_channels: tuple[str, ...] = _tuple()
    advice: str = ""
    calibration: CalibrationFigures | None = _part(CalibrationFigures)
    previous: Comparison | None = _part(Comparison)
    split: Split | None = _part(Split)
    held_out: tuple[str, ...] = _tuple()
    seed: int = 0
    last_epoch: int | None = None
    classifier: str = ""
    base: str | None = None
    n_parameters: int = 0
    model_bytes: int = 0
    us_per_window: float = 0.0
    train_s: float = 0.0
    report_s: float = 0.0
    dynamic: DynamicFigures | None = _part(DynamicFigures)
    verdict: Verdict | None = _part(Verdict)
    activation: Activation | None = _part(Activation)
    written: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> TrainingReport:
        """Return the report of a JSON object of this version or an earlier one, which ``as_json`` gives back."""
        own = stored.keys() & _KEYS
        report = TrainingReport(**_read(cls, {name: stored[name] for name in own}), written=frozenset(own))
        given_back = report.as_json()
        extra = {name: value for name, value in stored.items() if name not in given_back or given_back[name] != value}
        return replace(report, extra=extra)

    def as_json(self) -> dict[str, Any]:
        """Return the report as it is stored: what has a value, what is ``written`` without one, and ``extra``."""
        return {
            name: _json(getattr(self, name))
            for name, default in _KEYS.items()
            if name in self.written or getattr(self, name) != default
        } | dict(self.extra)

    @property
    def scored(self) -> bool:
        """Whether it has figures."""
        return self.balanced_accuracy is not None

    @property
    def level(self) -> VerdictLevel | None:
        """How the version was judged; None when it was not."""
        return None if self.verdict is None else self.verdict.level


_NOTHING = TrainingReport()
_KEYS = {
    one.name: getattr(_NOTHING, one.name) for one in fields(TrainingReport) if one.name not in ("written", "extra")
}
"""The keys that fields stand for, with the fields' defaults."""
