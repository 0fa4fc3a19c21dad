"""Assess recorded sessions soon after they end, so that their quality is visible when training data are chosen."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

from semg import clock
from semg.domain import Block, Device, Profile, Session
from semg.errors import StoreBusyError, StoreUnavailableError
from semg.maintenance.periodic import run_periodically
from semg.process.attempts import LOCK_S, Attempts, Failures
from semg.recordings.overview import read_recorded, recorded
from semg.signals.repetition_quality import (
    RepetitionQuality,
    compare_with_rest,
    join_portions,
    judge_repetition,
    judge_session,
)
from semg.store import profiles, sessions
from semg.store.pool import Pool
from semg.store.session_quality import SessionQuality, list_unjudged, save_quality

logger = logging.getLogger(__name__)
WHAT = "session quality"
EVERY_S = 3.0
SETTLED = timedelta(seconds=3)
"""After a session's end: what was received is stored in batches."""
AT_ONCE = 20
PAUSE_S = 0.02
"""Before every portion: trainings and captures run in the same service."""
PORTION, MOST_PORTIONS = timedelta(seconds=30), 60
"""A label is read in portions of this length, about 4 MB of 16 channels at 2,000 Hz: labels may be as long as their
session, and an imported one lasts up to a week. Of a longer label, so many portions spread over it are read."""
MOST_OF_SESSION = 1200
"""Portions of a session, at least one a label: about two minutes. Of more labels, less is read of each."""
NOT_ASSESSED = SessionQuality("fair", "it could not be assessed; the log has the details")


def keep_quality(pool: Pool, stop: threading.Event, failures: Failures | None = None) -> None:
    """Assess ended sessions until stopped; an unreachable store is retried."""
    attempts = Attempts(logger, WHAT, failures)
    run_periodically(lambda: judge_sessions(pool, stop, clock.utc_now(), attempts), WHAT, EVERY_S, stop, failures)


def judge_sessions(pool: Pool, stop: threading.Event, now: datetime, attempts: Attempts | None = None) -> int:
    """Assess ended sessions without an assessment, by turns of the owners, and return their number.

    One that cannot be assessed is marked so, and the next one's turn comes.
    """
    attempts = Attempts(logger, WHAT) if attempts is None else attempts
    pool, judged = pool.waiting_at_most(LOCK_S), 0

    def save(session: Session, quality: SessionQuality) -> None:
        nonlocal judged
        with pool.transaction() as tx:
            judged += save_quality(tx, session.session_id, quality)

    def judge(session: Session, profile: Profile) -> None:
        quality = _judge(pool, stop, session, profile)
        if quality is not None:
            save(session, quality)

    with pool.transaction() as tx:
        waiting = list_unjudged(tx, now - SETTLED, AT_ONCE)
        people = {one.user_id: one for one in profiles.list_profiles(tx)} if waiting else {}
    for session in waiting:
        profile, number = people.get(session.user_id), session.session_id
        if profile is None:
            continue
        try:
            judge(session, profile)
            attempts.works(number)
        except StoreBusyError as exc:
            attempts.note(number, exc, session_id=number)
        except StoreUnavailableError:
            raise
        except Exception as exc:  # edge of a session
            attempts.note(number, exc, session_id=number)
            attempts.attempt(number, partial(save, session, NOT_ASSESSED), session_id=number)
        if stop.is_set():
            break
    return judged


def _judge(pool: Pool, stop: threading.Event, session: Session, profile: Profile) -> SessionQuality | None:
    """Assess one session, a portion of a repetition at a time; None when stopped."""
    source, device = recorded(profile, session), _device(session, profile.device)
    with pool.transaction() as tx:
        labels = sessions.list_repetitions(tx, session.session_id)
    most = max(1, min(MOST_PORTIONS, MOST_OF_SESSION // max(1, len(labels))))
    found: dict[int, RepetitionQuality] = {}
    for label in labels:
        portions: list[RepetitionQuality] = []
        for since, until in portions_of(label.started_at, label.ended_at, most):
            if stop.wait(PAUSE_S):
                return None
            with pool.transaction() as tx:
                blocks = read_recorded(tx, source, since, until)
            fitting = _widened(device, session, blocks)
            length_s = (until - since).total_seconds()
            portions.append(judge_repetition(blocks, label.gesture, length_s, fitting, session.rate_hz))
        found[label.repetition_id] = join_portions(portions)
    found = compare_with_rest(found)
    level, reason = judge_session(list(found.values()))
    return SessionQuality(level, reason, {number: (each.level, each.reason) for number, each in found.items()})


def portions_of(since: datetime, until: datetime, most: int = MOST_PORTIONS) -> list[tuple[datetime, datetime]]:
    """Return the times that a label is read in: short ones that cover it, or ``most`` spread evenly over a long one."""
    total = until - since
    n = math.ceil(total / PORTION)
    if n <= most:
        edges = [since + index * total // max(n, 1) for index in range(max(n, 1) + 1)]
        return list(pairwise(edges))
    starts = [since + index * (total - PORTION) // max(1, most - 1) for index in range(most)]
    return [(start, start + PORTION) for start in starts]


def _device(session: Session, device: Device) -> Device:
    """Return the device as it was when the session was recorded."""
    return replace(
        device,
        channels=session.channels,
        rate_hz=session.rate_hz,
        sensor=session.sensor,
        mains_hz=session.mains_hz,
    )


def _widened(device: Device, session: Session, blocks: Sequence[Block]) -> Device:
    """Return the device with a range that holds an imported recording: it may come from another converter."""
    if session.origin != "import" or not blocks:
        return device
    low = min(float(block.samples.min()) for block in blocks)
    high = max(float(block.samples.max()) for block in blocks)
    return replace(device, adc_min=min(device.adc_min, low), adc_max=max(device.adc_max, high))
