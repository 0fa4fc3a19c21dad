"""Models: versions are unique for ever, one is active, activation is one row."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from semg.errors import InvalidValueError, NotFoundError
from semg.settings import Settings
from semg.store import models, profiles
from semg.store.pool import Pool
from testing.kits.store_data import Filled

ARTIFACT = bytes(range(256)) * 3


def test_model_comes_back_as_it_was_inserted(pool: Pool, filled: Filled) -> None:
    metadata = {"classes": ["fist", "rest"], "rate_hz": 200.0}
    with pool.transaction() as tx:
        model_id, version = models.insert_model(tx, filled.user_id, filled.job_id, ARTIFACT, metadata, {"n": 1}, 10_000)
        model = models.get_model(tx, filled.user_id, version)
        assert models.get_artifact(tx, filled.user_id, version) == ARTIFACT
        assert [other.version for other in models.list_models(tx, filled.user_id)] == [2, 1]
    assert (model.model_id, model.version, model.job_id, model.active) == (model_id, 2, filled.job_id, False)
    assert (model.model_bytes, model.metadata, model.report) == (len(ARTIFACT), metadata, {"n": 1})


def test_figures_that_are_no_numbers_are_stored_as_null(pool: Pool, filled: Filled) -> None:
    report = {"recall": float("nan"), "accuracy": np.float32(0.5), 3: [float("inf")]}
    with pool.transaction() as tx:
        models.update_report(tx, filled.user_id, filled.version, report)
        stored = models.get_model(tx, filled.user_id, filled.version).report
    assert stored == {"recall": None, "accuracy": 0.5, "3": [None]}


@pytest.mark.parametrize("n_bytes", [0, 1001])
def test_artifact_over_the_limit_is_refused(pool: Pool, filled: Filled, n_bytes: int) -> None:
    with pytest.raises(InvalidValueError, match=f"1 to 1,000 bytes, got {n_bytes:,}"), pool.transaction() as tx:
        models.insert_model(tx, filled.user_id, None, b"x" * n_bytes, {}, {}, 1000)


def test_concurrent_trainings_get_different_versions(pool: Pool, settings: Settings, filled: Filled) -> None:
    n_threads = 8
    wide = Pool(settings, size=n_threads)
    together = threading.Barrier(n_threads)
    made: list[int] = []
    errors: list[Exception] = []

    def train() -> None:
        try:
            together.wait(10)
            for _ in range(5):
                with wide.transaction() as tx:
                    version = models.insert_model(tx, filled.user_id, None, b"w", {}, {}, 10)[1]
                    models.activate_model(tx, filled.user_id, version)
                made.append(version)
        except Exception as exc:  # noqa: BLE001
            errors.append(exc)

    threads = [threading.Thread(target=train) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    wide.close()
    assert not errors
    assert sorted(made) == list(range(2, 2 + 5 * n_threads))
    with pool.transaction() as tx:
        assert sum(model.active for model in models.list_models(tx, filled.user_id)) == 1
        assert models.find_active(tx, filled.user_id).version == max(made)


def test_activation_and_rollback_change_who_decides(pool: Pool, filled: Filled, make_profile) -> None:
    without = make_profile("Bo")
    with pool.transaction() as tx:
        before = models.list_active(tx)
        models.insert_model(tx, filled.user_id, None, ARTIFACT, {}, {}, 10_000)
        assert models.find_active(tx, filled.user_id).version == 1
        models.activate_model(tx, filled.user_id, 2)
        model, artifact = models.find_active_artifact(tx, filled.user_id)
        assert (model.version, model.active, artifact) == (2, True, ARTIFACT)
        models.activate_model(tx, filled.user_id, 1)
        after = models.list_active(tx)
        assert models.find_active(tx, without) is None
        assert models.find_active_artifact(tx, without) is None
    assert [(user_id, version) for user_id, version, _ in after] == [(filled.user_id, 1)]
    assert after[0][2] > before[0][2], "a poller sees a rollback by its time"


def test_version_of_another_profile_cannot_be_activated(pool: Pool, filled: Filled, make_profile) -> None:
    other = make_profile("Bo")
    with pytest.raises(NotFoundError, match=f"profile {other} has no model version 1"), pool.transaction() as tx:
        models.activate_model(tx, other, 1)


def test_training_of_a_deleted_profile_stores_nothing(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        profiles.delete_profile(tx, filled.user_id)
    with pytest.raises(NotFoundError, match="no profile"), pool.transaction() as tx:
        models.insert_model(tx, filled.user_id, filled.job_id, b"w", {}, {}, 10)
