"""Trainings: queued, cancelled, tried again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from semg.commands.acting import Acting, get_job
from semg.domain import ClassifierKind, Job
from semg.errors import InvalidValueError, TrainingError
from semg.signals.training.options import TrainingOptions
from semg.store import audit, jobs
from semg.store.pool import Transaction


def create_job(
    tx: Transaction,
    who: Acting,
    user_id: int,
    session_ids: Sequence[int],
    classifier: ClassifierKind,
    options: dict[str, Any],
    scheduled_at: datetime | None = None,
) -> int:
    """Queue a training, and return the job's number.

    Raises
    ------
    NotFoundError, AccessError
        As ``Acting.require``.
    InvalidValueError
        A session or an option does not fit; the message names the field.
    ConflictError
        There is no consent, or too many of the account's jobs wait.
    """
    who.require(tx, user_id, "work")
    try:
        TrainingOptions.from_mapping(options)
    except TrainingError as exc:
        raise InvalidValueError("options", str(exc)) from exc
    account_id = who.account_id or None
    job_id = jobs.insert_job(tx, user_id, session_ids, classifier, options, scheduled_at, account_id=account_id)
    audit.record(tx, who.actor, "job.created", user_id, job=job_id)
    return job_id


def cancel_job(tx: Transaction, who: Acting, job_id: int) -> Job:
    """Cancel a job that waits, ask one that runs to stop, and return it; one that has ended stays as it is.

    Raises
    ------
    NotFoundError, AccessError
        As ``get_job``.
    """
    job = get_job(tx, who, job_id, "work")
    is_open = job.status in ("scheduled", "in-progress")
    changed = jobs.request_cancel(tx, job_id)
    if is_open:
        audit.record(tx, who.actor, "job.canceled", job.user_id, job=job_id)
    return changed


def retry_job(tx: Transaction, who: Acting, job_id: int) -> int:
    """Queue a job like this one, and return its number; errors as ``create_job``."""
    job = get_job(tx, who, job_id, "work")
    again = jobs.retry_job(tx, job_id, account_id=who.account_id or None)
    audit.record(tx, who.actor, "job.created", job.user_id, job=again, again=job_id)
    return again
