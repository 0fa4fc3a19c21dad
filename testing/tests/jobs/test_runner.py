"""The runner: each job once, in a process of its own, and every end is written."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from semg.jobs.runner import JobRunner
from semg.store import jobs
from semg.store.pool import Pool, execute
from testing.kits.live_helpers import wait_for

pytestmark = pytest.mark.servers


@pytest.fixture
def trainer_env(settings, monkeypatch) -> None:
    """Let the runner's child processes use the test's own database."""
    for name in ("postgres_host", "postgres_port", "postgres_db", "postgres_user", "data_dir", "log_dir"):
        monkeypatch.setenv(name.upper(), str(getattr(settings, name)))
    monkeypatch.setenv("POSTGRES_PASSWORD", settings.postgres_password.get_secret_value())
    monkeypatch.setenv("NATS_SERVER", "nats://127.0.0.1:1")
    monkeypatch.setenv("SEMG_ENV_FILE", os.devnull)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))


@pytest.fixture
def script(tmp_path: Path):
    """Writes a trainer of the given body and gives its path."""

    def write(body: str) -> Path:
        path = tmp_path / "trainer.py"
        path.write_text(body)
        return path

    return write


@pytest.fixture
def schedule(pool: Pool, user_id, recordings, add_session):
    session_id = add_session(user_id, recordings[0])

    def add(at: datetime | None = None) -> int:
        with pool.transaction() as tx:
            return jobs.insert_job(tx, user_id, [session_id], "logcov_lda", {}, at)

    return add


def status(pool: Pool, job_id: int) -> str:
    return job_of(pool, job_id).status


def job_of(pool: Pool, job_id: int):
    with pool.transaction() as tx:
        return jobs.get_job(tx, job_id)


def step_until(runner: JobRunner, pool: Pool, job_id: int, wanted: str) -> None:
    def reached() -> bool:
        runner.step()
        return status(pool, job_id) == wanted

    wait_for(reached, 60)


@pytest.mark.usefixtures("trainer_env")
def test_scheduled_job_is_trained_by_the_real_script(settings, pool, schedule) -> None:
    runner = JobRunner(settings, pool)
    job_id = schedule()
    step_until(runner, pool, job_id, "completed")
    assert job_of(pool, job_id).model_version == 1

    def ended() -> bool:
        runner.step()
        return not runner._running

    wait_for(ended, 60)


def test_job_starts_at_its_time_not_before(settings, pool, schedule, script) -> None:
    runner = JobRunner(settings, pool, trainer=script("import time; time.sleep(60)"))
    job_id = schedule(datetime.now(UTC) + timedelta(hours=1))
    runner.step()
    assert status(pool, job_id) == "scheduled"
    with pool.transaction() as tx:
        execute(tx, "UPDATE jobs SET scheduled_at = now() - interval '1 second' WHERE job_id = %s", (job_id,))
    runner.step()
    assert status(pool, job_id) == "in-progress"
    runner._end_all()


def test_job_whose_process_dies_is_failed_with_the_reason(settings, pool, schedule, script) -> None:
    runner = JobRunner(settings, pool, trainer=script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    job_id = schedule()
    step_until(runner, pool, job_id, "failed")
    assert "SIGKILL" in job_of(pool, job_id).error


def test_canceled_job_is_ended_even_when_it_does_not_listen(settings, pool, schedule, script, monkeypatch) -> None:
    monkeypatch.setattr("semg.jobs.runner.CANCEL_GRACE_S", 0.1)
    runner = JobRunner(settings, pool, trainer=script("import time; time.sleep(60)"))
    job_id = schedule()
    runner.step()
    pid = runner._running[0].process.pid
    with pool.transaction() as tx:
        jobs.request_cancel(tx, job_id)
    step_until(runner, pool, job_id, "canceled")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_too_long_job_is_ended(settings, pool, schedule, script) -> None:
    short = settings.model_copy(update={"job_max_s": 0.05})
    runner = JobRunner(short, pool, trainer=script("import time; time.sleep(60)"))
    job_id = schedule()
    step_until(runner, pool, job_id, "failed")
    assert "JOB_MAX_S" in job_of(pool, job_id).error


def test_stopped_runner_leaves_no_process_and_no_open_job(settings, pool, schedule, script) -> None:
    runner = JobRunner(settings, pool, trainer=script("import time; time.sleep(60)"))
    job_id, stop = schedule(), threading.Event()
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    wait_for(lambda: status(pool, job_id) == "in-progress" and runner._running)
    pid = runner._running[0].process.pid
    stop.set()
    thread.join(20)
    assert status(pool, job_id) == "failed"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_job_of_a_dead_runner_is_failed_by_another(settings, pool, schedule) -> None:
    job_id = schedule()
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "a runner that was killed")
        execute(tx, "UPDATE jobs SET heartbeat_at = now() - interval '1 hour' WHERE job_id = %s", (job_id,))
    JobRunner(settings, pool).step()
    assert status(pool, job_id) == "failed"
    assert "died" in job_of(pool, job_id).error


def test_two_runners_do_each_job_once(settings, pool, schedule, script, tmp_path) -> None:
    body = f"import sys, os; open(os.path.join({str(tmp_path)!r}, sys.argv[2] + '-' + str(os.getpid())), 'w').close()"
    trainer = script(body)
    wanted = [schedule() for _ in range(6)]
    runners = [JobRunner(settings, pool, name=name, trainer=trainer, max_running=2) for name in ("one", "two")]

    def all_done() -> bool:
        for runner in runners:
            runner.step()
        return all(status(pool, job_id) == "failed" for job_id in wanted)

    wait_for(all_done, 60)
    done = sorted(int(path.name.split("-")[0]) for path in tmp_path.glob("*-*") if path.name[0].isdigit())
    assert done == sorted(wanted)


def test_job_whose_process_is_too_busy_to_say_so_is_not_taken_for_dead(settings, pool, schedule, script) -> None:
    runner = JobRunner(settings, pool, trainer=script("import time; time.sleep(600)"))
    job_id = schedule()
    runner.step()
    with pool.transaction() as tx:
        execute(tx, "UPDATE jobs SET heartbeat_at = now() - interval '1 hour' WHERE job_id = %s", (job_id,))
    runner.step()
    with pool.transaction() as tx:
        assert jobs.fail_stale_jobs(tx, 30, "dead") == []
        jobs.request_cancel(tx, job_id)
    runner._end_all()
