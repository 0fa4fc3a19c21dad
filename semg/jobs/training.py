"""Run one training job, from its row to an activated model version."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, replace

from semg.domain import Job, Model, Session
from semg.errors import (
    ArtifactError,
    ConflictError,
    NotFoundError,
    SemgError,
    StoreUnavailableError,
    TrainingError,
)
from semg.priors.profiles import find_base
from semg.process.memory import is_lack_of_memory
from semg.recordings.session_data import load_session
from semg.settings import Settings
from semg.signals.dataset import LabelledSamples
from semg.signals.model.classifier import Classifier
from semg.signals.training.fitting import TrainingStopped
from semg.signals.training.options import TrainingOptions
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.progress import EpochPoint, TrainingProgress
from semg.signals.training.train import train
from semg.signals.training.training_report import Activation, TrainingReport
from semg.signals.training.verdict import compare_with_active
from semg.store import consents, jobs, models, profiles
from semg.store import sessions as sessions_store
from semg.store.pool import Pool, Transaction

logger = logging.getLogger(__name__)
REPORT_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    """Result of a completed job: its version, and whether that is active."""

    user_id: int
    version: int
    activated: bool


class _Reporter:
    """Writes progress to the job's row at most twice a second, and reads there whether to stop."""

    def __init__(self, pool: Pool, job_id: int) -> None:
        self._pool = pool
        self._job_id = job_id
        self._reported_at = 0.0
        self._lines: list[str] = []
        self._points: deque[EpochPoint] = deque(maxlen=jobs.MAX_EPOCH_POINTS)
        self._has_new_points = False
        self.stop = False

    def __call__(self, progress: TrainingProgress) -> None:
        """Record progress; it is written to the row at intervals."""
        self._lines.append(progress.line)
        if progress.point is not None:
            self._points.append(progress.point)
            self._has_new_points = True
        if time.monotonic() - self._reported_at < REPORT_EVERY_S and progress.percent < 100:
            return
        self._reported_at = time.monotonic()
        try:
            with self._pool.transaction() as tx:
                for line in self._lines:
                    self.stop = jobs.update_progress(
                        tx, self._job_id, progress.percent, progress.epoch, progress.epochs, line
                    )
                if self._has_new_points:
                    jobs.update_epochs(tx, self._job_id, [point.as_json() for point in self._points])
        except StoreUnavailableError as exc:  # training continues; the lines are written with the next progress
            logger.warning("progress not written: %s", exc, extra={"job_id": self._job_id})
            return
        except NotFoundError:
            logger.info("the job is gone, its profile was deleted", extra={"job_id": self._job_id})
            self.stop = True
        self._lines.clear()
        self._has_new_points = False


@dataclass(frozen=True, slots=True)
class _TrainingSet:
    """Training set of a job; ``simulated``: some of it was recorded from a simulated arm."""

    session_ids: tuple[int, ...]
    sessions: list[LabelledSamples]
    calibration_id: int | None
    calibration: LabelledSamples | None
    previous: Classifier | None
    simulated: bool = False


class _Version:
    """The version that a job creates: stored when its classifier is ready, assessed and activated with its report."""

    def __init__(self, settings: Settings, pool: Pool, job: Job, training_set: _TrainingSet) -> None:
        self._settings, self._pool, self._job, self._training_set = settings, pool, job, training_set
        self.number: int | None = None

    def store(self, classifier: Classifier) -> None:
        """Store the classifier; its report follows."""
        artifact = classifier.to_bytes()
        metadata = classifier.metadata()
        metadata["training"] = metadata["training"] | {
            "session_ids": list(self._training_set.session_ids),
            "calibration_session_id": self._training_set.calibration_id,
            "job_id": self._job.job_id,
            "simulated": self._training_set.simulated,
        }
        with self._pool.transaction() as tx:
            _, self.number = models.insert_model(
                tx,
                self._job.user_id,
                self._job.job_id,
                artifact,
                metadata,
                TrainingReport(pending=True, classifier=classifier.kind).as_json(),
                self._settings.max_model_bytes,
            )

    def complete(self, report: TrainingReport) -> Finished:
        """Store the report, activate the version if it is good enough, and end the job."""
        assert self.number is not None
        user_id = self._job.user_id
        with self._pool.transaction() as tx:
            active = models.find_active(tx, user_id)
            why = _why_not_activated(report, active)
            judged = replace(report, activation=Activation(activated=not why, why=why))
            models.update_report(tx, user_id, self.number, judged.as_json())
            if not why:
                models.activate_model(tx, user_id, self.number)
            jobs.complete_job(tx, self._job.job_id)
        log_fields = {"job_id": self._job.job_id, "model_version": self.number}
        logger.info("stored, not activated" if why else "activated", extra=log_fields)
        return Finished(user_id, self.number, not why)

    def leave(self, why: str) -> None:
        """Record in the report of a stored version why the training ended early."""
        if self.number is None:
            return
        try:
            with self._pool.transaction() as tx:
                report = TrainingReport(
                    incomplete=why, classifier=self._job.classifier, written=frozenset({"pending", "incomplete"})
                )
                models.update_report(tx, self._job.user_id, self.number, report.as_json())
        except SemgError as exc:
            logger.warning("the report's end is not written: %s", exc, extra={"job_id": self._job.job_id})


def _why_not_activated(report: TrainingReport, active: Model | None) -> str:
    """Return why a version is not activated automatically; empty when it may be."""
    if report.verdict is not None and report.verdict.level == "do not use":
        return report.verdict.sentence
    return compare_with_active(report, None if active is None else TrainingReport.from_json(active.report))


def run_job(settings: Settings, pool: Pool, job_id: int) -> Finished | None:
    """Run a job: load its sessions, train, store a new model version, assess it by its report and activate it.

    A job that is still scheduled (the script was started by hand) is claimed first. With the option ``calibrate`` the
    newest session is the calibration; it adapts the sessions before it, or when there are none those that the active
    model was trained on. Without the person's consent nothing is read.

    The model is stored in a transaction of its own, its report, its activation and the job's completion in another. A
    version that is not to be used, or that is worse than the active one on the same held-out windows, is not activated.
    A failure is written to the row as a sentence.

    Returns
    -------
    The new version, or None when the job failed, was canceled or is gone.
    """
    version: _Version | None = None
    try:
        with pool.transaction() as tx:
            jobs.claim_job(tx, job_id, "by hand")
        with pool.transaction() as tx:
            job = jobs.get_job(tx, job_id)
            if job.status != "in-progress":
                raise ConflictError(f"job {job_id} is {job.status}; start it again to train again")
            consents.require(tx, job.user_id, "recording")
            options = TrainingOptions.from_mapping(_with_bank(tx, job))
            training_set = _load(tx, job, options.calibrate)
            jobs.record_used(tx, job_id)
        version = _Version(settings, pool, job, training_set)
        reporter = _Reporter(pool, job_id)
        base = None
        if options.use_base and job.classifier == "cnn":
            base = _find_base(settings, pool, job, training_set, options)
        result = train(
            training_set.sessions,
            job.classifier,
            options=options,
            progress=reporter,
            should_stop=lambda: reporter.stop,
            calibration=training_set.calibration,
            base=base,
            previous=training_set.previous,
            ready=version.store,
        )
        return version.complete(result.report)
    except TrainingStopped:
        logger.info("canceled", extra={"job_id": job_id})
        _end(pool, job_id, None, version)
    except SemgError as exc:
        # The message may name sessions, which only people with access to the job may see.
        logger.warning("failed: %s", type(exc).__name__, extra={"job_id": job_id})
        _end(pool, job_id, str(exc), version)
    except Exception as exc:  # the process's edge: whatever happened must be seen in the row
        logger.exception("failed", extra={"job_id": job_id})
        _end(pool, job_id, _sentence(exc), version)
    return None


def _sentence(exc: Exception) -> str:
    if is_lack_of_memory(exc):
        return "a training may not take more memory than this (TRAINING_MEMORY_MB): choose fewer sessions"
    return f"an unexpected error, please report it: {type(exc).__name__}: {exc}"


def _load(tx: Transaction, job: Job, calibrate: bool) -> _TrainingSet:
    found = [sessions_store.get_session(tx, session_id) for session_id in job.session_ids]
    found.sort(key=lambda session: (session.started_at, session.session_id))
    active = models.find_active_artifact(tx, job.user_id)
    calibration = found.pop() if calibrate else None
    if calibration is not None and not found:
        found = _sessions_of_active(tx, active[0] if active else None, calibration.session_id)
    names: set[str] = set()
    for session in [*found, *([calibration] if calibration else [])]:
        if session.name in names:
            raise TrainingError(f"two of the sessions are called “{session.name}”: rename one")
        names.add(session.name)
    previous = None
    if active is not None:
        try:
            previous = Classifier.from_bytes(active[1])
        except ArtifactError as exc:  # train in spite of a damaged version
            logger.warning("the active version is not compared with: %s", exc, extra={"job_id": job.job_id})
    return _TrainingSet(
        tuple(session.session_id for session in found),
        [load_session(tx, session) for session in found],
        None if calibration is None else calibration.session_id,
        None if calibration is None else load_session(tx, calibration),
        previous,
        any(session.simulated for session in [*found, *([calibration] if calibration else [])]),
    )


def _sessions_of_active(tx: Transaction, active: Model | None, calibration_id: int) -> list[Session]:
    """Return the sessions that the active model was trained on, which a calibration alone adapts."""
    if active is None:
        raise TrainingError(
            "There is no active model that a calibration could adapt: train one on whole sessions first, or choose "
            "the sessions to adapt together with the calibration."
        )
    wanted = [i for i in active.metadata.get("training", {}).get("session_ids", []) if i != calibration_id]
    found = []
    for session_id in wanted:
        try:
            found.append(sessions_store.get_session(tx, session_id))
        except NotFoundError:
            logger.info("session %d is gone", session_id)
    if not found:
        raise TrainingError(
            f"The sessions that version {active.version} was trained on are gone: train a new version first."
        )
    return sorted(found, key=lambda session: (session.started_at, session.session_id))


def _find_base(
    settings: Settings, pool: Pool, job: Job, training_set: _TrainingSet, options: TrainingOptions
) -> PopulationPrior | None:
    """Return a population prior; a damaged one is ignored."""
    if not training_set.sessions:
        return None
    try:
        return find_base(settings, pool, job.user_id, training_set.sessions[0], options)
    except ArtifactError as exc:
        logger.warning("trained without a base: %s", exc, extra={"job_id": job.job_id})
        return None


def _with_bank(tx: Transaction, job: Job) -> dict[str, object]:
    """Return the job's options; channels that it does not name are those of the profile's gesture bank."""
    options = dict(job.options)
    if options.get("channels") is None:
        options["channels"] = profiles.get_profile(tx, job.user_id).channels_used
    return options


def _end(pool: Pool, job_id: int, error: str | None, version: _Version | None) -> None:
    """Record how a job ended; a row that is gone or has ended already is not changed."""
    if version is not None:
        version.leave("the job was cancelled before its report" if error is None else error)
    try:
        with pool.transaction() as tx:
            if error is None:
                jobs.cancel_job(tx, job_id)
            else:
                jobs.fail_job(tx, job_id, error)
    except SemgError as exc:
        logger.warning("the job's end is not written: %s", exc, extra={"job_id": job_id})
