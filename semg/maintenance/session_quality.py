"""Assess recorded sessions soon after they end, so that their quality is visible when training data are chosen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from semg import clock
from semg.domain import Block, Device, Profile, Session
from semg.maintenance.periodic import run_periodically
from semg.recordings.overview import read_recorded, recorded
from semg.signals.repetition_quality import RepetitionQuality, compare_with_rest, judge_repetition, judge_session
from semg.store import profiles, sessions
from semg.store.pool import Pool
from semg.store.session_quality import SessionQuality, list_unjudged, save_quality

EVERY_S = 3.0
SETTLED = timedelta(seconds=3)
"""After a session's end: what was received is stored in batches."""
AT_ONCE = 20
PAUSE_S = 0.02
"""After every repetition: trainings and captures run in the same service."""


def keep_quality(pool: Pool, stop: threading.Event) -> None:
    """Assess ended sessions until stopped; an unreachable store is retried."""
    run_periodically(lambda: judge_sessions(pool, stop, clock.utc_now()), "session quality", EVERY_S, stop)


def judge_sessions(pool: Pool, stop: threading.Event, now: datetime) -> int:
    """Assess ended sessions without an assessment, the newest first, and return their number."""
    with pool.transaction() as tx:
        waiting = list_unjudged(tx, now - SETTLED, AT_ONCE)
        people = {one.user_id: one for one in profiles.list_profiles(tx)} if waiting else {}
    judged = 0
    for session in waiting:
        profile = people.get(session.user_id)
        quality = None if profile is None else _judge(pool, stop, session, profile)
        if quality is None:
            if stop.is_set():
                break
            continue
        with pool.transaction() as tx:
            judged += save_quality(tx, session.session_id, quality)
    return judged


def _judge(pool: Pool, stop: threading.Event, session: Session, profile: Profile) -> SessionQuality | None:
    """Assess one session, a repetition at a time; None when stopped."""
    source, device = recorded(profile, session), _device(session, profile.device)
    with pool.transaction() as tx:
        labels = sessions.list_repetitions(tx, session.session_id)
    found: dict[int, RepetitionQuality] = {}
    for label in labels:
        if stop.wait(PAUSE_S):
            return None
        with pool.transaction() as tx:
            blocks = read_recorded(tx, source, label.started_at, label.ended_at)
        length_s = (label.ended_at - label.started_at).total_seconds()
        fitting = _widened(device, session, blocks)
        found[label.repetition_id] = judge_repetition(blocks, label.gesture, length_s, fitting, session.rate_hz)
    found = compare_with_rest(found)
    level, reason = judge_session(list(found.values()))
    return SessionQuality(level, reason, {number: (each.level, each.reason) for number, each in found.items()})


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
