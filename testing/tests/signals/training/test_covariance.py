"""Shrinkage of covariances: scikit-learn's, and no singular matrix."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf, shrunk_covariance

from semg.signals.training.covariance import MIN_POWER, shrink, shrunk_covariance_of


@pytest.fixture
def apart() -> np.ndarray:
    rows = np.random.default_rng(1).normal(size=(40, 12)) @ np.diag(np.arange(1.0, 13))
    return rows - rows.mean(axis=0)


@pytest.mark.parametrize("part", [0.0, 0.05, 1.0])
def test_shrinkage_is_that_of_scikit_learn(apart: np.ndarray, part: float) -> None:
    covariance = apart.T @ apart / len(apart)
    np.testing.assert_allclose(shrink(covariance, part), shrunk_covariance(covariance, part), rtol=1e-12, atol=1e-12)


def test_part_is_that_of_ledoit_and_wolf_unless_more_is_wanted(apart: np.ndarray) -> None:
    wanted, part = ledoit_wolf(apart, assume_centered=True)
    np.testing.assert_allclose(shrunk_covariance_of(apart), wanted, rtol=1e-12, atol=1e-12)
    assert 0.0 < part < 0.5
    more = shrunk_covariance_of(apart, 0.5)
    np.testing.assert_allclose(more, shrunk_covariance(apart.T @ apart / len(apart), 0.5), rtol=1e-12, atol=1e-12)


def test_features_that_never_changed_still_give_a_matrix_with_an_inverse() -> None:
    np.testing.assert_allclose(shrink(np.zeros((3, 3)), 0.05), 0.05 * MIN_POWER * np.eye(3))
