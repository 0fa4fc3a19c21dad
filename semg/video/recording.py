"""Write a webcam's frames to files while a session is being recorded.

Frames arrive in an event loop, pages control and query from their own threads, and one thread per recorder writes;
nothing here depends on the frontend. Each connection to a webcam is a separate part with its own media clock;
a reloaded page therefore continues with the next part of the same session.

A frame belongs to the session that the recorder was aimed at when it arrived, however late it is written. What arrived
before a session's end is written after it.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av

from semg.clock import now_us
from semg.errors import AccessError, ConflictError, EncryptedFileError, NotFoundError, StoreError
from semg.security.encrypted_files import Vault
from semg.store import videos
from semg.store.pool import Pool, Transaction
from semg.video.claims import SILENT_S, Claims
from semg.video.files import VideoFiles, files_of
from semg.video.part_log import CLOCK_HZ
from semg.video.recorder_state import RecorderState
from semg.video.writer import PartWriter, size_of

logger = logging.getLogger(__name__)

MAX_WAITING, MAX_WAITING_BYTES = 150, 128 << 20
"""Frames that wait to be encoded, about five seconds; more are dropped and counted."""
KEPT_REPORTS = 120
REPORT_EVERY_US = 100_000
"""A browser reports its clock about once a second; what comes closer together is left out."""
LOOK_EVERY_S = 1.0
LATE_US = 500_000
"""A frame that arrived this long after a session's end may have been taken before it."""
CLAIM_SAID_S = 4.0
"""After this long without a frame of its own that was written, a recorder says that another one writes the session."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a recording: bytes of one session's video, and bytes to leave free on the disk."""

    session_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    session_id: int
    picture: av.VideoFrame
    media: int
    arrival_us: int

    @property
    def n_bytes(self) -> int:
        return self.picture.width * self.picture.height * 3 // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    media: int
    clock_us: int
    arrival_us: int


@dataclass(slots=True, kw_only=True)
class _Part:
    """What is being written; used by the writing thread alone.

    Attributes
    ----------
    earlier_bytes
        Size of the session's earlier parts.
    ended_us
        When the session ended; None while it is being recorded.
    n_reports
        How many of the recorder's reports have been written.
    looked_at
        When it was last checked whether the session continues (monotonic seconds).
    """

    session_id: int
    writer: PartWriter
    earlier_bytes: int
    ended_us: int | None = None
    n_reports: int = 0
    looked_at: float

    def takes(self, arrival_us: int) -> bool:
        """Return whether what arrives at a time still belongs to the session."""
        return self.ended_us is None or arrival_us <= self.ended_us + LATE_US


class Recorder:
    """Writes the frames of one connection to the session that it is aimed at.

    Parameters
    ----------
    folder
        Of the videos.
    vault
        Encrypts them.
    require
        Raises when whoever is behind the webcam may not record a profile (its userid) any more. Asked before a part is
        begun and every second after, as a client that is not a browser need not ask for its page again.
    """

    def __init__(
        self,
        pool: Pool,
        folder: Path,
        limits: Limits,
        claims: Claims,
        vault: Vault,
        require: Callable[[Transaction, int], None] = lambda tx, user_id: None,
    ) -> None:
        self._pool, self._folder, self._limits, self._claims, self._vault = pool, folder, limits, claims, vault
        self._require = require
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._waiting: deque[_Frame] = deque()
        self._waiting_bytes = 0
        self._reports: deque[_Report] = deque(maxlen=KEPT_REPORTS)
        self._n_reports = 0
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=60)
        self._target: int | None = None
        self._problem = ""
        self._dropped = 0
        self._thread: threading.Thread | None = None
        # Of the writing thread alone:
        self._part: _Part | None = None
        self._refused: set[int] = set()
        self._written = 0
        self._not_held_since: float | None = None

    def add_frame(self, picture: av.VideoFrame, media: int, arrival_us: int) -> None:
        """Process a frame; it is kept only while a session is set."""
        with self._wake:
            self._arrivals.append((time.monotonic(), media))
            if self._target is None or self._closing.is_set():
                return
            frame = _Frame(session_id=self._target, picture=picture, media=media, arrival_us=arrival_us)
            if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + frame.n_bytes > MAX_WAITING_BYTES:
                self._dropped += 1
                return
            self._waiting.append(frame)
            self._waiting_bytes += frame.n_bytes
            self._wake.notify()

    def add_report(self, media: int, clock_us: int, arrival_us: int) -> None:
        """Process a report of the browser's clock."""
        with self._wake:
            if self._reports and 0 <= arrival_us - self._reports[-1].arrival_us < REPORT_EVERY_US:
                return
            self._reports.append(_Report(media=media, clock_us=clock_us, arrival_us=arrival_us))
            self._n_reports += 1

    def aim(self, session_id: int | None) -> None:
        """Set the session that later frames are written for, or None."""
        with self._wake:
            if session_id == self._target or self._closing.is_set():
                return
            self._target, self._problem = session_id, ""
            if self._thread is None and session_id is not None:
                self._thread = threading.Thread(target=self._run, name="video-writer", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Stop accepting frames and finish the file. Does not wait."""
        with self._wake:
            self._closing.set()
            self._wake.notify()

    def join(self, timeout_s: float) -> None:
        """Wait until everything is written after ``close``."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def state(self) -> RecorderState:
        """Return the recorder's state."""
        with self._wake:
            now = time.monotonic()
            recent = [media for at, media in self._arrivals if now - at < SILENT_S]
            # By the pictures' own clock: what waited somewhere comes in a burst, as if a thousand were taken a second.
            span_s = (max(recent) - min(recent)) / CLOCK_HZ if recent else 0.0
            return RecorderState(
                sends=bool(recent),
                session_id=self._target,
                rate_hz=(len(recent) - 1) / span_s if span_s else 0.0,
                frames=self._written,
                dropped=self._dropped,
                problem=self._problem,
            )

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception:
            session_id = self._part.session_id if self._part else None
            logger.exception("the video is cut short", extra={"session_id": session_id})
            self._say("the video could not be written; the app's log has the details")
        finally:
            self.close()
            self._end_part()

    def _step(self) -> bool:
        """Handle the frame that has waited longest, and return whether there is more to do."""
        with self._wake:
            if not self._waiting and not self._closing.is_set() and not self._is_turned():
                self._wake.wait(LOOK_EVERY_S)
            frame = self._waiting[0] if self._waiting else None
        if self._is_over(frame):
            self._end_part()
        if frame is None:
            if self._closing.is_set():
                return False
        elif self._handle(frame):
            with self._wake:
                self._waiting.popleft()
                self._waiting_bytes -= frame.n_bytes
        elif self._closing.wait(LOOK_EVERY_S):
            return False
        if self._part is not None and time.monotonic() - self._part.looked_at >= LOOK_EVERY_S:
            self._part.looked_at = time.monotonic()
            self._check(self._part)
        return True

    def _is_turned(self) -> bool:
        return self._part is not None and self._target != self._part.session_id

    def _is_over(self, frame: _Frame | None) -> bool:
        """Return whether nothing more comes for the part: frames are in the order of their arrival."""
        if self._part is None:
            return False
        if frame is not None:
            return frame.session_id != self._part.session_id or not self._part.takes(frame.arrival_us)
        return self._is_turned() or not self._part.takes(now_us())

    def _handle(self, frame: _Frame) -> bool:
        """Write a frame, or leave it out; False when it has to wait for the database."""
        session_id = frame.session_id
        if session_id in self._refused:
            return True
        if not self._claims.hold(session_id, self):
            self._say_who_writes()
            return True
        self._not_held_since = None
        if self._part is None and not self._begin_part(session_id):
            return session_id in self._refused
        if self._part is not None and self._part.takes(frame.arrival_us):
            self._part.writer.add_frame(frame.picture, frame.media, frame.arrival_us)
            self._written += 1
        return True

    def _begin_part(self, session_id: int) -> bool:
        try:
            with self._pool.transaction() as tx:
                self._require(tx, videos.begin_video(tx, session_id))
        except (AccessError, ConflictError, NotFoundError) as exc:
            self._refuse(session_id, str(exc))
            return False
        except StoreError as exc:
            self._say(f"the video waits for the database: {exc}")
            return False
        files = files_of(self._folder, session_id, self._vault)
        try:
            files.parts.mkdir(mode=0o700, parents=True, exist_ok=True)
            earlier = files.list_parts()
            size = next((found for video, _ in earlier if (found := self._size_of(files, video)) is not None), None)
            earlier_bytes = sum(path.stat().st_size for part in earlier for path in part)
            writer = PartWriter(*files.create_part(files.next_number()), size)
        except OSError as exc:
            self._refuse(session_id, f"the video cannot be written to {files.parts}: {exc.strerror}")
            self._release(session_id)
            return False
        self._say("")
        self._part = _Part(
            session_id=session_id, writer=writer, earlier_bytes=earlier_bytes, looked_at=time.monotonic()
        )
        logger.info("recording a video", extra={"session_id": session_id})
        return True

    @staticmethod
    def _size_of(files: VideoFiles, video: Path) -> tuple[int, int] | None:
        try:
            with files.open(video) as file:
                return size_of(file)
        except EncryptedFileError:
            return None

    def _write_reports(self, part: _Part) -> None:
        with self._wake:
            n_new = min(self._n_reports - part.n_reports, len(self._reports))
            reports = list(self._reports)[len(self._reports) - n_new :]
            part.n_reports = self._n_reports
        for report in reports:
            part.writer.add_report(report.media, report.clock_us, report.arrival_us)

    def _check(self, part: _Part) -> None:
        """Flush, and stop when the session is not to go on or a limit is reached."""
        session_id = part.session_id
        self._write_reports(part)
        part.writer.flush()
        if part.earlier_bytes + part.writer.n_bytes > self._limits.session_bytes:
            self._cut_short(session_id, f"cut short at {self._limits.session_bytes >> 20} MB (VIDEO_MAX_BYTES)")
        elif shutil.disk_usage(self._folder).free < self._limits.free_bytes:
            self._cut_short(session_id, "cut short because the disk is nearly full (MIN_FREE_DISK_MB)")
        else:
            try:
                with self._pool.transaction() as tx:
                    touched = videos.touch_video(tx, session_id)
                    erased = touched is None and videos.find_video(tx, session_id) is None
                    if touched is not None:
                        self._require(tx, touched.user_id)
            except (AccessError, NotFoundError) as exc:
                self._refuse(session_id, str(exc))
                self._end_part()
                return
            except StoreError as exc:
                logger.warning("no sign of life of a video: %s", exc, extra={"session_id": session_id})
                return
            if touched is not None:
                part.ended_us = touched.ended_us
                return
            self._refused.add(session_id)
            self._end_part()
            if erased:
                files_of(self._folder, session_id, self._vault).remove()

    def _cut_short(self, session_id: int, why: str) -> None:
        self._refuse(session_id, why)
        self._end_part(f"The video was {why}.")

    def _end_part(self, problem: str = "") -> None:
        part, self._part = self._part, None
        if part is None:
            return
        if part.ended_us is not None:
            self._refused.add(part.session_id)
        try:
            self._write_reports(part)
            part.writer.close()
        except (OSError, av.FFmpegError):
            logger.exception("the end of a video is lost", extra={"session_id": part.session_id})
        self._claims.give_up(part.session_id, self)
        self._release(part.session_id, problem)

    def _release(self, session_id: int, problem: str = "") -> None:
        try:
            with self._pool.transaction() as tx:
                videos.release_video(tx, session_id, problem)
        except StoreError as exc:
            logger.warning("whoever finishes the video waits a little: %s", exc, extra={"session_id": session_id})

    def _say_who_writes(self) -> None:
        now = time.monotonic()
        if self._not_held_since is None:
            self._not_held_since = now
        elif now - self._not_held_since >= CLAIM_SAID_S:
            self._say("another webcam records this session")

    def _refuse(self, session_id: int, why: str) -> None:
        self._refused.add(session_id)
        self._say(why)

    def _say(self, problem: str) -> None:
        with self._wake:
            self._problem = problem
