"""Portions of a session: all of its samples, in order, and nothing is asked about a time without any."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from semg.domain import Block, SessionOrigin, us_from_utc
from semg.privacy.consent import TEST_PERSON
from semg.recordings.portions import iterate_portions
from semg.store import blocks, profiles, sessions
from semg.store.pool import Pool, Transaction
from testing.kits.store_data import T0

pytestmark = pytest.mark.servers
STEP = timedelta(minutes=2)


def write(tx: Transaction, user_id: int, at: datetime, session_id: int | None, *, late: bool = False) -> None:
    """Store 20 samples of 0.1 s."""
    server_us = us_from_utc(at) + 5000 * np.arange(20, dtype=np.int64)
    samples = np.ones((20, 1), np.float32)
    blocks.copy_blocks(tx, [Block(user_id, 1, False, late, 0, server_us, server_us, samples)], session_id)


@pytest.mark.parametrize("origin", ["capture", "import"])
def test_hole_of_days_costs_as_little_as_none(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, origin: SessionOrigin
) -> None:
    times = [timedelta(0), timedelta(minutes=1), timedelta(days=3, seconds=119.95), timedelta(days=6.9)]
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        device = profiles.get_profile(tx, user_id).device
        end = T0 + timedelta(days=7)
        session_id = sessions.insert_session(tx, user_id, "S", origin, T0, end, status="completed", device=device)
        number = session_id if origin == "import" else None
        for at in times:
            write(tx, user_id, T0 + at, number)
        write(tx, user_id, T0 + timedelta(days=5), number, late=True)
        write(tx, user_id, T0 + timedelta(days=8), number)  # after the session
        session = sessions.get_session(tx, session_id)
    asked = []
    name = "read_imported" if origin == "import" else "read_blocks"
    real = getattr(blocks, name)
    monkeypatch.setattr(blocks, name, lambda *given: (asked.append(given), real(*given))[1])
    found = list(iterate_portions(pool, session, STEP))
    assert sum(one.n_samples for one in found) == 80
    assert all(len(one) for one in found)
    starts = np.concatenate([one.device_us for one in found])
    assert (np.diff(starts) > 0).all()
    assert len(asked) <= 8, "one for each portion with samples, and one for each hole"
    assert sum(one.n_samples for one in iterate_portions(pool, session, STEP, with_late=True)) == 100


def test_session_without_samples_has_no_portion(pool: Pool) -> None:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        device = profiles.get_profile(tx, user_id).device
        session_id = sessions.insert_session(
            tx, user_id, "S", "import", T0, T0 + timedelta(days=7), status="completed", device=device
        )
        session = sessions.get_session(tx, session_id)
    assert list(iterate_portions(pool, session, STEP)) == []
