"""Sessions to film, recorders, and what is done with them; with a real database."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from semg.capture import make_plan
from semg.maintenance.video_files import VideoKeeper
from semg.store import profiles, sessions, videos
from semg.store.pool import Pool
from semg.video.recording import Recorder
from testing.kits.video_kit import SERVER_US, TICKS, VAULT, picture

WAIT_S = 20.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; ``what`` is said when it does not."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.01)


def new_session(pool: Pool, user_id: int) -> int:
    """Return a session of a profile that is being recorded."""
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        plan = make_plan(["fist"], 2, 4, 2, 0, False, 0)
        now = datetime.now(UTC)
        return sessions.insert_session(tx, user_id, "one", "capture", now, status="recording", plan=plan, device=device)


def end_session(pool: Pool, session_id: int) -> None:
    """End a session a moment after now."""
    with pool.transaction() as tx:
        sessions.finish_session(tx, session_id, datetime.now(UTC) + timedelta(milliseconds=1))


def ended_sessions(pool: Pool) -> list[int]:
    """Return the ended sessions whose video nobody records."""
    with pool.transaction() as tx:
        return videos.list_unfinished(tx, 3600)


def keep(pool: Pool, folder: Path) -> None:
    """Let the keeper of videos take one step."""
    VideoKeeper(pool, folder, VAULT).step()


def feed(recorder: Recorder, numbers: range, media: int = 0) -> None:
    """Feed a recorder frames, a report with every tenth."""
    for index, number in enumerate(numbers):
        at_us = SERVER_US + round((media + index * TICKS) * 100 / 9)
        if index % 10 == 0:
            recorder.add_report(media + index * TICKS, at_us, at_us)
        recorder.add_frame(picture(number), media + index * TICKS, at_us + 45_000)
