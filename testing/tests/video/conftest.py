"""Fixtures of filming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from semg.privacy.consent import TEST_PERSON
from semg.store import gestures, profiles
from semg.store.pool import Pool, Transaction
from semg.video.claims import Claims
from semg.video.recording import Limits, Recorder
from testing.kits.filming import WAIT_S, new_session
from testing.kits.video_kit import VAULT

PLENTY = Limits(1 << 30, 0)


@pytest.fixture
def user_id(pool: Pool) -> int:
    """A profile with a gesture."""
    with pool.transaction() as tx:
        made = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        gestures.insert_gesture(tx, made, "fist")
    return made


@pytest.fixture
def session_id(pool: Pool, user_id: int) -> int:
    """A session that is being recorded."""
    return new_session(pool, user_id)


@pytest.fixture
def make(pool: Pool, tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Make recorders that share their claims; they are closed at the end."""
    claims, made = Claims(), []

    def one(
        limits: Limits = PLENTY, require: Callable[[Transaction, int], None] = lambda tx, user_id: None
    ) -> Recorder:
        made.append(Recorder(pool, tmp_path, limits, claims, VAULT, require))
        return made[-1]

    yield one
    for recorder in made:
        recorder.close()
        recorder.join(WAIT_S)
