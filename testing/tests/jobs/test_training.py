"""One job, from its row to an activated version, or to a sentence that a researcher understands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from semg.errors import TrainingError
from semg.jobs import training
from semg.jobs.training import Finished, run_job
from semg.priors.building import statistics_of
from semg.priors.profiles import find_base, make_bases
from semg.privacy.consent import TEST_PERSON
from semg.recordings.csv_format import Recording
from semg.recordings.session_data import load_session
from semg.signals.model.classifier import Classifier
from semg.signals.training.options import TrainingOptions
from semg.signals.training.progress import EpochPoint
from semg.store import access, accounts, consents, gestures, jobs, models, profiles, repetitions, sessions
from semg.store.pool import Pool
from testing.kits.short_gestures import short_recording

pytestmark = pytest.mark.servers


def run(settings, pool: Pool, user_id: int, session_ids: list[int], kind: str = "logcov_lda", **options) -> tuple:
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, user_id, session_ids, kind, options)
        assert jobs.claim_due_job(tx, "test").job_id == job_id
    finished = run_job(settings, pool, job_id)
    with pool.transaction() as tx:
        return finished, jobs.get_job(tx, job_id)


def only(recording: Recording, keep: Callable[[str, int], bool]) -> Recording:
    """Return the recording with the labels of other stretches removed."""
    labelled = recording.labelled
    wanted = [i for i, s in enumerate(labelled.stretches) if keep(s.label, s.repetition)]
    place = np.full(len(labelled.stretches) + 1, -1, np.int32)
    place[wanted] = np.arange(len(wanted))
    stretches = tuple(labelled.stretches[i] for i in wanted)
    return replace(recording, labelled=replace(labelled, stretch=place[labelled.stretch], stretches=stretches))


def test_stored_session_gives_back_samples_and_labels(pool, user_id, recordings, add_session) -> None:
    session_id = add_session(user_id, recordings[0])
    with pool.transaction() as tx:
        loaded = load_session(tx, sessions.get_session(tx, session_id))
    original = recordings[0].labelled
    np.testing.assert_array_equal(loaded.samples, original.samples)
    np.testing.assert_array_equal(loaded.stretch, original.stretch)
    np.testing.assert_array_equal(loaded.starts_run, original.starts_run)
    assert [(s.label, s.repetition) for s in loaded.stretches] == [(s.label, s.repetition) for s in original.stretches]


def test_excluded_repetition_is_not_trained_on(pool, user_id, recordings, add_session) -> None:
    session_id = add_session(user_id, recordings[0])
    with pool.transaction() as tx:
        first = repetitions.list_repetitions(tx, session_id)[0]
        repetitions.update_repetition(tx, first.repetition_id, excluded=True, reason="coughed")
        loaded = load_session(tx, sessions.get_session(tx, session_id))
    assert len(loaded.stretches) == len(recordings[0].labelled.stretches) - 1
    assert (loaded.stretch == -1).sum() > (recordings[0].labelled.stretch == -1).sum()


def test_job_stores_and_activates_a_version_with_its_report(settings, pool, user_id, recordings, add_session) -> None:
    session_ids = [add_session(user_id, r, f"s{i}", 9 - i) for i, r in enumerate(recordings)]
    finished, job = run(settings, pool, user_id, session_ids, "cnn", epochs=2)
    assert finished == Finished(user_id, 1, activated=True)
    assert (job.status, job.progress, job.error, job.model_version) == ("completed", 100, "", 1)
    assert job.epochs > 0
    assert "held out" in job.log
    with pool.transaction() as tx:
        model, artifact = models.find_active_artifact(tx, user_id)
        points = [EpochPoint.from_json(one) for one in jobs.list_epochs(tx, job.job_id)]
    assert points
    assert [(point.epoch, point.epochs) for point in points if point.what == "final fit"][:2] == [(1, 2), (2, 2)]
    assert model.model_bytes == len(artifact) <= settings.max_model_bytes
    assert model.metadata["training"]["session_ids"] == session_ids
    assert model.metadata["training"]["job_id"] == job.job_id
    assert model.report["split"]["by"] == "session"
    assert 0 <= model.report["balanced_accuracy"] <= 1
    assert Classifier.from_bytes(artifact).classes == ("fist", "flexion", "rest")
    second, _ = run(settings, pool, user_id, session_ids)
    assert second.version == 2
    with pool.transaction() as tx:
        assert [(m.version, m.active) for m in models.list_models(tx, user_id)] == [(2, True), (1, False)]


@pytest.mark.parametrize("exc", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_lack_of_memory_fails_with_a_sentence(
    settings, pool, user_id, recordings, add_session, monkeypatch, exc
) -> None:
    def fail(*args: object) -> None:
        raise exc

    monkeypatch.setattr(training, "load_session", fail)
    assert run(settings, pool, user_id, [add_session(user_id, recordings[0])])[1].error.startswith(
        "a training may not take more memory"
    )


@pytest.mark.parametrize("claimed", [True, False], ids=["by a runner", "by hand"])
def test_job_is_refused_when_the_consent_is_gone(settings, pool, user_id, recordings, add_session, claimed) -> None:
    session_id = add_session(user_id, recordings[0])
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, user_id, [session_id], "logcov_lda", {})
        consents.insert_consent(tx, user_id, replace(TEST_PERSON, scopes=()))  # and the job was not canceled
        if claimed:
            assert jobs.claim_due_job(tx, "test").job_id == job_id
    assert run_job(settings, pool, job_id) is None
    with pool.transaction() as tx:
        job = jobs.get_job(tx, job_id)
        assert models.list_models(tx, user_id) == []
    assert job.status == "failed"
    assert "no longer agrees to being recorded" in job.error


def test_channels_of_the_gesture_bank_are_used(settings, pool, user_id, recordings, add_session) -> None:
    session_id = add_session(user_id, recordings[0])
    with pool.transaction() as tx:
        profiles.update_profile(tx, user_id, channels_used=("a3", "a0"))
    run(settings, pool, user_id, [session_id])
    with pool.transaction() as tx:
        _, artifact = models.find_active_artifact(tx, user_id)
    assert set(Classifier.from_bytes(artifact).channels) == {"a0", "a3"}


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        (lambda label, number: False, "no "),
        (lambda label, number: label == "fist", "one gesture|at least two|only"),
        (lambda label, number: number == 1, "repetition|twice"),
    ],
)
def test_unfit_data_fail_with_a_sentence(settings, pool, user_id, recordings, add_session, keep, sentence) -> None:
    session_id = add_session(user_id, only(recordings[0], keep))
    finished, job = run(settings, pool, user_id, [session_id])
    assert finished is None
    assert job.status == "failed"
    assert re.search(sentence, job.error, re.IGNORECASE), job.error
    assert "Traceback" not in job.error
    with pool.transaction() as tx:
        assert models.list_models(tx, user_id) == []


def test_sessions_of_other_channels_fail_with_a_sentence(settings, pool, user_id, recordings, add_session) -> None:
    first = add_session(user_id, recordings[0], "s1", 2)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        profiles.update_device(tx, replace(device, channels=("b0", "b1", "b2", "b3")))
    renamed = replace(recordings[1], labelled=replace(recordings[1].labelled, channels=("b0", "b1", "b2", "b3")))
    second = add_session(user_id, renamed, "s2", 1)
    _, job = run(settings, pool, user_id, [first, second])
    assert job.status == "failed"
    assert "channel" in job.error


def test_unknown_option_fails_with_its_name(settings, pool, user_id, recordings, add_session) -> None:
    _, job = run(settings, pool, user_id, [add_session(user_id, recordings[0])], wibble=3)
    assert job.status == "failed"
    assert "wibble" in job.error


def test_job_of_a_deleted_profile_ends_quietly(settings, pool, user_id, recordings, add_session) -> None:
    session_id = add_session(user_id, recordings[0])
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, user_id, [session_id], "logcov_lda", {})
        jobs.claim_due_job(tx, "test")
        profiles.delete_profile(tx, user_id)
    assert run_job(settings, pool, job_id) is None


def test_scheduled_job_can_be_done_by_hand_but_only_once(settings, pool, user_id, recordings, add_session) -> None:
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, user_id, [add_session(user_id, recordings[0])], "logcov_lda", {})
    assert run_job(settings, pool, job_id) == Finished(user_id, 1, activated=True)
    assert run_job(settings, pool, job_id) is None
    with pool.transaction() as tx:
        assert jobs.get_job(tx, job_id).status == "completed"
        assert len(models.list_models(tx, user_id)) == 1


def test_version_does_not_decide_before_it_is_judged(
    settings, pool, user_id, recordings, add_session, monkeypatch
) -> None:
    seen: list[tuple[bool, str, bool]] = []
    session_ids = [add_session(user_id, r, f"s{i}", 9 - i) for i, r in enumerate(recordings)]
    store = training._Version.store

    def watch(self, classifier) -> None:
        store(self, classifier)
        with pool.transaction() as tx:
            (model,) = models.list_models(tx, user_id)
            job = jobs.list_jobs(tx, user_id)[0]
        seen.append((model.report["pending"] and not model.active, job.status, job.model_version == 1))

    monkeypatch.setattr(training._Version, "store", watch)
    finished, _ = run(settings, pool, user_id, session_ids)
    assert seen == [(True, "in-progress", True)]
    with pool.transaction() as tx:
        model = models.get_model(tx, user_id, finished.version)
    report = model.report
    assert model.active
    assert "pending" not in report
    assert report["activation"] == {"activated": True, "why": ""}
    assert report["verdict"]["level"] in ("good", "usable")
    assert report["reliability"]["bins"]


def test_calibration_adapts_the_active_version_and_can_be_rolled_back(
    settings, pool, user_id, recordings, add_session
) -> None:
    first = add_session(user_id, recordings[0], "s1", 9)
    run(settings, pool, user_id, [first])
    calibration = add_session(user_id, only(recordings[1], lambda label, number: number == 1), "again", 1)
    finished, job = run(settings, pool, user_id, [calibration], calibrate=True)
    assert job.status == "completed", job.error
    assert finished == Finished(user_id, 2, activated=True)
    with pool.transaction() as tx:
        model = models.find_active(tx, user_id)
        used = jobs.list_used(tx, job.job_id)
    assert model.version == 2
    assert model.metadata["training"]["session_ids"] == [first]
    assert model.metadata["training"]["calibration_session_id"] == calibration
    assert set(model.report["calibration"]) >= {"before", "after", "windows"}
    assert {each["session_id"] for each in used} == {calibration}
    with pool.transaction() as tx:
        models.activate_model(tx, user_id, 1)
        assert models.find_active(tx, user_id).version == 1


def relabelled(recording: Recording, seed: int) -> Recording:
    """The recording with the labels of its stretches mixed up."""
    stretches = recording.labelled.stretches
    names = np.random.default_rng(seed).permutation([one.label for one in stretches]).tolist()
    named = enumerate(zip(stretches, names, strict=True))
    mixed = tuple(replace(one, label=name, repetition=number) for number, (one, name) in named)
    return replace(recording, labelled=replace(recording.labelled, stretches=mixed))


@pytest.mark.parametrize("has_active", [False, True])
def test_version_that_is_not_to_be_used_is_stored_and_decides_nothing(
    settings, pool, user_id, recordings, add_session, has_active: bool
) -> None:
    if has_active:
        run(settings, pool, user_id, [add_session(user_id, recordings[0], "good", 20)])
    session_ids = [add_session(user_id, relabelled(r, i), f"s{i}", 9 - i) for i, r in enumerate(recordings)]
    finished, job = run(settings, pool, user_id, session_ids)
    assert job.status == "completed"
    assert finished == Finished(user_id, 1 + has_active, activated=False)
    with pool.transaction() as tx:
        active, made = models.find_active(tx, user_id), models.get_model(tx, user_id, finished.version)
    assert (None if active is None else active.version) == (1 if has_active else None)
    assert made.report["verdict"]["level"] == "do not use"
    assert made.report["activation"] == {"activated": False, "why": made.report["verdict"]["sentence"]}


def test_version_that_is_worse_on_the_same_windows_does_not_take_the_place(
    settings, pool, user_id, recordings, add_session, monkeypatch
) -> None:
    session_ids = [add_session(user_id, r, f"s{i}", 9 - i) for i, r in enumerate(recordings)]
    run(settings, pool, user_id, session_ids)
    with pool.transaction() as tx:
        report = models.get_model(tx, user_id, 1).report
        better = report | {"balanced_accuracy": min(1.0, report["balanced_accuracy"] + 0.1)}
        models.update_report(tx, user_id, 1, better)
    finished, _ = run(settings, pool, user_id, session_ids)
    assert finished == Finished(user_id, 2, activated=False)
    with pool.transaction() as tx:
        assert models.find_active(tx, user_id).version == 1
        why = models.get_model(tx, user_id, 2).report["activation"]["why"]
    assert "worse than the active version" in why


def test_calibration_without_a_model_fails_with_a_sentence(settings, pool, user_id, recordings, add_session) -> None:
    _, job = run(settings, pool, user_id, [add_session(user_id, recordings[0])], calibrate=True)
    assert job.status == "failed"
    assert "no active model" in job.error


def test_canceled_before_it_is_judged_decides_nothing_and_leaves_why_in_the_report(
    settings, pool, user_id, recordings, add_session, monkeypatch
) -> None:
    session_ids = [add_session(user_id, r, f"s{i}", 9 - i) for i, r in enumerate(recordings)]
    monkeypatch.setattr(training, "REPORT_EVERY_S", 0.0)
    store = training._Version.store

    def cancel(self, classifier) -> None:
        store(self, classifier)
        with pool.transaction() as tx:
            jobs.request_cancel(tx, self._job.job_id)

    monkeypatch.setattr(training._Version, "store", cancel)
    finished, job = run(settings, pool, user_id, session_ids, "cnn", epochs=1)
    assert finished is None
    assert job.status == "canceled"
    with pool.transaction() as tx:
        assert models.find_active(tx, user_id) is None
        (model,) = models.list_models(tx, user_id)
    assert "cancelled" in model.report["incomplete"]


def test_base_is_made_of_who_consents_and_never_of_the_person(settings, pool, recordings, add_session) -> None:
    people = []
    for name, shares in (("Ada", True), ("Ben", True), ("Cleo", True), ("Dan", False)):
        with pool.transaction() as tx:
            scopes = TEST_PERSON.scopes if shares else ("recording", "video")
            consent, learned = replace(TEST_PERSON, scopes=scopes), recordings[0].labelled
            user = profiles.insert_profile(tx, name, channels=learned.channels, rate_hz=200.0, consent=consent)
        people.append(user)
        for index, recording in enumerate(recordings):
            add_session(user, recording, f"s{index}", 9 - index)
    lines = list(make_bases(settings, pool))
    assert "3 people" in lines[-1]
    first, options = recordings[0].labelled, TrainingOptions()
    assert {p.name for p in find_base(settings, pool, people[3], first, options).people} == set(map(str, people[:3]))
    assert {p.name for p in find_base(settings, pool, people[0], first, options).people} == set(map(str, people[1:3]))
    with pool.transaction() as tx:
        consents.insert_consent(tx, people[1], replace(TEST_PERSON, scopes=("recording",)))
    assert find_base(settings, pool, people[0], first, options) is None
    assert {p.name for p in find_base(settings, pool, people[3], first, options).people} == {
        str(people[0]), str(people[2])
    }  # fmt: skip
    with pool.transaction() as tx:
        session_ids = [session.session_id for session in sessions.list_sessions(tx, people[3])]
    finished, _ = run(settings, pool, people[3], session_ids, "cnn", epochs=1)
    with pool.transaction() as tx:
        assert models.get_model(tx, people[3], finished.version).report["base"] == "3 people"


def test_base_takes_one_profile_of_each_owner_first_and_leaves_out_who_cannot_be_learned_from(
    settings, pool, recordings, add_session, monkeypatch
) -> None:
    people = {}
    for name in ("Ada", "Ben", "Cleo", "Dan"):
        with pool.transaction() as tx:
            device = recordings[0].labelled
            people[name] = profiles.insert_profile(
                tx, name, channels=device.channels, rate_hz=200.0, consent=TEST_PERSON
            )
        add_session(people[name], recordings[0], "s", 9)
    with pool.transaction() as tx:
        owners = [accounts.insert_account(tx, login, "", "researcher") for login in ("one", "other")]
        for name, owner in zip(people, (owners[0], owners[0], owners[0], owners[1]), strict=True):
            access.set_owner(tx, people[name], owner)

    def statistics(name: str, *rest: object) -> object:
        if name == str(people["Dan"]):
            raise ZeroDivisionError
        return statistics_of(name, *rest)

    monkeypatch.setattr("semg.priors.profiles.MAX_PEOPLE", 2)
    assert "2 people" in list(make_bases(settings, pool))[-1]
    first, options = recordings[0].labelled, TrainingOptions()
    assert {p.name for p in find_base(settings, pool, people["Ben"], first, options).people} == {
        str(people["Ada"]), str(people["Dan"])
    }  # fmt: skip
    monkeypatch.setattr("semg.priors.profiles.statistics_of", statistics)
    lines = list(make_bases(settings, pool))
    assert f"profile {people['Dan']} left out: an unexpected error (ZeroDivisionError)" in " ".join(lines)
    assert "2 people" in lines[-1]


def test_no_base_without_two_consenting_people(settings, pool) -> None:
    with pytest.raises(TrainingError, match="at least two profiles"):
        list(make_bases(settings, pool))


def test_job_trains_short_gestures_of_the_bank_beside_the_held_ones(settings, pool, user_id, add_session) -> None:
    recording = short_recording(3, 1, 3, short=("snap", "double_tap"), held=("fist",), channels=4)
    session_id = add_session(user_id, recording)
    with pool.transaction() as tx:
        loaded = load_session(tx, sessions.get_session(tx, session_id))
        assert not any(one.dynamic for one in loaded.stretches), "an imported gesture is held until somebody says so"
        for one in gestures.list_gestures(tx, user_id):
            if one.name in ("snap", "double_tap"):
                gestures.update_gesture(tx, one.gesture_id, kind="dynamic")
        loaded = load_session(tx, sessions.get_session(tx, session_id))
        assert {one.label for one in loaded.stretches if one.dynamic} == {"snap", "double_tap"}
    finished, job = run(settings, pool, user_id, [session_id])
    assert job.error == ""
    assert finished is not None
    with pool.transaction() as tx:
        model, artifact = models.find_active_artifact(tx, user_id)
    assert model.report["dynamic"]["performances"] == 6
    assert model.report["dynamic"]["balanced_accuracy"] > 0.6
    assert Classifier.from_bytes(artifact).spec.dynamic == ("double_tap", "snap")
    assert model.metadata["trials"]["n_dynamic"] == 2
    assert model.metadata["classes"] == ["fist", "rest"]
