"""What the pages' tests store and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from streamlit.testing.v1 import AppTest

from semg.domain import Block
from semg.settings import PROJECT_DIR
from semg.store import blocks, gestures, profiles, sessions
from semg.store.pool import Pool

MAIN = PROJECT_DIR / "streamlit_apps" / "Main.py"
LOGIN, PASSWORD = "researcher", "a long enough password"
RATE_HZ = 200.0
CHANNELS = ("a0", "a1", "a2", "a3")


def store_noise(pool: Pool, user_id: int, start: datetime, seconds: float, session_id: int | None = None) -> None:
    """Store samples like those of a good electrode, in blocks of half a second."""
    generator = np.random.default_rng(1)
    step_us, n = round(1e6 / RATE_HZ), round(seconds * RATE_HZ)
    start_us = round(start.timestamp() * 1e6)
    made = []
    for first in range(0, n, 100):
        count = min(100, n - first)
        device_us = (np.arange(first, first + count) * step_us).astype(np.int64)
        samples = (2048 + 120 * generator.standard_normal((count, len(CHANNELS)))).astype(np.float32)
        made.append(Block(user_id, start_us, first == 0, False, start_us, device_us, device_us + start_us, samples))
    with pool.transaction() as tx:
        blocks.copy_blocks(tx, made, session_id)


def make_session(pool: Pool, user_id: int, start: datetime, name: str = "Session 1", seconds: float = 12.0) -> int:
    """Store a completed session: rest, fist, rest, open hand, 3 s each, with its samples."""
    store_noise(pool, user_id, start, seconds)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        ended_at = start + timedelta(seconds=seconds)
        number = sessions.insert_session(
            tx, user_id, name, "capture", start, ended_at, status="completed", device=device
        )
        ids = gestures.ensure_gestures(tx, user_id, ["rest", "fist", "open hand"])
        for index, gesture in enumerate(["rest", "fist", "rest", "open hand"]):
            begin = start + timedelta(seconds=3 * index)
            sessions.insert_repetition(tx, number, ids[gesture], 1 + index // 2, begin, begin + timedelta(seconds=3))
    return number


def all_text(page: AppTest) -> str:
    """Everything that a page says, as one text."""
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.success, page.title, page.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)
