"""One repetition of a session is read as the whole session labels it, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from semg.domain import Block, SessionOrigin, us_from_utc
from semg.privacy.consent import TEST_PERSON
from semg.recordings.session_data import load_repetition, load_session
from semg.store import blocks, gestures, profiles, repetitions, sessions
from semg.store.pool import Pool, execute
from testing.kits.store_data import T0

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("origin", ["capture", "import"])
def test_repetition_has_the_samples_that_the_whole_session_gives_it(pool: Pool, origin: SessionOrigin) -> None:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        device = profiles.get_profile(tx, user_id).device
        end = T0 + timedelta(seconds=20)
        session_id = sessions.insert_session(tx, user_id, "S", origin, T0, end, status="completed", device=device)
        made = []
        for second in sorted({*range(20)} - {15}):
            server_us = us_from_utc(T0) + 1_000_000 * second + 5000 * np.arange(200, dtype=np.int64)
            values = (200 * second + np.arange(200, dtype=np.float32))[:, None]
            made.append(Block(user_id, 1, second == 0, second == 7, 0, server_us, server_us, values))
        blocks.copy_blocks(tx, made, session_id if origin == "import" else None)
        fist = gestures.insert_gesture(tx, user_id, "fist")
        for number, (since, until) in enumerate([(1.0, 3.0), (2.503, 5.0), (6.5, 9.25), (15.1, 15.9)]):
            began, ended = T0 + timedelta(seconds=since), T0 + timedelta(seconds=until)
            # Written as an older version could: two labels overlap.
            execute(
                tx,
                """
                INSERT INTO repetitions (session_id, gesture_id, number, started_at, ended_at)
                VALUES (%s, %s, %s, %s, %s)
                """,
                (session_id, fist, number, began, ended),
            )
        session = sessions.get_session(tx, session_id)
        whole = load_session(tx, session, with_excluded=True)
        labels = repetitions.list_repetitions(tx, session_id)
        hour = timedelta(hours=1)
        for index, label in enumerate(labels):
            part = load_repetition(tx, session, label, labels, hour)
            np.testing.assert_array_equal(part, whole.samples[whole.stretch == index])
        assert load_repetition(tx, session, labels[1], labels, timedelta(seconds=1)).shape == (200, 1)
        assert load_repetition(tx, session, labels[3], labels, hour).shape == (0, 1)
