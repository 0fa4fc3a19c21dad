"""Jobs: claimed once, reported on, canceled, failed when their process died."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.settings import Settings
from semg.store import accounts, jobs, profiles, sessions
from semg.store.pool import Pool, execute
from testing.kits.store_data import T0, Filled, fill


def test_job_comes_back_as_it_was_inserted(pool: Pool, filled: Filled) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    options = {"seed": 7, "epochs": None, "nested": {"a": [1, 2.5]}}
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, filled.user_id, [filled.imported_id], "td_lda", options, scheduled_at=at)
        job = jobs.get_job(tx, job_id)
        assert [other.job_id for other in jobs.list_jobs(tx, filled.user_id)] == [job_id, filled.job_id]
        assert jobs.list_jobs(tx, filled.user_id + 1) == []
        assert len(jobs.list_jobs(tx, limit=1)) == 1
    assert (job.session_ids, job.classifier, job.options) == ((filled.imported_id,), "td_lda", options)
    assert (job.status, job.scheduled_at, job.progress, job.model_version) == ("scheduled", at, 0, None)


def test_job_refuses_sessions_of_another_profile(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        other = fill(tx, "Bo")
    with pytest.raises(InvalidValueError, match=f"has no session {other.session_id}"), pool.transaction() as tx:
        jobs.insert_job(tx, filled.user_id, [filled.session_id, other.session_id], "cnn", {})
    with pytest.raises(InvalidValueError, match="at least one session"), pool.transaction() as tx:
        jobs.insert_job(tx, filled.user_id, [], "cnn", {})


def test_job_refuses_a_session_that_is_being_recorded(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, filled.user_id).device
        recording = sessions.insert_session(tx, filled.user_id, "now", "capture", T0, status="recording", device=device)
    with pytest.raises(InvalidValueError, match="still being recorded"), pool.transaction() as tx:
        jobs.insert_job(tx, filled.user_id, [recording], "cnn", {})


def test_every_job_is_claimed_by_exactly_one_runner(pool: Pool, settings: Settings, filled: Filled) -> None:
    n_runners = 8
    with pool.transaction() as tx:
        expected = {filled.job_id}
        for _ in range(n_runners * 3 - 1):
            expected.add(jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {}))
    wide = Pool(settings, size=n_runners)
    together = threading.Barrier(n_runners)
    claimed: list[tuple[str, int]] = []
    errors: list[Exception] = []

    def run(runner: str) -> None:
        try:
            together.wait(10)
            while True:
                with wide.transaction() as tx:
                    job = jobs.claim_due_job(tx, runner)
                if job is None:
                    return
                assert job.runner == runner
                claimed.append((runner, job.job_id))
        except Exception as exc:  # noqa: BLE001
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(f"runner-{i}",)) for i in range(n_runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    wide.close()
    assert not errors
    assert sorted(job_id for _, job_id in claimed) == sorted(expected)
    with pool.transaction() as tx:
        running = [job for job in jobs.list_jobs(tx) if job.status == "in-progress"]
    assert {(job.runner, job.job_id) for job in running} == set(claimed)


def test_claim_passes_over_a_job_that_another_transaction_is_claiming(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        second = jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {})
    with pool.transaction() as first_tx:
        assert jobs.claim_due_job(first_tx, "a").job_id == filled.job_id
        with pool.transaction() as second_tx:
            assert jobs.claim_due_job(second_tx, "b").job_id == second
            assert jobs.claim_due_job(second_tx, "b") is None


def test_job_is_not_claimed_before_its_time(pool: Pool, filled: Filled) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    with pool.transaction() as tx:
        jobs.request_cancel(tx, filled.job_id)
        job_id = jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {}, scheduled_at=at)
        assert jobs.claim_due_job(tx, "r") is None
        claimed = jobs.claim_due_job(tx, "r", now=at + timedelta(seconds=1))
    assert claimed is not None
    assert (claimed.job_id, claimed.status, claimed.started_at) == (job_id, "in-progress", at + timedelta(seconds=1))


def test_accounts_take_turns_whatever_time_they_enter(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.request_cancel(tx, filled.job_id)
        many, few, gone = (accounts.insert_account(tx, login, "hash") for login in ("many", "few", "gone"))
        long_ago = datetime(2018, 1, 1, tzinfo=UTC)

        def queue(account_id: int, at: datetime | None = None) -> int:
            number = jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {}, at, account_id=account_id)
            assert jobs.get_job(tx, number).scheduled_at >= jobs.get_job(tx, number).created_at
            return number

        theirs = [queue(many, long_ago) for _ in range(4)]
        mine = [queue(few) for _ in range(2)]
        left = queue(gone, long_ago)
        accounts.update_account(tx, gone, role="researcher", disabled=True)
    order = []
    for _ in range(7):
        with pool.transaction() as tx:
            job = jobs.claim_due_job(tx, "r")
            if job is not None:
                order.append(job.job_id)
                jobs.complete_job(tx, job.job_id)
    assert order == [theirs[0], mine[0], theirs[1], mine[1], theirs[2], theirs[3]]
    with pool.transaction() as tx:
        accounts.update_account(tx, gone, role="researcher", disabled=False)
        assert jobs.claim_due_job(tx, "r").job_id == left


def test_second_runner_takes_the_account_of_which_none_runs(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        first, second = (accounts.insert_account(tx, login, "hash") for login in ("a", "b"))
        wanted = (tx, filled.user_id, [filled.session_id], "cnn", {})
        jobs.request_cancel(tx, filled.job_id)
        theirs = [jobs.insert_job(*wanted, account_id=first) for _ in range(3)]
        mine = jobs.insert_job(*wanted, account_id=second)
    for expected in (theirs[0], mine, theirs[1]):
        with pool.transaction() as tx:
            assert jobs.claim_due_job(tx, "r").job_id == expected


def test_account_has_a_few_jobs_that_wait(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        first, second = (accounts.insert_account(tx, login, "hash") for login in ("a", "b"))
        wanted = (tx, filled.user_id, [filled.session_id], "cnn", {})
        numbers = [jobs.insert_job(*wanted, account_id=first) for _ in range(jobs.MAX_WAITING)]
        with pytest.raises(ConflictError, match="wait until one of your trainings has begun, or cancel one"):
            jobs.retry_job(tx, numbers[0], account_id=first)
        jobs.insert_job(*wanted, account_id=second)
        jobs.request_cancel(tx, numbers[0])
        jobs.insert_job(*wanted, account_id=first)


def test_progress_and_log_are_seen_while_the_job_runs(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "r")
        assert jobs.update_progress(tx, filled.job_id, 12.5, 3, 24, "epoch 3:\nloss 0.5") is False
        assert jobs.update_progress(tx, filled.job_id, 120, 4, 24) is False
        job = jobs.get_job(tx, filled.job_id)
    assert (job.progress, job.epoch, job.epochs) == (100, 4, 24)
    assert job.log.endswith("Z epoch 3: loss 0.5\n")
    assert job.log.count("\n") == 1


def test_epochs_of_a_running_job_are_bounded_and_the_newest_stay(pool: Pool, filled: Filled) -> None:
    points = [{"what": "final", "epoch": n, "epochs": 700, "loss": 0.5, "held_out_error": None} for n in range(700)]
    with pool.transaction() as tx:
        jobs.update_epochs(tx, filled.job_id, points)
        assert jobs.list_epochs(tx, filled.job_id) == [], "the job is not in progress"
        jobs.claim_due_job(tx, "r")
        jobs.update_epochs(tx, filled.job_id, points[:2])
        assert jobs.list_epochs(tx, filled.job_id) == points[:2]
        jobs.update_epochs(tx, filled.job_id, points)
        assert jobs.list_epochs(tx, filled.job_id) == points[-jobs.MAX_EPOCH_POINTS :]
        with pytest.raises(NotFoundError):
            jobs.list_epochs(tx, 999)


def test_log_is_bounded_and_keeps_whole_newest_lines(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "r")
        for i in range(100):
            jobs.update_progress(tx, filled.job_id, i, line=f"{i:03d} " + "ä" * 996)
        log = jobs.get_job(tx, filled.job_id).log
        assert jobs.list_jobs(tx)[0].log == ""
    assert jobs.MAX_LOG_CHARACTERS - 1100 < len(log) <= jobs.MAX_LOG_CHARACTERS
    lines = log.splitlines()
    assert lines[-1].split()[1] == "099"
    assert all(len(line) == len(lines[-1]) for line in lines)


def test_scheduled_job_is_canceled_at_once(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        job = jobs.request_cancel(tx, filled.job_id)
        assert job.status == "canceled"
        assert job.ended_at is not None
        assert jobs.claim_due_job(tx, "r") is None


def test_running_job_is_asked_to_stop_and_canceled_by_its_runner(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "r")
        assert jobs.request_cancel(tx, filled.job_id).status == "in-progress"
        assert jobs.update_progress(tx, filled.job_id, 1) is True
        jobs.cancel_job(tx, filled.job_id)
        assert jobs.get_job(tx, filled.job_id).status == "canceled"


def test_job_that_has_ended_stays_as_it_is(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "r")
        jobs.complete_job(tx, filled.job_id)
        done = jobs.request_cancel(tx, filled.job_id)
        assert (done.status, done.progress, done.cancel_requested) == ("completed", 100, False)
        assert done.model_version == filled.version
    for end in (jobs.complete_job, jobs.cancel_job, lambda tx, job_id: jobs.fail_job(tx, job_id, "x")):
        with pytest.raises(ConflictError, match="is completed"), pool.transaction() as tx:
            end(tx, filled.job_id)


def test_failed_job_tells_why_and_can_be_tried_again(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "r")
        jobs.fail_job(tx, filled.job_id, "only one class\x00 in session 3")
        failed = jobs.get_job(tx, filled.job_id)
        again = jobs.get_job(tx, jobs.retry_job(tx, filled.job_id))
    assert (failed.status, failed.error) == ("failed", "only one class in session 3")
    assert (again.status, again.session_ids, again.classifier, again.options) == (
        "scheduled", failed.session_ids, failed.classifier, failed.options,
    )  # fmt: skip


def test_job_without_a_sign_of_life_fails(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        alive = jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {})
        waiting = jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {})
        for job_id in (filled.job_id, alive):
            assert jobs.claim_due_job(tx, "r").job_id == job_id
        execute(tx, "UPDATE jobs SET heartbeat_at = now() - interval '31 s' WHERE job_id = %s", (filled.job_id,))
    with pool.transaction() as tx:
        assert jobs.fail_stale_jobs(tx, 30, "its process died") == [filled.job_id]
        assert jobs.fail_stale_jobs(tx, 30, "its process died") == []
        stale = jobs.get_job(tx, filled.job_id)
        assert (stale.status, stale.error) == ("failed", "its process died")
        assert [jobs.get_job(tx, job_id).status for job_id in (alive, waiting)] == ["in-progress", "scheduled"]
        assert jobs.update_progress(tx, filled.job_id, 50) is True, "a process that was given up must stop"


def test_unknown_job_is_not_found(pool: Pool) -> None:
    for call in (jobs.get_job, jobs.request_cancel, jobs.retry_job, jobs.complete_job):
        with pytest.raises(NotFoundError, match="no job 999"), pool.transaction() as tx:
            call(tx, 999)
