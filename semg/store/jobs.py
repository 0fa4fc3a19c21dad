"""Training jobs: created by people, claimed by runners, updated by the training process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from semg.domain import ClassifierKind, Job
from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import checks, consents
from semg.store.pool import Transaction, execute, one, rows

MAX_LOG_CHARACTERS = 64_000
MAX_ERROR_CHARACTERS = 4_000
MAX_WAITING = 10
"""Jobs of an account that wait."""
LATEST = timedelta(days=3660)
"""From now until a training that is put into the queue may start."""
MAX_EPOCH_POINTS = 600
"""Kept of a job: a training has six networks of 18 epochs, unless its options say otherwise."""
_COLUMNS = """
    j.job_id, j.user_id, j.session_ids, j.classifier, j.options, j.status, j.scheduled_at, j.created_at,
    j.started_at, j.ended_at, j.progress, j.epoch, j.epochs, j.error, j.cancel_requested, j.runner,
    (SELECT max(m.version) FROM models m WHERE m.job_id = j.job_id) AS model_version
"""
_WITH_LOG = f"SELECT {_COLUMNS}, j.log FROM jobs j"  # noqa: S608
_WITHOUT_LOG = f"SELECT {_COLUMNS}, '' AS log FROM jobs j"  # noqa: S608

_OPEN = "status IN ('scheduled', 'in-progress')"
_CANCEL = """
    UPDATE jobs SET cancel_requested = true, status = CASE status WHEN 'scheduled' THEN 'canceled' ELSE status END,
        ended_at = CASE status WHEN 'scheduled' THEN now() END
"""


def insert_job(
    tx: Transaction,
    user_id: int,
    session_ids: Sequence[int],
    classifier: ClassifierKind,
    options: dict[str, Any],
    scheduled_at: datetime | None = None,
    *,
    account_id: int | None = None,
) -> int:
    """Schedule a training run, and return its number.

    Parameters
    ----------
    scheduled_at
        When a runner may start it; now by default, and instead of a time that has passed.
    account_id
        Whose job it is; None: nobody's, such as a command's.

    Raises
    ------
    InvalidValueError
        No session is named, or one that is not the profile's or still being recorded.
    ConflictError
        The person's consent was withdrawn, or the account has ``MAX_WAITING`` jobs that wait.
    """
    consents.require(tx, user_id, "recording")
    if account_id is not None:
        _require_room(tx, account_id)
    wanted = list(dict.fromkeys(session_ids))
    if not wanted:
        raise InvalidValueError("session_ids", "choose at least one session to train on")
    if classifier not in ("cnn", "logcov_lda", "td_lda"):
        raise InvalidValueError(
            "classifier", f"choose cnn, logcov_lda or td_lda as the classifier (now {classifier!r})"
        )
    query = "SELECT session_id, status FROM sessions WHERE user_id = %s AND session_id = ANY(%s::bigint[])"
    status = {row.session_id: row.status for row in rows(tx, query, (user_id, wanted))}
    foreign = [session_id for session_id in wanted if session_id not in status]
    if foreign:
        raise InvalidValueError("session_ids", f"profile {user_id} has no session {', '.join(map(str, foreign))}")
    recording = [session_id for session_id in wanted if status[session_id] == "recording"]
    if recording:
        raise InvalidValueError("session_ids", f"finish session {recording[0]} first: it is still being recorded")
    if scheduled_at is not None and checks.aware("scheduled_at", scheduled_at) > datetime.now(UTC) + LATEST:
        raise InvalidValueError(
            "scheduled_at", f"choose a time within {LATEST.days} days (now {scheduled_at:%Y-%m-%d})"
        )
    made = one(
        tx,
        """
        INSERT INTO jobs (user_id, session_ids, classifier, options, scheduled_at, requested_by)
        VALUES (%s, %s, %s, %s, greatest(%s, now()), %s) RETURNING job_id
        """,
        (
            user_id,
            wanted,
            classifier,
            checks.as_json(options),
            scheduled_at,
            account_id,
        ),
    )
    assert made is not None
    return int(made.job_id)


def get_job(tx: Transaction, job_id: int) -> Job:
    """Return a job with its log.

    Raises
    ------
    NotFoundError
        There is none of this number (its profile may have been deleted).
    """
    row = one(tx, _WITH_LOG + " WHERE j.job_id = %s", (job_id,))
    if row is None:
        raise _missing(job_id)
    return _job(row)


def list_jobs(tx: Transaction, user_id: int | None = None, limit: int = 100) -> list[Job]:
    """Return jobs without their logs, newest first; of all profiles when none is named."""
    query = _WITHOUT_LOG + " WHERE %(user)s::bigint IS NULL OR j.user_id = %(user)s ORDER BY j.job_id DESC LIMIT %(n)s"
    return [_job(row) for row in rows(tx, query, {"user": user_id, "n": limit})]


def list_chosen(tx: Transaction, job_ids: Sequence[int]) -> list[Job]:
    """Return those of the jobs that there are, in the order of their numbers given, without their logs."""
    known = {
        row.job_id: _job(row)
        for row in rows(tx, _WITHOUT_LOG + " WHERE j.job_id = ANY(%s::bigint[])", (list(job_ids),))
    }
    return [known[number] for number in job_ids if number in known]


def claim_due_job(tx: Transaction, runner: str, now: datetime | None = None) -> Job | None:
    """Return the job whose turn it is, now in progress and this runner's, or None.

    Accounts take turns: the one comes next of whose jobs none runs, or the last began longest ago, and of its jobs the
    one that has been due longest. Those of nobody are one account's. Those of a disabled account wait until it is
    enabled. Concurrent runners never get the same job: a row that another one is claiming is passed over.
    """
    now = datetime.now(UTC) if now is None else checks.aware("now", now)
    row = one(
        tx,
        """
        UPDATE jobs SET status = 'in-progress', runner = %(runner)s, started_at = %(now)s, heartbeat_at = now()
        WHERE job_id = (
            SELECT j.job_id FROM jobs j
            LEFT JOIN (
                SELECT coalesce(requested_by, 0) AS account, max(started_at) AS started_at,
                       count(*) FILTER (WHERE status = 'in-progress') AS running
                FROM jobs WHERE started_at IS NOT NULL GROUP BY 1
            ) served ON served.account = coalesce(j.requested_by, 0)
            WHERE j.status = 'scheduled' AND j.scheduled_at <= %(now)s
              AND NOT EXISTS (
                  SELECT FROM accounts a WHERE a.account_id = j.requested_by AND a.disabled_at IS NOT NULL)
            ORDER BY coalesce(served.running, 0), served.started_at NULLS FIRST, j.scheduled_at, j.job_id
            LIMIT 1 FOR UPDATE OF j SKIP LOCKED)
        RETURNING job_id
        """,
        {"runner": runner, "now": now},
    )
    return None if row is None else get_job(tx, row.job_id)


def claim_job(tx: Transaction, job_id: int, runner: str) -> bool:
    """Claim one scheduled job, whatever its time, and return whether it was still scheduled."""
    taken = execute(
        tx,
        """
        UPDATE jobs SET status = 'in-progress', runner = %s, started_at = now(), heartbeat_at = now()
        WHERE job_id = %s AND status = 'scheduled'
        """,
        (runner, job_id),
    )
    return taken == 1


def update_progress(
    tx: Transaction,
    job_id: int,
    progress: float,
    epoch: int = 0,
    epochs: int = 0,
    line: str | None = None,
) -> bool:
    """Report on a job in progress, which is also its sign of life, and return whether it has to stop.

    Parameters
    ----------
    progress
        Percent.
    line
        Added to the log with the time; the log keeps its newest ``MAX_LOG_CHARACTERS``.

    Returns
    -------
    bool
        True when the job shall be canceled, or is not in progress any more (marked as failed, or erased with its
        profile).
    """
    row = one(
        tx,
        """
        UPDATE jobs SET progress = %(progress)s, epoch = %(epoch)s, epochs = %(epochs)s, heartbeat_at = now(),
            log = CASE WHEN length(log) + length(%(line)s) <= %(limit)s THEN log || %(line)s
                       ELSE regexp_replace(right(log || %(line)s, %(limit)s), '^[^\\n]*\\n', '') END
        WHERE job_id = %(job)s AND status = 'in-progress'
        RETURNING cancel_requested
        """,
        {
            "job": job_id,
            "progress": min(100.0, max(0.0, progress)),
            "epoch": epoch,
            "epochs": epochs,
            "line": "" if line is None else _log_line(line),
            "limit": MAX_LOG_CHARACTERS,
        },
    )
    return True if row is None else bool(row.cancel_requested)


def update_epochs(tx: Transaction, job_id: int, points: Sequence[Mapping[str, Any]]) -> None:
    """Replace what is known of the epochs of a job in progress; its newest ``MAX_EPOCH_POINTS`` are kept."""
    query = "UPDATE jobs SET epoch_points = %s WHERE job_id = %s AND status = 'in-progress'"
    execute(tx, query, (checks.as_json(list(points[-MAX_EPOCH_POINTS:])), job_id))


def list_epochs(tx: Transaction, job_id: int) -> list[dict[str, Any]]:
    """Return the epochs of a job's networks, oldest first; empty for a job from before they were stored."""
    row = one(tx, "SELECT epoch_points FROM jobs WHERE job_id = %s", (job_id,))
    if row is None:
        raise _missing(job_id)
    points: list[dict[str, Any]] = row.epoch_points
    return points


def touch_job(tx: Transaction, job_id: int) -> None:
    """Record a sign of life of a job in progress, observed from outside: its process runs."""
    execute(tx, "UPDATE jobs SET heartbeat_at = now() WHERE job_id = %s AND status = 'in-progress'", (job_id,))


def record_used(tx: Transaction, job_id: int) -> int:
    """Write the repetitions of a job's sessions as they are now to the job, and return how many it uses.

    Called in the transaction that reads them: they cannot change until it ends, and what is changed later does not
    change what the job has used.
    """
    found = rows(
        tx,
        """
        SELECT r.repetition_id, r.session_id, g.name AS gesture, r.number, r.started_at, r.ended_at
        FROM jobs j JOIN repetitions r ON r.session_id = ANY(j.session_ids) JOIN gestures g USING (gesture_id)
        WHERE j.job_id = %s AND NOT r.excluded ORDER BY r.session_id, r.started_at FOR SHARE OF r
        """,
        (job_id,),
    )
    used = [dict(zip(row._fields, row, strict=True)) for row in found]
    execute(tx, "UPDATE jobs SET used = %s WHERE job_id = %s", (checks.as_json(used), job_id))
    return len(used)


def list_used(tx: Transaction, job_id: int) -> list[dict[str, Any]] | None:
    """Return the repetitions as a job used them, times as RFC 3339; None when it has not read them yet."""
    row = one(tx, "SELECT used FROM jobs WHERE job_id = %s", (job_id,))
    if row is None:
        raise _missing(job_id)
    used: list[dict[str, Any]] | None = row.used
    return used


def complete_job(tx: Transaction, job_id: int) -> None:
    """Mark a job in progress as completed; call it in the transaction that stores the model.

    Raises
    ------
    NotFoundError, ConflictError
        The job is gone or not in progress any more; the transaction must not store a model.
    """
    _end(tx, job_id, "UPDATE jobs SET status = 'completed', progress = 100, ended_at = now(), heartbeat_at = now()")


def fail_job(tx: Transaction, job_id: int, error: str) -> None:
    """Mark a job in progress as failed; errors as ``complete_job``."""
    _end(tx, job_id, "UPDATE jobs SET status = 'failed', error = %(error)s, ended_at = now()", error)


def cancel_job(tx: Transaction, job_id: int) -> None:
    """Mark a job in progress as canceled, when its process has ended; errors as ``complete_job``."""
    _end(tx, job_id, "UPDATE jobs SET status = 'canceled', ended_at = now()")


def request_cancel(tx: Transaction, job_id: int) -> Job:
    """Cancel a scheduled job at once, ask a running one to stop, and return the job as it is then.

    A job that has ended stays as it is.

    Raises
    ------
    NotFoundError
        There is no such job.
    """
    execute(tx, f"{_CANCEL} WHERE job_id = %s AND {_OPEN}", (job_id,))
    return get_job(tx, job_id)


def request_cancel_all(tx: Transaction, user_id: int) -> int:
    """Cancel all of a profile's scheduled jobs, ask those that run to stop, and return how many there were."""
    return execute(tx, f"{_CANCEL} WHERE user_id = %s AND {_OPEN}", (user_id,))


def retry_job(tx: Transaction, job_id: int, *, account_id: int | None = None) -> int:
    """Schedule a job like this one now, and return its number; errors as ``get_job`` and ``insert_job``."""
    job = get_job(tx, job_id)
    return insert_job(tx, job.user_id, job.session_ids, job.classifier, job.options, account_id=account_id)


def fail_stale_jobs(tx: Transaction, stale_s: float, reason: str) -> list[int]:
    """Mark the jobs in progress without a sign of life for ``stale_s`` seconds as failed, and return their numbers."""
    failed = rows(
        tx,
        """
        UPDATE jobs SET status = 'failed', error = %s, ended_at = now()
        WHERE status = 'in-progress'
          AND coalesce(heartbeat_at, started_at, created_at) < now() - %s * interval '1 second'
        RETURNING job_id
        """,
        (checks.storable(reason)[:MAX_ERROR_CHARACTERS], stale_s),
    )
    return sorted(row.job_id for row in failed)


def _require_room(tx: Transaction, account_id: int) -> None:
    """Refuse a job of an account with ``MAX_WAITING`` that wait; one that adds several at a time waits here."""
    execute(tx, "SELECT 1 FROM accounts WHERE account_id = %s FOR NO KEY UPDATE", (account_id,))
    found = one(tx, "SELECT count(*) AS n FROM jobs WHERE requested_by = %s AND status = 'scheduled'", (account_id,))
    if found is not None and found.n >= MAX_WAITING:
        raise ConflictError(
            f"wait until one of your trainings has begun, or cancel one: {found.n} of them wait already"
        )


def _end(tx: Transaction, job_id: int, update: str, error: str = "") -> None:
    parameters = {"job": job_id, "error": checks.storable(error)[:MAX_ERROR_CHARACTERS]}
    if execute(tx, update + " WHERE job_id = %(job)s AND status = 'in-progress'", parameters) == 0:
        job = get_job(tx, job_id)
        raise ConflictError(f"job {job_id} is {job.status}; only a job in progress can be ended")


def _log_line(line: str) -> str:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{stamp} {' '.join(checks.storable(line).splitlines())[: MAX_LOG_CHARACTERS // 8]}\n"


def _missing(job_id: int) -> NotFoundError:
    return NotFoundError(f"there is no job {job_id}; its profile may have been deleted")


def _job(row: Any) -> Job:
    return Job(
        job_id=row.job_id,
        user_id=row.user_id,
        session_ids=tuple(row.session_ids),
        classifier=row.classifier,
        options=row.options,
        status=row.status,
        scheduled_at=row.scheduled_at,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        progress=row.progress,
        epoch=row.epoch,
        epochs=row.epochs,
        log=row.log,
        error=row.error,
        cancel_requested=row.cancel_requested,
        runner=row.runner,
        model_version=row.model_version,
    )
