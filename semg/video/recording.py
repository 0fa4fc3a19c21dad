"""Write a webcam's frames to files while a session is being recorded.

Frames arrive in an event loop, pages control and query from their own threads, and one thread per recorder writes;
nothing here depends on the frontend. Each connection to a webcam is a separate part with its own media clock;
a reloaded page therefore continues with the next part of the same session.
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

from semg.errors import AccessError, ConflictError, EncryptedFileError, NotFoundError, StoreError
from semg.security.encrypted_files import Vault
from semg.store import videos
from semg.store.pool import Pool, Transaction
from semg.video.files import VideoFiles, files_of
from semg.video.part_log import CLOCK_HZ
from semg.video.writer import PartWriter, size_of

logger = logging.getLogger(__name__)

MAX_WAITING = 150
"""Frames that wait to be encoded, about five seconds; more are dropped and counted."""
KEPT_REPORTS = 120
REPORT_EVERY_US = 100_000
"""A browser reports its clock about once a second; what comes closer together is left out."""
LOOK_EVERY_S = 1.0
CLAIM_SAID_S = 4.0
"""After this long without a frame of its own that was written, a recorder says that another one writes the session."""
SILENT_S = 2.0
"""A webcam that has sent nothing for this long counts as off; another one may replace it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a recording: bytes of one session's video, and bytes to leave free on the disk."""

    session_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class RecorderState:
    """State of a recorder.

    Attributes
    ----------
    sends
        Whether frames arrive.
    session_id
        The session that they are written for, or None.
    rate_hz
        Recent frame rate of the camera.
    dropped
        Frames of this connection that could not be encoded in time.
    problem
        Why frames are not written although they should be; otherwise empty.
    """

    sends: bool
    session_id: int | None
    rate_hz: float
    frames: int
    dropped: int
    problem: str


class Claims:
    """Selects the one recorder that writes a session's video, and replaces a silent one. Shared by all recorders."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._owners: dict[int, tuple[object, float]] = {}

    def hold(self, session_id: int, owner: object) -> bool:
        """Return whether a recorder may write a frame now; True is valid for ``SILENT_S``."""
        now = self._clock()
        with self._lock:
            holder = self._owners.get(session_id)
            if holder is not None and holder[0] is not owner and now - holder[1] < SILENT_S:
                return False
            self._owners[session_id] = (owner, now)
            return True

    def give_up(self, session_id: int, owner: object) -> None:
        """Allow another recorder to continue."""
        with self._lock:
            if self._owners.get(session_id, (None,))[0] is owner:
                del self._owners[session_id]


@dataclass(frozen=True, slots=True)
class _Frame:
    picture: av.VideoFrame
    media: int
    arrival_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    media: int
    clock_us: int
    arrival_us: int


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
        self._waiting: deque[_Frame | _Report] = deque()
        self._frames_waiting = 0
        self._reports: deque[_Report] = deque(maxlen=KEPT_REPORTS)
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=60)
        self._target: int | None = None
        self._refused: set[int] = set()
        self._problem = ""
        self._dropped = 0
        self._ended = False
        self._thread: threading.Thread | None = None
        # Of the writing thread alone:
        self._writer: PartWriter | None = None
        self._writing: int | None = None
        self._looked_at = 0.0
        self._written = 0
        self._refused_since: float | None = None

    def add_frame(self, picture: av.VideoFrame, media: int, arrival_us: int) -> None:
        """Process a frame; it is kept only while a session is set."""
        with self._wake:
            self._arrivals.append((time.monotonic(), media))
            if self._target is None or self._ended:
                return
            if self._frames_waiting >= MAX_WAITING:
                self._dropped += 1
                return
            self._frames_waiting += 1
            self._waiting.append(_Frame(picture, media, arrival_us))
            self._wake.notify()

    def add_report(self, media: int, clock_us: int, arrival_us: int) -> None:
        """Process a report of the browser's clock."""
        report = _Report(media=media, clock_us=clock_us, arrival_us=arrival_us)
        with self._wake:
            if self._reports and 0 <= arrival_us - self._reports[-1].arrival_us < REPORT_EVERY_US:
                return
            self._reports.append(report)
            if self._target is not None and not self._ended:
                self._waiting.append(report)

    def aim(self, session_id: int | None) -> None:
        """Set the session that later frames are written for, or None."""
        with self._wake:
            if session_id == self._target or self._ended:
                return
            self._target, self._problem = session_id, ""
            if self._thread is None and session_id is not None:
                self._thread = threading.Thread(target=self._run, name="video-writer", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Stop accepting frames and finish the file. Does not wait."""
        with self._wake:
            self._ended = True
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
            while True:
                with self._wake:
                    to_end = self._writer is not None and self._target != self._writing
                    if not self._waiting and not self._ended and not to_end:
                        self._wake.wait(LOOK_EVERY_S)
                    items, target, ended = list(self._waiting), self._target, self._ended
                    self._waiting.clear()
                    self._frames_waiting = 0
                self._step(items, None if ended else target)
                if ended:
                    return
        except Exception:
            logger.exception("the video is cut short", extra={"session_id": self._writing})
            self._say("the video could not be written; the app's log has the details")
        finally:
            self._end_part()

    def _step(self, items: list[_Frame | _Report], target: int | None) -> None:
        """Write the pending frames, then check whether the session continues."""
        if self._writer is not None and target != self._writing:
            # What came before the change still belongs to the old session.
            self._write(items)
            self._end_part()
            return
        if self._writer is None and target is not None and target not in self._refused:
            if any(isinstance(item, _Frame) for item in items):
                if self._claims.hold(target, self):
                    self._refused_since = None
                    self._begin_part(target)
                else:
                    self._say_who_writes()
        self._write(items)
        now = time.monotonic()
        if self._writer is not None and now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._check()

    def _write(self, items: list[_Frame | _Report]) -> None:
        writer = self._writer
        if writer is None or self._writing is None:
            return
        for item in items:
            if isinstance(item, _Report):
                writer.add_report(item.media, item.clock_us, item.arrival_us)
            elif self._claims.hold(self._writing, self):
                writer.add_frame(item.picture, item.media, item.arrival_us)
                self._written += 1

    def _begin_part(self, session_id: int) -> None:
        try:
            with self._pool.transaction() as tx:
                self._require(tx, videos.begin_video(tx, session_id))
        except (AccessError, ConflictError, NotFoundError) as exc:
            self._refuse(session_id, str(exc))
            return
        except StoreError as exc:
            self._say(f"the video waits for the database: {exc}")
            return
        files = files_of(self._folder, session_id, self._vault)
        try:
            files.parts.mkdir(mode=0o700, parents=True, exist_ok=True)
            earlier = files.list_parts()
            size = next((found for video, _ in earlier if (found := self._size_of(files, video)) is not None), None)
            writer = PartWriter(*files.create_part(files.next_number()), size)
        except OSError as exc:
            self._refuse(session_id, f"the video cannot be written to {files.parts}: {exc.strerror}")
            self._release(session_id)
            return
        with self._wake:
            reports = list(self._reports)
            self._problem = ""
        for report in reports:
            writer.add_report(report.media, report.clock_us, report.arrival_us)
        self._writer, self._writing, self._looked_at = writer, session_id, time.monotonic()
        logger.info("recording a video", extra={"session_id": session_id})

    @staticmethod
    def _size_of(files: VideoFiles, video: Path) -> tuple[int, int] | None:
        try:
            with files.open(video) as file:
                return size_of(file)
        except EncryptedFileError:
            return None

    def _check(self) -> None:
        """Flush, and stop when the session has ended or a limit is reached."""
        assert self._writer is not None
        assert self._writing is not None
        session_id = self._writing
        self._writer.flush()
        if self._writer.n_bytes > self._limits.session_bytes:
            self._cut_short(session_id, f"cut short at {self._limits.session_bytes >> 20} MB (VIDEO_MAX_BYTES)")
        elif shutil.disk_usage(self._folder).free < self._limits.free_bytes:
            self._cut_short(session_id, "cut short because the disk is nearly full (MIN_FREE_DISK_MB)")
        else:
            try:
                with self._pool.transaction() as tx:
                    user_id = videos.touch_video(tx, session_id)
                    goes_on = user_id is not None
                    erased = not goes_on and videos.find_video(tx, session_id) is None
                    if user_id is not None:
                        self._require(tx, user_id)
            except (AccessError, NotFoundError) as exc:
                self._refuse(session_id, str(exc))
                self._end_part()
                return
            except StoreError as exc:
                logger.warning("no sign of life of a video: %s", exc, extra={"session_id": session_id})
                return
            if not goes_on:
                self._refused.add(session_id)
                self._end_part()
                if erased:
                    files_of(self._folder, session_id, self._vault).remove()

    def _cut_short(self, session_id: int, why: str) -> None:
        self._refuse(session_id, why)
        self._end_part(f"The video was {why}.")

    def _end_part(self, problem: str = "") -> None:
        writer, session_id = self._writer, self._writing
        self._writer = self._writing = None
        if writer is None or session_id is None:
            return
        try:
            writer.close()
        except (OSError, av.FFmpegError):
            logger.exception("the end of a video is lost", extra={"session_id": session_id})
        self._claims.give_up(session_id, self)
        self._release(session_id, problem)

    def _release(self, session_id: int, problem: str = "") -> None:
        try:
            with self._pool.transaction() as tx:
                videos.release_video(tx, session_id, problem)
        except StoreError as exc:
            logger.warning("whoever finishes the video waits a little: %s", exc, extra={"session_id": session_id})

    def _say_who_writes(self) -> None:
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since >= CLAIM_SAID_S:
            self._say("another webcam records this session")

    def _refuse(self, session_id: int, why: str) -> None:
        self._refused.add(session_id)
        self._say(why)

    def _say(self, problem: str) -> None:
        with self._wake:
            self._problem = problem
