"""Takes a recording in, in a process of its own: reading one holds the interpreter and half a GB of memory for seconds.

The process is given what its parent has checked, asks for the rights again in its own transaction, and answers in JSON.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

import orjson

from semg.commands import recording_imports
from semg.errors import AccessError, ConflictError, InvalidValueError, NotFoundError, RecordingError, SemgError
from semg.recordings.csv_format import UPLOAD, LayoutAnswers, guess_layout, load_recording, settled
from semg.settings import Settings
from semg.store import profiles
from semg.store.pool import Pool
from webapi.acting_caller import ActingCaller

WITHIN_S = 240.0
"""Reading and storing; a Parquet file may take two minutes to open, storing a minute."""
_STATUSES: tuple[tuple[type[SemgError], int], ...] = (
    (NotFoundError, 404), (AccessError, 403), (InvalidValueError, 422), (ConflictError, 409), (RecordingError, 422),
    (SemgError, 503),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be taken in, for whom; ``is_dry``: only told, not stored."""

    settings: Settings
    who: ActingCaller
    user_id: int
    path: Path
    file_name: str
    answers: LayoutAnswers
    name: str
    started_at: datetime | None
    is_dry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it: a status, and what was found or why it was refused."""

    status: int
    detail: str = ""
    field: str | None = None
    session_id: int | None = None
    samples: int = 0
    seconds: float = 0.0
    rate_hz: float = 0.0
    repetitions: int = 0
    channels: tuple[str, ...] = ()
    known_gestures: tuple[str, ...] = ()
    new_gestures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def take_apart(order: Order, within_s: float = WITHIN_S) -> Outcome:
    """Take a recording in, in a process that is ended after a while. Blocks; not for the event loop."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(order, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(within_s):
            return Outcome(status=422, detail=f"the recording could not be taken in within {within_s:.0f} s")
        return Outcome(**orjson.loads(ours.recv_bytes()))
    except EOFError:
        return Outcome(status=422, detail="the recording could not be read: it took too much memory, or is damaged")
    finally:
        ours.close()
        process.kill()
        process.join()


def take(order: Order) -> Outcome:
    """Take a recording in, in this process."""
    try:
        return _take(order)
    except SemgError as exc:
        status = next(status for kind, status in _STATUSES if isinstance(exc, kind))
        return Outcome(status=status, detail=str(exc), field=getattr(exc, "field", None))


def _run(order: Order, answer: Connection) -> None:
    answer.send_bytes(orjson.dumps(take(order)))


def _take(order: Order) -> Outcome:
    pool = Pool(order.settings, size=1, name="import")
    try:
        with pool.transaction() as tx:
            order.who.require(tx, order.user_id, "work")
            device = profiles.get_profile(tx, order.user_id).device
        guessed = guess_layout(order.path, answers=order.answers, limits=UPLOAD, name=order.file_name)
        layout = settled(order.file_name, guessed, order.answers.rate_hz)
        recording = load_recording(
            order.path,
            layout=layout,
            rate_hz=order.answers.rate_hz,
            sensor=device.sensor,
            mains_hz=device.mains_hz,
            limits=UPLOAD,
            name=order.file_name,
        )
        with pool.transaction() as tx:
            found = recording_imports.foresee(tx, order.who, order.user_id, recording)
            session_id = None
            if not order.is_dry:
                started_at, who = order.started_at, order.who
                made = recording_imports.take(tx, who, order.user_id, recording, layout, order.name, started_at)
                session_id = made.session_id
    finally:
        pool.close()
    return Outcome(
        status=200 if order.is_dry else 201,
        session_id=session_id,
        samples=found.samples,
        seconds=found.seconds,
        rate_hz=found.rate_hz,
        repetitions=found.repetitions,
        channels=found.channels,
        known_gestures=found.known,
        new_gestures=found.new,
        notes=found.notes,
    )
