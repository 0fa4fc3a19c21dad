"""``semg import``: recordings of other tools as sessions, once what they add has been confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from semg.domain import Profile, Sensor
from semg.errors import RecordingError, SemgError
from semg.formats import registry
from semg.formats.neutral import NeutralRecording, ReadLimits, ReadOptions
from semg.formats.registry import Found, InKind
from semg.privacy.consent import of_a_study
from semg.recordings import format_import
from semg.recordings.columns import UPLOAD, Limits
from semg.recordings.csv_format import load_recording
from semg.recordings.format_import import Prepared
from semg.store import audit, gestures, profiles, sessions
from semg.store.audit import Actor
from semg.store.pool import Pool, Transaction

TOOL = Actor(service="semg")
MAX_S = 600.0
"""For each recording: whoever waits at a command line waits longer than a page does."""
LIMITS = Limits(
    text_bytes=2 << 30, rows=20_000_000, values=256_000_000, stretches=UPLOAD.stretches, gaps=UPLOAD.gaps
)  # fmt: skip
"""Of one recording: 1 GB of samples; repetitions and gaps as the import takes them."""
MAX_BYTES = 4 << 30
"""Of memory beyond what the process has, while a file is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be imported, for whom, and what the files do not say.

    Attributes
    ----------
    user_id
        None: a study, whose people get profiles of their own.
    consented
        Whoever imports a study says that its people agreed to being recorded.
    renamed
        Other names for labels.
    """

    path: Path
    kind: InKind | None = None
    user_id: int | None = None
    consented: bool = False
    rate_hz: float | None = None
    channels: tuple[str, ...] | None = None
    sensor: Sensor = "raw"
    mains_hz: float = 50.0
    renamed: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a recording would add; its samples are read again when it is stored."""

    found: Found
    index: int
    person: str
    name: str
    samples: int
    seconds: float
    rate_hz: float
    channels: tuple[str, ...]
    repetitions: int
    gestures: tuple[str, ...]
    new_gestures: tuple[str, ...]
    started_at: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that an import would store; ``people`` are the profiles' names of a study."""

    recordings: tuple[Foreseen, ...]
    people: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        shown = [
            {name: getattr(one, name) for name in Foreseen.__dataclass_fields__ if name not in ("found", "index")}
            | {"file": str(one.found.path), "format": one.found.kind}
            for one in self.recordings
        ]
        return {"recordings": shown, "people": list(self.people)}

    def lines(self) -> list[str]:
        """Return it as sentences."""
        made = []
        for one in self.recordings:
            whose = f" of {one.person}" if one.person else ""
            made.append(
                f"{one.found.path.name} ({one.found.kind}): session “{one.name}”{whose}, {one.samples:,} samples of "
                f"{len(one.channels)} channels at {one.rate_hz:g} Hz ({one.seconds:,.1f} s), {one.repetitions} "
                f"repetitions of {len(one.gestures)} gestures{', from ' + one.started_at if one.started_at else ''}"
            )
            if one.new_gestures:
                made.append(f"  adds to the gesture bank: {', '.join(one.new_gestures)}")
            made += [f"  {note}" for note in one.notes]
        if self.people:
            made.append(f"Profiles: {', '.join(self.people)}")
        return made


def foresee(pool: Pool, request: Request, progress: Callable[[str], None] = lambda what: None) -> Plan:
    """Return what an import would store, without storing anything.

    Raises
    ------
    RecordingError
        A file is damaged, too large, or leaves something open.
    NotFoundError
        There is no such profile.
    """
    profile, bank = None, tuple[str, ...]()
    if request.user_id is not None:
        with pool.transaction() as tx:
            profile = profiles.get_profile(tx, request.user_id)
            bank = tuple(one.name for one in gestures.list_gestures(tx, request.user_id))
    made = []
    for found, index, prepared in _prepared(request, profile, progress):
        labelled = prepared.recording.labelled
        made.append(
            Foreseen(
                found=found,
                index=index,
                person=prepared.person,
                name=_session_name(request, prepared, found, index),
                samples=len(labelled.samples),
                seconds=prepared.seconds,
                rate_hz=labelled.rate_hz,
                channels=labelled.channels,
                repetitions=len(prepared.labels),
                gestures=prepared.gestures,
                new_gestures=format_import.new_gestures(prepared, bank) if profile is not None else (),
                started_at=f"{prepared.started_at:%Y-%m-%d %H:%M:%S} UTC" if prepared.started_at else "",
                notes=prepared.recording.notes,
            )
        )
    people = () if profile is not None else tuple(dict.fromkeys(_person_name(request, one.person) for one in made))
    return Plan(tuple(made), people)


def store_all(
    pool: Pool, request: Request, plan: Plan, progress: Callable[[str], None] = lambda what: None
) -> list[dict[str, Any]]:
    """Store what was foreseen, each recording whole or not at all, and return the sessions.

    Raises
    ------
    RecordingError
        A recording lies where another session of its person is, does not fit the device, or changed meanwhile; or
        nobody said that the people of a study agreed.
    StoreError
        As ``import_recording``.
    """
    if request.user_id is None and not request.consented:
        raise RecordingError(
            "a profile is made for each person of a study: add --consented to say that they agreed to being recorded"
        )
    stored: list[dict[str, Any]] = []
    profile = None
    if request.user_id is not None:
        with pool.transaction() as tx:
            profile = profiles.get_profile(tx, request.user_id)
    try:
        for expected, (_, _, prepared) in zip(plan.recordings, _prepared(request, profile, progress), strict=True):
            if len(prepared.recording.labelled.samples) != expected.samples:
                raise RecordingError(f"{expected.found.path.name} changed since it was shown; import it again")
            with pool.transaction() as tx:
                stored.append(_stored(tx, request, profile, prepared, expected.name))
    except SemgError as exc:
        if not stored:
            raise
        before = ", ".join(str(one["session_id"]) for one in stored)
        raise RecordingError(f"{exc} {len(stored)} recordings before it are stored: sessions {before}.") from exc
    return stored


def _stored(
    tx: Transaction, request: Request, profile: Profile | None, prepared: Prepared, name: str
) -> dict[str, Any]:  # fmt: skip
    owner = profile or _profile(tx, request, prepared)
    prepared = format_import.with_names_of(prepared, owner.device)
    sessions.require_free_name(tx, owner.user_id, name)
    made = format_import.store(tx, owner.user_id, prepared, name=name, max_s=MAX_S)
    audit.record(tx, TOOL, "session.imported", owner.user_id, made.session_id, samples=made.samples)
    return {
        "user_id": owner.user_id,
        "session_id": made.session_id,
        "name": name,
        "samples": made.samples,
        "repetitions": made.repetitions,
    }


def _prepared(
    request: Request, profile: Profile | None, progress: Callable[[str], None]
) -> Iterator[tuple[Found, int, Prepared]]:
    """Yield the recordings of all files, one in memory at a time."""
    files = registry.find(request.path, request.kind)
    for number, found in enumerate(files, 1):
        progress(f"{number} of {len(files)}: {found.path.name}")
        with bounded_memory(MAX_BYTES):
            for index, neutral in enumerate(_read(request, found)):
                prepared = format_import.prepare(neutral, found.path, LIMITS, request.renamed)
                if profile is not None:
                    prepared = format_import.with_names_of(prepared, profile.device)
                elif not prepared.person:
                    prepared = replace(prepared, person=found.path.parent.name)
                yield found, index, prepared


def _read(request: Request, found: Found) -> Iterator[NeutralRecording]:
    options = ReadOptions(
        rate_hz=request.rate_hz,
        channels=request.channels,
        sensor=request.sensor,
        mains_hz=request.mains_hz,
        limits=ReadLimits(LIMITS.rows, LIMITS.values, LIMITS.stretches),
    )
    if found.kind != "csv":
        for neutral in registry.read(found, options):
            if request.rate_hz is not None and abs(neutral.about.rate_hz / request.rate_hz - 1) > 0.02:
                raise RecordingError(
                    f"{found.path.name} has {neutral.about.rate_hz:g} samples a second, not the {request.rate_hz:g} of "
                    "--rate-hz; nothing is resampled"
                )
            yield neutral
        return
    read = load_recording(
        found.path, rate_hz=request.rate_hz, sensor=request.sensor, mains_hz=request.mains_hz, limits=LIMITS
    )
    yield format_import.from_csv(read)


def _session_name(request: Request, prepared: Prepared, found: Found, index: int) -> str:
    if request.name is not None and index == 0:
        return request.name
    return (request.name and f"{request.name} {index + 1}") or prepared.name or found.path.stem


def _person_name(request: Request, person: str) -> str:
    return f"{request.path.resolve().name.split('.')[0]} {person or 'person'}"[:80]


def _profile(tx: Transaction, request: Request, prepared: Prepared) -> Profile:
    """Return the profile of a person of a study, made where it is not there."""
    name = _person_name(request, prepared.person)
    known = profiles.find_profile_by_name(tx, name)
    if known is not None:
        return known
    labelled = prepared.recording.labelled
    low, high = prepared.value_range
    user_id = profiles.insert_profile(
        tx, name, channels=labelled.channels, rate_hz=labelled.rate_hz, sensor=labelled.sensor, adc_min=low,
        adc_max=high if high > low else low + 1, mains_hz=labelled.mains_hz, consent=of_a_study("semg import"),
        notes=f"Imported from {request.path.name}",
    )  # fmt: skip
    return profiles.get_profile(tx, user_id)


@contextmanager
def bounded_memory(n_bytes: int) -> Iterator[None]:
    """Let the process take so much more memory: what a file makes of itself beyond that is a MemoryError."""
    try:
        import resource
    except ImportError:  # not on this system
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + n_bytes
    if before[1] != resource.RLIM_INFINITY:
        limit = min(limit, before[1])
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    except (ValueError, OSError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
