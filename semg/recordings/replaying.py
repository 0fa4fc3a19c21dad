"""Replay a stored part of a session through a stored version: what would have been decided, beside the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from semg import clock
from semg.block_table import BlockTable
from semg.domain import DecisionSpec, Profile, Session, us_from_utc
from semg.errors import InvalidValueError, NotFoundError
from semg.event_types import EventSpec, GestureEvent
from semg.signals.model.classifier import Classifier, columns_of
from semg.signals.model.event_scores import DecisionCounts, EventScore, Span, count_decisions, score_events
from semg.signals.model.replay import Part, Replay, Replayed, joined, keep_part
from semg.store import blocks, checks, consents, event_settings, models, profiles, repetitions, sessions
from semg.store.pool import Pool, Transaction

MOST_S = 900.0
"""The longest time that is replayed, the way to it included; a replay of it takes about ten seconds of one core."""
MOST_WINDOWS, MOST_VALUES = 20_000, 100_000_000
"""As many at the most, and samples in them: with a short hop, or many channels, they are reached earlier."""
PIECE = timedelta(seconds=5)
"""As much is in memory at once."""
_RATE_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What is to be replayed.

    Attributes
    ----------
    since, until
        A part of the session's time.
    version
        Of the profile's model; None for the active one.
    part
        Which of the version's classifiers decides.
    vote_n, min_confidence, hysteresis
        As in ``DecisionSpec``; None for the profile's.
    follows
        Whether the classifier follows the stream, as it does live.
    """

    session_id: int
    since: datetime
    until: datetime
    version: int | None = None
    part: Part = "all"
    vote_n: int | None = None
    min_confidence: float | None = None
    hysteresis: float | None = None
    follows: bool = True


@dataclass(frozen=True, slots=True)
class SessionReplay:
    """Decisions on a part of a session.

    Attributes
    ----------
    from_start
        Whether the replay began where the session did. If so, the state is that of a live stream, which begins anew at
        a session's edge; else it is that of a stream that began ``MOST_S`` before the end.
    """

    user_id: int
    version: int
    decision: DecisionSpec
    decisions: Replayed
    events: tuple[GestureEvent, ...]
    counts: DecisionCounts
    score: EventScore
    from_start: bool


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is read before samples are: the session, its labels, the classifier, and where its channels stand."""

    session: Session
    decision: DecisionSpec
    events: EventSpec
    version: int
    classifier: Classifier
    columns: tuple[int, ...]
    spans: tuple[Span, ...]


def replay_session(pool: Pool, request: ReplayRequest, pause: Callable[[], None] = lambda: None) -> SessionReplay:
    """Replay a part of a session; nothing is stored.

    Parameters
    ----------
    pause
        Called after every piece: what runs in a process with live work lets that go on.

    Raises
    ------
    NotFoundError
        There is no such session or version, or no version is active.
    ConsentError
        The person does not agree to the recording, or not any more.
    InvalidValueError
        The time is no part of the session, or too long; the version does not fit the session.
    ArtifactError
        The version has no such classifier, needs channels that the session has not, or is damaged.
    """
    with pool.transaction() as tx:
        stored = _read(tx, request)
    decision = stored.decision
    session, window = stored.session, stored.classifier.window
    started_us, since_us, until_us = (us_from_utc(at) for at in (session.started_at, request.since, request.until))
    values = len(stored.columns) * window.window_samples
    most_s = min(MOST_S, min(MOST_WINDOWS, MOST_VALUES // values) * window.hop_samples / window.rate_hz)
    if until_us - since_us > most_s * 1e6:
        raise InvalidValueError("until", f"expected at most {most_s:.0f} s, got {(until_us - since_us) / 1e6:.0f} s")
    begin = max(session.started_at, request.until - timedelta(seconds=most_s))
    replay = Replay(stored.classifier, stored.columns, len(session.channels), decision, follows=request.follows)
    pieces: list[Replayed] = []
    for table in _pieces(pool, session, begin, request.until):
        pieces.append(replay.push(table).between(since_us, until_us))
        pause()
    decisions = joined(pieces, stored.classifier)
    labels, reach_ms = decisions.labels, window.window_ms + (decision.vote_n - 1) * window.hop_ms
    made = decisions.events(stored.events, session.user_id, stored.version)
    score = score_events(made, stored.spans, since_us, until_us)
    counts = count_decisions(labels, decisions.ends_us, stored.spans, reach_ms)
    from_start = us_from_utc(begin) == started_us
    return SessionReplay(session.user_id, stored.version, decision, decisions, tuple(made), counts, score, from_start)


def _read(tx: Transaction, request: ReplayRequest) -> _Stored:
    session = sessions.get_session(tx, request.session_id)
    ended_at = session.ended_at or clock.utc_now()
    if not session.started_at <= request.since < request.until <= ended_at:
        raise InvalidValueError("since", "expected a part of the session: since before until, both within its time")
    consents.require(tx, session.user_id, "recording")
    profile = profiles.get_profile(tx, session.user_id)
    version = request.version
    if version is None:
        active = models.find_active(tx, session.user_id)
        if active is None:
            raise NotFoundError(f"profile {session.user_id} has no active model: train one, or name a version")
        version = active.version
    classifier = keep_part(Classifier.from_bytes(models.get_artifact(tx, session.user_id, version)), request.part)
    device = replace(profile.device, channels=session.channels)
    columns = columns_of(classifier.channels, device)
    rate_hz, sensor = classifier.window.rate_hz, classifier.conditioning.sensor
    if sensor != session.sensor or abs(rate_hz - session.rate_hz) > _RATE_TOLERANCE * rate_hz:
        raise InvalidValueError(
            "version",
            f"expected a session of {rate_hz:g} samples/s of a sensor of kind {sensor}, as version {version} was "
            f"trained on; this one has {session.rate_hz:g} of kind {session.sensor}",
        )
    spans = tuple(
        Span(one.gesture, us_from_utc(one.started_at), us_from_utc(one.ended_at))
        for one in repetitions.list_repetitions(tx, session.session_id)
        if not one.excluded
    )
    events = event_settings.find_event_spec(tx, session.user_id)
    return _Stored(session, _decision(profile, request), events, version, classifier, columns, spans)


def _decision(profile: Profile, request: ReplayRequest) -> DecisionSpec:
    """Return the profile's decision settings with what was asked for in their place."""
    own = profile.decision
    found = DecisionSpec(
        own.vote_n if request.vote_n is None else request.vote_n,
        own.min_confidence if request.min_confidence is None else request.min_confidence,
        own.hysteresis if request.hysteresis is None else request.hysteresis,
    )
    checks.decision(found)
    return found


def _pieces(pool: Pool, session: Session, since: datetime, until: datetime) -> Iterator[BlockTable]:
    """Yield the samples of a time piece by piece, each read in a transaction of its own."""
    while since < until:
        end = min(since + PIECE, until)
        with pool.transaction() as tx:
            if session.origin == "import":
                table = blocks.read_imported(tx, session.user_id, session.session_id, since, end)
            else:
                table = blocks.read_blocks(tx, session.user_id, since, end)
        yield table
        since = end
