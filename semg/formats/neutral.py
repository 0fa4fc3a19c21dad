"""What every format is written from and read to: samples in portions, labels, times, gaps, names and units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semg.domain import Sensor
from semg.errors import RecordingError

GAP, LATE, EXCLUDED = "BAD_gap", "BAD_late", "BAD_excluded"
"""Names of annotations; MNE leaves out what an annotation whose name begins with BAD covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A repetition of a gesture: the samples with a time in ``[start_us, end_us)``."""

    gesture: str
    number: int
    start_us: int
    end_us: int
    excluded: bool = False
    reason: str = ""
    dynamic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a recording beside its samples.

    Attributes
    ----------
    name
        Of the session; ``person`` is the code by which the platform shows the person.
    unit
        Of the samples; empty where it is not known, as for the counts of a converter.
    value_min, value_max
        Range of the device's values; None where it is not known.
    handedness
        ``left``, ``right`` or another word; empty where it is not known.
    purposes
        What each channel is for, in the order of the channels; empty where nobody has said it.
    dated
        Whether times count from 1970-01-01 (UTC); else from the recording's own start.
    """

    channels: tuple[str, ...]
    rate_hz: float
    name: str = ""
    person: str = ""
    unit: str = ""
    sensor: Sensor = "raw"
    mains_hz: float = 50.0
    value_min: float | None = None
    value_max: float | None = None
    handedness: str = ""
    purposes: tuple[str, ...] = ()
    dated: bool = True
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Portion:
    """Consecutive samples, in time order.

    Attributes
    ----------
    times_us
        Int64 ``(n,)``, strictly growing, also from portion to portion.
    samples
        Float32 ``(n, C)``.
    starts_run
        Bool ``(n,)``: a gap or a boot of the device lies before the sample.
    late
        Bool ``(n,)``: others had overtaken the sample when it arrived, so that no live window holds it.
    """

    times_us: NDArray[np.int64]
    samples: NDArray[np.float32]
    starts_run: NDArray[np.bool_]
    late: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NeutralRecording:
    """A recording that belongs to no format.

    Attributes
    ----------
    labels
        In the order of their start.
    portions
        Begins a new pass over the samples: some formats need two.
    notes
        Sentences for the person who reads or writes the file.
    """

    about: About
    labels: tuple[Label, ...]
    portions: Callable[[], Iterator[Portion]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a recording, and sentences on what is not in them."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits of a file that is read; excess is refused before it is in memory.

    Attributes
    ----------
    values
        Samples times channels.
    """

    rows: int = 20_000_000
    values: int = 640_000_000
    labels: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a file may leave open.

    Attributes
    ----------
    rate_hz
        For files that do not say it; one that says another rate is refused.
    channels
        The channels to take, in this order; all that measure at one rate by default.
    sensor
        For files that do not say it.
    """

    rate_hz: float | None = None
    channels: tuple[str, ...] | None = None
    sensor: Sensor = "raw"
    mains_hz: float = 50.0
    limits: ReadLimits = field(default_factory=ReadLimits)


DEFAULTS = ReadOptions()


def require_size(path: Path, rows: int, channels: int, limits: ReadLimits) -> None:
    """Refuse a file before its samples are read.

    Raises
    ------
    RecordingError
        It has no channel, or more samples than the limits allow.
    """
    if channels < 1:
        raise RecordingError(f"{path.name} has no channel of samples; expected at least one. Is it the right file?")
    if rows > limits.rows or rows * channels > limits.values:
        most = min(limits.rows, limits.values // channels)
        raise RecordingError(
            f"{path.name} says that it has {rows:,} samples of {channels} channels; at most {most:,} are read. "
            "Split the recording."
        )


def in_memory(
    about: About,
    labels: tuple[Label, ...],
    times_us: NDArray[np.int64],
    samples: NDArray[np.float32],
    starts_run: NDArray[np.bool_],
    late: NDArray[np.bool_] | None = None,
    notes: tuple[str, ...] = (),
) -> NeutralRecording:
    """Return a recording whose samples are in memory already; arrays as in ``Portion``."""
    overtaken = np.zeros(len(times_us), bool) if late is None else late
    portion = Portion(times_us, samples, starts_run, overtaken)
    return NeutralRecording(about, labels, lambda: iter((portion,) if len(times_us) else ()), notes)


def even_times_us(index: NDArray[np.int64], rate_hz: float, start_us: int = 0) -> NDArray[np.int64]:
    """Return the times of samples on an even grid, int64 ``(n,)``."""
    times_us: NDArray[np.int64] = np.rint(index * (1e6 / rate_hz)).astype(np.int64) + start_us
    return times_us


def no_samples(name: str) -> RecordingError:
    """Return the refusal of a recording without samples."""
    return RecordingError(f"session “{name}” has no samples: there is nothing to write. Leave it out.")


Kind = Literal["bdf", "bids", "parquet", "hdf5", "libemg", "xdf", "edf", "ninapro"]
