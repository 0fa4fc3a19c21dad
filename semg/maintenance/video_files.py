"""Finish the videos of ended sessions, and remove the files of erased ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from semg.domain import utc_from_us
from semg.errors import StoreError, VideoError
from semg.maintenance.periodic import run_periodically
from semg.process.attempts import LOCK_S, Attempts, Failures
from semg.security.encrypted_files import Vault
from semg.store import videos
from semg.store.pool import Pool
from semg.video.files import files_of

logger = logging.getLogger(__name__)
EVERY_S = 0.5
SILENT_S = 10.0
"""A recorder gives a sign of life every second."""
RETRY_S = 60.0
MOST_TRIES = 5
"""What fails so often for another reason than a disk or the database is not tried again."""


class VideoKeeper:
    """Maintains the files of videos; one thread calls ``step`` several times a second. Several instances may run.

    Parameters
    ----------
    failures
        Counts videos whose files could not be removed or finished.
    """

    def __init__(self, pool: Pool, folder: Path, vault: Vault, failures: Failures | None = None) -> None:
        self._pool = pool.waiting_at_most(LOCK_S)
        self._attempts = Attempts(logger, "videos", failures)
        self._folder = folder
        self._vault = vault
        self._old: list[int] | None = None
        self._retry_at: dict[int, float] = {}
        self._tries: dict[int, int] = {}

    def step(self) -> None:
        """Remove erased videos, and finish those of ended sessions.

        Raises
        ------
        StoreError
            The database is unreachable.
        """
        with self._pool.transaction() as tx:
            erased, ended = videos.list_erased(tx), videos.list_unfinished(tx, SILENT_S)
        for session_id in erased:
            self._attempt(session_id, self._remove)
        for session_id in ended:
            self._attempt(session_id, self._finish)
        if not ended:
            self._attempts.attempt("old", self._seal_one)

    def _attempt(self, session_id: int, work: Callable[[int], None]) -> None:
        """Work on a video, unless that failed a moment ago; the others' turns come in any case."""
        if time.monotonic() < self._retry_at.get(session_id, 0.0):
            return
        self._retry_at.pop(session_id, None)
        if not self._attempts.attempt(session_id, partial(work, session_id), session_id=session_id):
            self._retry_at[session_id] = time.monotonic() + RETRY_S

    def _seal_one(self) -> None:
        """Encrypt one video from before videos were encrypted; one per step."""
        if self._old is None:
            numbers = [int(path.stem) for path in self._folder.glob("*.mp4") if path.stem.isdecimal()]
            self._old = sorted(numbers, reverse=True)
        while self._old:
            session_id = self._old.pop()
            with self._pool.transaction() as tx:  # an erasure waits for the end, and then finds all files
                if not videos.lock_ready(tx, session_id):
                    continue
                if files_of(self._folder, session_id, self._vault).seal_old():
                    logger.info("video encrypted", extra={"session_id": session_id})
                    return

    def _remove(self, session_id: int) -> None:
        files_of(self._folder, session_id, self._vault).remove()
        with self._pool.transaction() as tx:
            videos.delete_erased(tx, session_id)
        logger.info("files of an erased video removed", extra={"session_id": session_id})

    def _finish(self, session_id: int) -> None:
        """Make the file, under a lock on the row: an erasure waits for its end, and then finds all files."""
        from semg.video.finishing import finish  # brings ffmpeg's libraries, which no other job needs

        try:
            with self._pool.transaction() as tx:
                if not videos.claim_unfinished(tx, session_id):
                    return
                try:
                    made = finish(files_of(self._folder, session_id, self._vault))
                except VideoError as exc:
                    files_of(self._folder, session_id, self._vault).remove()
                    videos.fail_video(tx, session_id, str(exc))
                    return
                videos.finish_video(
                    tx,
                    session_id,
                    started_at=utc_from_us(made.started_us),
                    ended_at=utc_from_us(made.ended_us),
                    frames=made.frames,
                    n_bytes=made.n_bytes,
                    width=made.width,
                    height=made.height,
                    time_error_us=made.time_error_us,
                )
            logger.info("video finished: %d frames", made.frames, extra={"session_id": session_id})
        except StoreError:
            raise
        except Exception as exc:
            self._tries[session_id] = self._tries.get(session_id, 0) + (not isinstance(exc, OSError))
            if self._tries[session_id] >= MOST_TRIES:
                logger.exception("video given up; its parts stay", extra={"session_id": session_id})
                with self._pool.transaction() as tx:
                    videos.fail_video(tx, session_id, "it cannot be put together; the log has the details")
                return
            # A full disk, for instance: the parts stay, and the other videos must not wait for this one.
            logger.exception("video not finished, tried again in %.0f s", RETRY_S, extra={"session_id": session_id})
            self._retry_at[session_id] = time.monotonic() + RETRY_S


def keep_videos(
    pool: Pool, folder: Path, vault: Vault, stop: threading.Event, failures: Failures | None = None
) -> None:
    """Maintain the videos until stopped."""
    keeper = VideoKeeper(pool, folder, vault, failures)
    run_periodically(keeper.step, "videos", EVERY_S, stop, failures)
