"""Rows of webcam videos; the files are those of ``semg.video.files``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from semg.domain import Video, us_from_utc
from semg.errors import ConflictError, NotFoundError
from semg.store import consents
from semg.store.pool import Transaction, execute, one, rows

_SELECT = """
    SELECT session_id, status, problem, started_at, ended_at, frames, bytes, width, height, time_error_us FROM videos
"""


LOCK_WAIT_MS = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """Whose session is filmed, and when it ended (microseconds since the epoch); None while it is being recorded."""

    user_id: int
    ended_us: int | None


def find_video(tx: Transaction, session_id: int) -> Video | None:
    """Return the video of a session, or None."""
    row = one(tx, _SELECT + " WHERE session_id = %s", (session_id,))
    return None if row is None else _video(row)


def begin_video(tx: Transaction, session_id: int) -> int:
    """Record that a session's video is being recorded, and return whose; one that was begun before is continued.

    Raises
    ------
    NotFoundError
        There is no such session.
    ConflictError
        The session is not being recorded any more, its video is finished, or the person does not agree to a video.
    StoreUnavailableError
        The video is being finished at the moment.
    """
    _wait_briefly(tx)
    session = one(tx, "SELECT user_id, status FROM sessions WHERE session_id = %s FOR KEY SHARE", (session_id,))
    if session is None:
        raise NotFoundError(f"there is no session {session_id}; it may have been deleted")
    if session.status != "recording":
        raise ConflictError(f"session {session_id} has ended; its video takes no more frames")
    consents.require(tx, session.user_id, "video")
    begun = one(
        tx,
        """
        INSERT INTO videos (session_id) VALUES (%s)
        ON CONFLICT (session_id) DO UPDATE SET seen_at = now() WHERE videos.status = 'recording' RETURNING session_id
        """,
        (session_id,),
    )
    if begun is None:
        raise ConflictError(f"the video of session {session_id} is finished; it takes no more frames")
    return int(session.user_id)


def touch_video(tx: Transaction, session_id: int) -> Recorded | None:
    """Record a sign of life of a recording, and return whose it is; None when it is not to go on.

    After the session's end it goes on with what arrived before that.
    """
    _wait_briefly(tx)
    touched = one(
        tx,
        """
        UPDATE videos v SET seen_at = now() FROM sessions s
        WHERE v.session_id = %s AND s.session_id = v.session_id AND v.status = 'recording'
        RETURNING s.user_id, s.ended_at
        """,
        (session_id,),
    )
    if touched is None or not consents.consenting(tx, [touched.user_id], "video"):
        return None
    return Recorded(touched.user_id, None if touched.ended_at is None else us_from_utc(touched.ended_at))


def release_video(tx: Transaction, session_id: int, problem: str = "") -> None:
    """Record that the video is not being recorded at the moment, and why it was cut short, if it was."""
    _wait_briefly(tx)
    execute(
        tx,
        "UPDATE videos SET seen_at = NULL, problem = CASE WHEN %s = '' THEN problem ELSE %s END WHERE session_id = %s",
        (problem, problem, session_id),
    )


def _wait_briefly(tx: Transaction) -> None:
    """Wait for a row's lock no longer: who finishes a video holds it for that long, and pages share the connections."""
    execute(tx, f"SET LOCAL lock_timeout = '{LOCK_WAIT_MS}ms'")


def list_unfinished(tx: Transaction, silent_s: float) -> list[int]:
    """Return the ended sessions whose video is not being recorded and not finished.

    Parameters
    ----------
    silent_s
        Time without a sign of life after which a recorder counts as dead.
    """
    found = rows(
        tx,
        """
        SELECT v.session_id FROM videos v JOIN sessions s USING (session_id)
        WHERE v.status = 'recording' AND s.status <> 'recording'
          AND (v.seen_at IS NULL OR v.seen_at < now() - %s) ORDER BY v.session_id
        """,
        (timedelta(seconds=silent_s),),
    )
    return [row.session_id for row in found]


def claim_unfinished(tx: Transaction, session_id: int) -> bool:
    """Lock a video to finish it, until the transaction ends; False when it is locked by another, or gone."""
    query = """
        SELECT 1 FROM videos WHERE session_id = %s AND status = 'recording' FOR UPDATE SKIP LOCKED
    """
    return one(tx, query, (session_id,)) is not None


def lock_ready(tx: Transaction, session_id: int) -> bool:
    """Keep a finished video from being erased until the transaction ends; False when there is none."""
    query = "SELECT 1 FROM videos WHERE session_id = %s AND status = 'ready' FOR UPDATE SKIP LOCKED"
    return one(tx, query, (session_id,)) is not None


def finish_video(
    tx: Transaction,
    session_id: int,
    *,
    started_at: datetime,
    ended_at: datetime,
    frames: int,
    n_bytes: int,
    width: int,
    height: int,
    time_error_us: int | None,
) -> None:
    """Record that a video's file is complete."""
    execute(
        tx,
        """
        UPDATE videos SET status = 'ready', started_at = %s, ended_at = %s, frames = %s, bytes = %s, width = %s,
                          height = %s, time_error_us = %s, seen_at = NULL
        WHERE session_id = %s
        """,
        (started_at, ended_at, frames, n_bytes, width, height, time_error_us, session_id),
    )


def fail_video(tx: Transaction, session_id: int, problem: str) -> None:
    """Record that there is no video to show, and why."""
    statement = "UPDATE videos SET status = 'failed', problem = %s, seen_at = NULL WHERE session_id = %s"
    execute(tx, statement, (problem, session_id))


def list_erased(tx: Transaction) -> list[int]:
    """Return the sessions whose video was erased and whose files are still to be removed."""
    return [row.session_id for row in rows(tx, "SELECT session_id FROM erased_videos ORDER BY erased_at")]


def delete_erased(tx: Transaction, session_id: int) -> None:
    """Record that the files of an erased video have been removed."""
    execute(tx, "DELETE FROM erased_videos WHERE session_id = %s", (session_id,))


def _video(row: Any) -> Video:
    return Video(
        session_id=row.session_id,
        status=row.status,
        problem=row.problem,
        started_at=row.started_at,
        ended_at=row.ended_at,
        frames=row.frames,
        n_bytes=row.bytes,
        width=row.width,
        height=row.height,
        time_error_us=row.time_error_us,
    )
