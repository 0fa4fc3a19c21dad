"""One training job, from its row to an activated model version."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from semg.domain import Job
from semg.errors import ConflictError, NotFoundError, SemgError, StoreUnavailableError, TrainingError
from semg.session_data import load_session
from semg.settings import Settings
from semg.signals.dataset import LabelledSamples
from semg.signals.fitting import TrainingStopped
from semg.signals.options import TrainingOptions
from semg.signals.training import TrainingProgress, TrainingResult, train
from semg.store import jobs, models, profiles
from semg.store import sessions as sessions_store
from semg.store.pool import Pool

logger = logging.getLogger(__name__)
REPORT_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    """What a completed job made."""

    user_id: int
    version: int


class _Reporter:
    """Writes progress to the job's row at most twice a second, and learns there whether to stop."""

    def __init__(self, pool: Pool, job_id: int) -> None:
        self._pool = pool
        self._job_id = job_id
        self._told_at = 0.0
        self._lines: list[str] = []
        self.stop = False

    def __call__(self, progress: TrainingProgress) -> None:
        """Take note of progress; the row gets it when it is time."""
        self._lines.append(progress.line)
        if time.monotonic() - self._told_at < REPORT_EVERY_S and progress.percent < 100:
            return
        self._told_at = time.monotonic()
        try:
            with self._pool.transaction() as tx:
                for line in self._lines:
                    self.stop = jobs.update_progress(
                        tx, self._job_id, progress.percent, progress.epoch, progress.epochs, line
                    )
        except StoreUnavailableError as exc:  # training goes on; the lines are written with the next progress
            logger.warning("progress not written: %s", exc, extra={"job_id": self._job_id})
            return
        except NotFoundError:
            logger.info("the job is gone, its profile was deleted", extra={"job_id": self._job_id})
            self.stop = True
        self._lines.clear()


def run_job(settings: Settings, pool: Pool, job_id: int) -> Finished | None:
    """Do a job: load its sessions, train, store a new model version and activate it.

    A job that is still scheduled (the script was started by hand) is claimed first.

    The model, its activation and the job's completion are one transaction. A failure is written to the row as a
    sentence.

    Returns
    -------
    The new version, or None when the job failed, was canceled or is gone.
    """
    try:
        with pool.transaction() as tx:
            jobs.claim_job(tx, job_id, "by hand")
            job = jobs.get_job(tx, job_id)
            if job.status != "in-progress":
                raise ConflictError(f"job {job_id} is {job.status}; schedule it anew to train again")
            sessions = _load(tx, job)
        options = TrainingOptions.from_mapping(_with_bank(pool, job))
        reporter = _Reporter(pool, job_id)
        result = train(sessions, job.classifier, options=options, progress=reporter, should_stop=lambda: reporter.stop)
        return _store(settings, pool, job, result)
    except TrainingStopped:
        logger.info("canceled", extra={"job_id": job_id})
        _end(pool, job_id, None)
    except SemgError as exc:
        logger.warning("failed: %s", exc, extra={"job_id": job_id})
        _end(pool, job_id, str(exc))
    except MemoryError:
        _end(pool, job_id, "this machine has too little memory for the data: choose fewer sessions")
    except Exception as exc:  # the process's edge: whatever happened must be seen in the row
        logger.exception("failed", extra={"job_id": job_id})
        _end(pool, job_id, f"an unexpected error, please report it: {type(exc).__name__}: {exc}")
    return None


def _load(tx: object, job: Job) -> list[LabelledSamples]:
    found = [sessions_store.get_session(tx, session_id) for session_id in job.session_ids]
    found.sort(key=lambda session: (session.started_at, session.session_id))
    names: set[str] = set()
    for session in found:
        if session.name in names:
            raise TrainingError(f"two of the sessions are called “{session.name}”: rename one")
        names.add(session.name)
    return [load_session(tx, session) for session in found]


def _with_bank(pool: Pool, job: Job) -> dict[str, object]:
    """Give the job's options; channels that it does not name are those of the profile's gesture bank."""
    options = dict(job.options)
    if options.get("channels") is None:
        with pool.transaction() as tx:
            options["channels"] = profiles.get_profile(tx, job.user_id).channels_used
    return options


def _store(settings: Settings, pool: Pool, job: Job, result: TrainingResult) -> Finished:
    artifact = result.classifier.to_bytes()
    metadata = result.classifier.metadata()
    metadata["training"] = metadata["training"] | {"session_ids": list(job.session_ids), "job_id": job.job_id}
    with pool.transaction() as tx:
        _, version = models.insert_model(
            tx, job.user_id, job.job_id, artifact, metadata, result.report, settings.max_model_bytes
        )
        models.activate_model(tx, job.user_id, version)
        jobs.complete_job(tx, job.job_id)
    return Finished(job.user_id, version)


def _end(pool: Pool, job_id: int, error: str | None) -> None:
    """Write how a job ended; a row that is gone or ended already stays as it is."""
    try:
        with pool.transaction() as tx:
            if error is None:
                jobs.cancel_job(tx, job_id)
            else:
                jobs.fail_job(tx, job_id, error)
    except SemgError as exc:
        logger.warning("the job's end is not written: %s", exc, extra={"job_id": job_id})
