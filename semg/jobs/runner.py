"""Start, monitor and end the processes that run training jobs. Several runners may share a database."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from semg.domain import Job
from semg.environment import child_environment
from semg.errors import ConflictError, NotFoundError, StoreError
from semg.process.attempts import LOCK_S, Attempts, Failures
from semg.process.threads import thread_limits
from semg.settings import PROJECT_DIR, Settings
from semg.store import jobs
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

TRAINER = PROJECT_DIR / "ml_model" / "TrainMLJob.py"
CANCEL_GRACE_S = 10.0
STALE_CHECK_EVERY_S = 5.0
TOUCH_EVERY_S = 5.0
"""How often the sign of life in a job's row is renewed: on a busy machine the process itself may be late to do so."""


@dataclass(slots=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    deadline: float
    cancel_seen_at: float | None = None
    touched_at: float = 0.0


class JobRunner:
    """Claims due jobs one at a time and runs each in a separate process.

    Parameters
    ----------
    name
        Unique among runners; written to the rows of the jobs it claims.
    trainer
        The script that runs one job; called with ``--job_id N``.
    failures
        What failed in the service's loops, this one among them; shown with its figures.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        *,
        name: str | None = None,
        trainer: Path = TRAINER,
        max_running: int = 1,
        failures: Failures | None = None,
    ) -> None:
        self._settings = settings
        self._pool = pool.waiting_at_most(LOCK_S)
        self._failures = Failures() if failures is None else failures
        self._attempts = Attempts(logger, "jobs", self._failures)
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._trainer = trainer
        self._max_running = max_running
        self._running: list[_Running] = []
        self._stale_checked_at = 0.0
        self.finished = 0

    def metrics(self) -> dict[str, object]:
        """Return the runner's current state."""
        running = [r.job.job_id for r in self._running]
        return {"running": running, "finished": self.finished, "failures": self._failures.metrics()}

    def run(self, stop: threading.Event) -> None:
        """Work until stopped; then running jobs are ended and not rescheduled: they fail with the reason."""
        try:
            while not stop.is_set():
                try:
                    self.step()
                    self._attempts.works("round")
                except Exception as exc:  # edge of a round: running jobs go on
                    self._attempts.note("round", exc)
                stop.wait(self._settings.job_poll_s)
        finally:
            self._end_all()

    def step(self) -> None:
        """Check the running processes, then claim due jobs."""
        for running in list(self._running):
            job_id = running.job.job_id
            self._attempts.attempt(job_id, partial(self._look_after, running), job_id=job_id)
        if time.monotonic() - self._stale_checked_at > STALE_CHECK_EVERY_S:
            self._stale_checked_at = time.monotonic()
            self._fail_stale()
        while len(self._running) < self._max_running:
            with self._pool.transaction() as tx:
                job = jobs.claim_due_job(tx, self.name)
            if job is None:
                return
            self._start(job)

    def _start(self, job: Job) -> None:
        logger.info("starting", extra={"job_id": job.job_id, "user_id": job.user_id})
        process = subprocess.Popen(
            [sys.executable, str(self._trainer), "--job_id", str(job.job_id)],
            stdin=subprocess.DEVNULL,
            cwd=self._trainer.parent,
            env=child_environment(**thread_limits(self._settings.training_threads)),
            start_new_session=True,
        )
        self._running.append(_Running(job, process, time.monotonic() + self._settings.job_max_s))

    def _look_after(self, running: _Running) -> None:
        code = running.process.poll()
        if code is not None:
            self._running.remove(running)
            self.finished += 1
            self._fail(running.job, _died(code))
            return
        if time.monotonic() > running.deadline:
            self._kill(running)
            self._fail(running.job, f"stopped after {self._settings.job_max_s:.0f} s (JOB_MAX_S)")
            return
        if time.monotonic() - running.touched_at > TOUCH_EVERY_S:
            running.touched_at = time.monotonic()
            with self._pool.transaction() as tx:
                jobs.touch_job(tx, running.job.job_id)
        if running.cancel_seen_at is None:
            try:
                with self._pool.transaction() as tx:
                    is_canceled = jobs.get_job(tx, running.job.job_id).cancel_requested
            except NotFoundError:
                is_canceled = True
            running.cancel_seen_at = time.monotonic() if is_canceled else None
        elif time.monotonic() - running.cancel_seen_at > CANCEL_GRACE_S:
            self._kill(running)
            self._cancel(running.job)

    def _fail(self, job: Job, reason: str) -> None:
        """Record that a job failed, unless its process has recorded its end."""
        try:
            with self._pool.transaction() as tx:
                jobs.fail_job(tx, job.job_id, reason)
            logger.warning("failed: %s", reason, extra={"job_id": job.job_id})
        except (ConflictError, NotFoundError):
            logger.info("ended", extra={"job_id": job.job_id})

    def _cancel(self, job: Job) -> None:
        try:
            with self._pool.transaction() as tx:
                jobs.cancel_job(tx, job.job_id)
        except (ConflictError, NotFoundError):
            logger.info("ended", extra={"job_id": job.job_id})

    def _fail_stale(self) -> None:
        with self._pool.transaction() as tx:
            failed = jobs.fail_stale_jobs(
                tx,
                self._settings.job_stale_s,
                f"start the job again: its process died (no heartbeat for {self._settings.job_stale_s:.0f} s)",
            )
        for job_id in failed:
            logger.warning("no sign of life, marked as failed", extra={"job_id": job_id})

    def _kill(self, running: _Running) -> None:
        """End a job's process and its children."""
        os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        self._running.remove(running)
        self.finished += 1

    def _end_all(self) -> None:
        for running in list(self._running):
            self._kill(running)
            try:
                self._fail(running.job, "the job runner was stopped while the job ran: start it again")
            except StoreError as exc:
                logger.warning("the job's end is not written: %s", exc, extra={"job_id": running.job.job_id})


def _died(code: int) -> str:
    """Describe how a process ended that did not record its job's end."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", probably for lack of memory" if -code == signal.SIGKILL else ""
        return f"the training process was killed ({name}{hint}): start the job again"
    return f"the training process ended with exit code {code} before the job was done; logs/job_runner.log has more"
