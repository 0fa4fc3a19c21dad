"""The compiled logarithm of small matrices is that of the eigendecomposition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from semg.signals.symmetric_logarithm import logarithms


def covariances(seed: int, n: int, size: int, spread: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signals = rng.normal(0, 1, (n, size, 3 * size)) * np.exp(rng.normal(0, spread, (n, size, 1)))
    made = signals @ signals.transpose(0, 2, 1) / (3 * size)
    return made + 1e-3 * np.eye(size)


def logarithms_of(matrices: np.ndarray) -> np.ndarray:
    n, size = matrices.shape[:2]
    found = np.empty((n, size * (size + 1) // 2), np.float32)
    logarithms(matrices.copy(), found)
    return found


def expected_of(matrices: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrices)
    logs = (vectors * np.log(np.maximum(values, 1e-12))[:, None, :]) @ vectors.transpose(0, 2, 1)
    rows, columns = np.triu_indices(matrices.shape[1])
    return logs[:, rows, columns] * np.where(rows == columns, 1, np.sqrt(2))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 9, 16, 33, 64])
def test_it_equals_lapacks(size: int) -> None:
    for seed in range(5):
        matrices = covariances(seed, 20, size)
        np.testing.assert_allclose(logarithms_of(matrices), expected_of(matrices), atol=2e-6)


def test_its_exponential_is_the_matrix() -> None:
    matrix, logarithm = covariances(0, 1, 5)[0], np.zeros((5, 5))
    rows, columns = np.triu_indices(5)
    logarithm[rows, columns] = logarithms_of(matrix[None])[0] / np.where(rows == columns, 1, np.sqrt(2))
    logarithm[columns, rows] = logarithm[rows, columns]
    np.testing.assert_allclose(expm(logarithm), matrix, rtol=1e-4, atol=1e-4)


def test_special_matrices() -> None:
    size = 4
    ones = np.ones((size, size))
    matrices = np.stack(
        [
            np.eye(size),
            np.zeros((size, size)),
            np.diag([1e-9, 1.0, 1e9, 1e-3]),
            ones + 1e-9 * np.eye(size),
            np.diag([2.0, 2.0, 2.0, 1.0]) + 1e-9 * ones,
            1e300 * np.eye(size),
            1e-300 * np.eye(size),
        ]
    )
    np.testing.assert_allclose(logarithms_of(matrices), expected_of(matrices), rtol=1e-6, atol=2e-6)


def test_a_matrix_that_is_not_finite_gives_no_number_and_changes_no_other() -> None:
    matrices = covariances(1, 5, 8)
    expected = logarithms_of(matrices)
    matrices[1, 2, 3] = matrices[1, 3, 2] = np.nan
    matrices[3] = np.inf
    found = logarithms_of(matrices)
    assert np.isnan(found[[1, 3]]).any(axis=1).all()
    np.testing.assert_array_equal(found[[0, 2, 4]], expected[[0, 2, 4]])


def test_a_matrix_gives_the_same_bits_alone() -> None:
    matrices = covariances(2, 30, 8)
    together = logarithms_of(matrices)
    for n in range(len(matrices)):
        np.testing.assert_array_equal(logarithms_of(matrices[n : n + 1])[0], together[n])
