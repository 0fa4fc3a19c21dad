"""Rows for the store's tests: a fixed moment, and a profile with everything that can hang on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from semg.domain import Block, CapturePlan, Decision, PlanStep, us_from_utc
from semg.privacy.consent import TEST_PERSON
from semg.privacy.pseudonyms import keep_name
from semg.store import (
    accounts,
    blocks,
    boards,
    decisions,
    gesture_events,
    gestures,
    jobs,
    models,
    play,
    profiles,
    senders,
    session_quality,
    sessions,
    simulated_arms,
    summaries,
)
from semg.store.pool import Transaction, execute
from testing.kits.events import gesture_event
from testing.kits.store_queries import set_shares

T0 = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
PLAN = CapturePlan((PlanStep(None, 0, 0.0, 2.0), PlanStep("fist", 1, 2.0, 5.0), PlanStep("rest", 1, 5.0, 8.0)))


@dataclass(frozen=True)
class Filled:
    """Numbers of a profile that has a row in every table."""

    user_id: int
    session_id: int
    imported_id: int
    job_id: int
    version: int


def insert_block(
    tx: Transaction, user_id: int, at: datetime, n_samples: int, session_id: int | None = None, step_us: int = 5000
) -> None:
    """Store a block of two channels whose values count from 0, and down; device time is server time."""
    device_us = us_from_utc(at) + step_us * np.arange(n_samples, dtype=np.int64)
    samples = np.arange(n_samples, dtype=np.float32)[:, None] * np.array([1, -1], np.float32)
    blocks.copy_blocks(tx, [Block(user_id, 1, False, False, 0, device_us, device_us, samples)], session_id)


def decision(user_id: int, at: datetime, label: str | None = "fist") -> Decision:
    """A decision of version 1 at a time."""
    us = us_from_utc(at)
    return Decision(user_id, label, 0.75, 1, 123_456_789, us - 20_000, us - 15_000, us)


def fill(tx: Transaction, name: str) -> Filled:
    """Make a profile with a row in every table that belongs to profiles."""
    user_id = profiles.insert_profile(tx, name, channels=("a0", "a1"), rate_hz=200, consent=TEST_PERSON)
    device = profiles.get_profile(tx, user_id).device
    numbers = gestures.ensure_gestures(tx, user_id, ["fist", "rest"])
    captured = sessions.insert_session(
        tx, user_id, "morning", "capture", T0, T0 + timedelta(seconds=8), status="completed", plan=PLAN, device=device
    )
    imported = sessions.insert_session(
        tx, user_id, "file", "import", T0, T0 + timedelta(seconds=8), status="completed", device=device
    )
    for session_id in (captured, imported):
        start = T0 + timedelta(seconds=2)
        done = sessions.insert_repetition(tx, session_id, numbers["fist"], 1, start, start + timedelta(seconds=3))
    for excluded in (True, False):
        sessions.update_repetition(tx, done, excluded=excluded)
    gestures.set_prompt(tx, numbers["fist"], b"\x89PNG\r\n\x1a\n")
    senders.assign_sender(tx, 1_000_000 + user_id, user_id)
    execute(tx, "INSERT INTO videos (session_id) VALUES (%s)", (captured,))
    keep_name(tx, "k" * 48, user_id, f"{name} Lovelace")
    session_quality.save_quality(tx, captured, session_quality.SessionQuality("good", "quiet"))
    execute(tx, "INSERT INTO erased_spans (user_id, started_at, ended_at) VALUES (%s, now(), now())", (user_id,))
    insert_block(tx, user_id, T0 + timedelta(seconds=1), 100)
    insert_block(tx, user_id, T0 + timedelta(seconds=1), 60, imported)
    key = summaries.SummaryKey(user_id=user_id, session_id=imported, n_channels=2, rate_hz=200.0)
    summaries.save_summary(tx, key, summaries.list_minutes(tx, key, T0, T0 + summaries.MINUTE)[0], b"summary")
    job_id = jobs.insert_job(tx, user_id, [captured, imported], "cnn", {"seed": 1})
    _, version = models.insert_model(tx, user_id, job_id, b"weights", {"classes": ["fist"]}, {"accuracy": 0.9}, 1000)
    models.activate_model(tx, user_id, version)
    decisions.insert_decisions(tx, [decision(user_id, T0), decision(user_id, T0 + timedelta(seconds=1), None)])
    gesture_events.insert_events(tx, [gesture_event(user_id, us_from_utc(T0), strength=0.5)])
    set_shares(tx, user_id, [accounts.insert_account(tx, f"helper of {name}", "", "viewer")])
    board_id = boards.insert_board(tx, f"board of {name}")
    boards.assign_board(tx, board_id, user_id)
    simulated_arms.insert_arm(tx, user_id, board_id, None, seed=1)
    play.insert_result(
        tx, user_id, "reaction", version, simulated=False, settings={}, result={"median_ms": 512.0},
        raw={"trials": [{"ms": 512.0}]},
    )  # fmt: skip
    return Filled(user_id, captured, imported, job_id, version)
