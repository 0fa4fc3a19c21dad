"""A profile with two imported synthetic sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from semg.privacy.consent import TEST_PERSON
from semg.recordings.csv_format import Recording
from semg.recordings.importing import import_recording
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.store import profiles
from semg.store.pool import Pool
from testing.kits.recording_kit import synthetic_recording

GESTURES = ("rest", "fist", "flexion")
CHANNELS = ("a0", "a1", "a2", "a3")


@pytest.fixture(scope="session")
def recordings() -> list[Recording]:
    arm = SyntheticArm(seed=3, channels=4, gestures=GESTURES)
    plan = make_plan(GESTURES, 3, 1.5)
    return [synthetic_recording(arm, arm.session(index, plan), f"synthetic-{index}") for index in (1, 2)]


@pytest.fixture
def add_session(pool: Pool) -> Callable[..., int]:
    """Stores a recording as a session of a profile and gives its number."""

    def add(user_id: int, recording: Recording, name: str = "Monday", days_ago: int = 1) -> int:
        with pool.transaction() as tx:
            at = datetime.now(UTC) - timedelta(days=days_ago)
            return import_recording(tx, user_id, recording, name, at).session_id

    return add


@pytest.fixture
def user_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, "Ada", channels=CHANNELS, rate_hz=200.0, consent=TEST_PERSON)
