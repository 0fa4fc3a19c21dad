"""Build population priors from many people's sessions, store them, and find them again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from semg.domain import Sensor
from semg.errors import ArtifactError, RecordingError, TrainingError
from semg.recordings.csv_format import read_recording
from semg.security import private_files
from semg.signals.dataset import LabelledSamples, make_windows
from semg.signals.features import choose_crossover_hz
from semg.signals.training.alignment import align
from semg.signals.training.options import TrainingOptions
from semg.signals.training.population_prior import (
    MAX_BASE_BYTES,
    PersonStatistics,
    PopulationPrior,
    person_statistics,
    specs_of,
)
from semg.signals.training.session_checks import check_sessions

MAX_PEOPLE = 200
KEEP_VERSIONS = 3
_VERSIONED = re.compile(r"base-(\d+)-(.+)\.safetensors")


def digest_of(session: LabelledSamples) -> str:
    """Return a digest of a recording's samples, which identifies it."""
    return hashlib.sha256(np.ascontiguousarray(session.samples).tobytes()).hexdigest()[:32]


def statistics_of(name: str, sessions: Sequence[LabelledSamples], options: TrainingOptions) -> PersonStatistics:
    """Return one person's contribution to a population prior.

    Raises
    ------
    TrainingError
        When the sessions are incompatible, or hold fewer than two gestures with windows.
    """
    channels = check_sessions(sessions, None)
    first = sessions[0]
    window, conditioning = specs_of(first, options)
    data = make_windows(sessions, channels, conditioning, window)
    classes = sorted(set(data.labels.tolist()))
    if len(classes) < 2:
        raise TrainingError(f"The sessions of {name} hold fewer than two gestures with windows.")
    y = np.searchsorted(np.array(classes), data.labels).astype(np.int64)
    session = np.unique(data.session_index, return_inverse=True)[1].astype(np.int64)
    usable = data.into_stretch_ms >= np.minimum(options.skip_start_ms, 0.2 * data.stretch_ms)
    envelope = first.sensor == "envelope"
    crossover = 0.0 if envelope else choose_crossover_hz(len(channels), window.window_samples, first.rate_hz)
    aligned = align(
        data.windows, y, session, len(classes), crossover, envelope=envelope, calibrated=False, usable=usable
    )
    digests = [digest_of(each) for each in sessions]
    return person_statistics(name, digests, classes, aligned, y, data.stretch, session, usable)


def make_base(
    name: str,
    people: Mapping[str, Sequence[LabelledSamples]],
    options: TrainingOptions | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> PopulationPrior:
    """Return a population prior of people with equivalent devices.

    Raises
    ------
    TrainingError
        When there are fewer than two people, more than ``MAX_PEOPLE``, or their devices differ.
    """
    options = options or TrainingOptions()
    if not 2 <= len(people) <= MAX_PEOPLE:
        raise TrainingError(f"A base is made of 2 to {MAX_PEOPLE} people, got {len(people)}.")
    firsts = [sessions[0] for sessions in people.values()]
    for person, each in zip(people, firsts, strict=True):
        if (len(each.channels), each.rate_hz, each.sensor) != (
            len(firsts[0].channels), firsts[0].rate_hz, firsts[0].sensor
        ):  # fmt: skip
            raise TrainingError(
                f"The device of {person} ({len(each.channels)} channels, {each.rate_hz:g} Hz, {each.sensor}) is not "
                f"like that of {next(iter(people))} ({len(firsts[0].channels)} channels, {firsts[0].rate_hz:g} Hz, "
                f"{firsts[0].sensor}): make a base for each kind of device."
            )
    found = []
    for number, (person, sessions) in enumerate(people.items(), 1):
        found.append(statistics_of(person, sessions, options))
        say(f"{number} of {len(people)}: {person}, {found[-1].n_repetitions} repetitions")
    return PopulationPrior.of(name, firsts[0], options, found)


def people_in(
    folder: Path,
    exclude: Collection[str] = (),
    *,
    rate_hz: float | None = None,
    sensor: Sensor = "raw",
    mains_hz: float = 50.0,
) -> dict[str, Sequence[LabelledSamples]]:
    """Return the recordings of a folder by person: files are called ``<person>-<session>.csv.gz``.

    Parameters
    ----------
    exclude
        Names of people to exclude; a name also matches at the end of another one after ``_``.

    Raises
    ------
    RecordingError
        When the folder holds no such file, or one of them cannot be read.
    """
    found: dict[str, list[LabelledSamples]] = {}
    for path in sorted(folder.glob("*.csv.gz")):
        named = re.fullmatch(r"(.+)-[^-.]+\.csv\.gz", path.name)
        if named and not any(named[1] == each or named[1].endswith(f"_{each}") for each in exclude):
            session = read_recording(path, rate_hz=rate_hz, sensor=sensor, mains_hz=mains_hz)
            found.setdefault(named[1], []).append(session)
    if not found:
        raise RecordingError(f"{folder} holds no recording called <person>-<session>.csv.gz.")
    return {person: tuple(sessions) for person, sessions in found.items()}


def load_base(path: Path) -> PopulationPrior:
    """Return a stored population prior.

    Raises
    ------
    ArtifactError
        When the file cannot be read or is no prior.
    """
    try:
        if path.stat().st_size > MAX_BASE_BYTES:
            raise ArtifactError(f"{path.name} is larger than {MAX_BASE_BYTES:,} bytes: it is no base.")
        return PopulationPrior.from_bytes(path.read_bytes())
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


def store_version(folder: Path, bases: Sequence[PopulationPrior]) -> int:
    """Write priors, one for each kind of device, as the next version, and return its number; old versions are removed.

    Each file is written atomically, and readable by this user only: it holds personal data.
    """
    private_files.make_folder(folder)
    version = max(_versions(folder), default=0) + 1
    for base in bases:
        kind = f"{base.n_channels}x{base.window.rate_hz:g}-{base.conditioning.sensor}"
        private_files.write(folder / f"base-{version}-{kind}.safetensors", base.to_bytes())
    for old in sorted(_versions(folder))[:-KEEP_VERSIONS]:
        for path in folder.glob(f"base-{old}-*.safetensors"):
            path.unlink(missing_ok=True)
    return version


def newest_fitting(
    folder: Path, session: LabelledSamples, n_channels: int, options: TrainingOptions
) -> PopulationPrior | None:
    """Return the newest stored prior that fits a training on sessions like this one, or None."""
    window, conditioning = specs_of(session, options)
    for version in sorted(_versions(folder), reverse=True):
        for path in sorted(folder.glob(f"base-{version}-*.safetensors")):
            base = load_base(path).fitting(window, conditioning, n_channels)
            if base is not None:
                return base
    return None


def _versions(folder: Path) -> set[int]:
    return {int(named[1]) for path in folder.glob("base-*.safetensors") if (named := _VERSIONED.fullmatch(path.name))}
