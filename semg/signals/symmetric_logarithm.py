"""The logarithm of many small symmetric positive matrices, compiled.

LAPACK's eigendecomposition is made for large matrices: of 8 by 8 it costs twice as much as this, its call from numpy
included (``docs/decisions/runtime.md``). Each matrix is computed by itself: the result does not depend, in any bit, on
the matrices beside it. A matrix with a value that is not finite gives NaN.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

EPSILON = 2.0**-52
SMALLEST = 1e-12
"""Eigenvalues below it count as this."""
MOST_STEPS = 30
"""For each eigenvalue; two or three are usual."""


@njit(nogil=True, cache=True)
def logarithms(matrices: NDArray[np.float64], found: NDArray[np.float32]) -> None:
    """Write the upper triangle of each matrix's logarithm.

    Parameters
    ----------
    matrices
        Symmetric and positive, ``(M, C, C)``; overwritten.
    found
        ``(M, C (C + 1) / 2)``, row by row; off-diagonal entries are multiplied by the root of 2, so that the vector's
        length is the matrix's norm.
    """
    n = matrices.shape[1]
    diagonal, beside, vector, product = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    vectors, logarithm = np.empty((n, n)), np.empty((n, n))
    for m in range(len(matrices)):
        _make_tridiagonal(matrices[m], diagonal, beside, vectors, vector, product)
        _make_diagonal(diagonal, beside, vectors)
        logarithm[:] = 0
        for k in range(n):
            value = np.log(max(diagonal[k], SMALLEST))
            for i in range(n):
                part = value * vectors[k, i]
                for j in range(i, n):
                    logarithm[i, j] += part * vectors[k, j]
        at = 0
        for i in range(n):
            found[m, at] = logarithm[i, i]
            for j in range(i + 1, n):
                found[m, at + j - i] = logarithm[i, j] * np.sqrt(2.0)
            at += n - i


@njit(nogil=True, cache=True)
def _make_tridiagonal(
    matrix: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    beside: NDArray[np.float64],
    vectors: NDArray[np.float64],
    vector: NDArray[np.float64],
    product: NDArray[np.float64],
) -> None:
    """Reduce a matrix, which is overwritten, by Householder reflections.

    Golub, Van Loan, Matrix Computations, 8.3.1. The rows of ``vectors`` become the basis in which it is tridiagonal:
    ``diagonal``, and ``beside`` it.
    """
    n = len(matrix)
    vectors[:] = 0
    for i in range(n):
        vectors[i, i] = 1
    for k in range(n - 2):
        square = 0.0
        for i in range(k + 1, n):
            square += matrix[k, i] * matrix[k, i]
        first, length = matrix[k, k + 1], np.sqrt(square)
        beside[k] = -length if first > 0 else length
        half = square - first * beside[k]  # half of the reflecting vector's square
        if half <= 0:
            continue
        for i in range(k + 1, n):
            vector[i] = matrix[k, i]
        vector[k + 1] -= beside[k]
        overlap = 0.0
        product[k + 1 :] = 0
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                product[j] += matrix[i, j] * vector[i]
        for i in range(k + 1, n):
            product[i] /= half
            overlap += product[i] * vector[i]
        overlap /= 2 * half
        for i in range(k + 1, n):
            product[i] -= overlap * vector[i]
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                matrix[i, j] -= vector[i] * product[j] + product[i] * vector[j]
        product[:] = 0
        for i in range(k + 1, n):
            for j in range(n):
                product[j] += vector[i] * vectors[i, j]
        for i in range(k + 1, n):
            part = vector[i] / half
            for j in range(n):
                vectors[i, j] -= part * product[j]
    for i in range(n):
        diagonal[i] = matrix[i, i]
    if n > 1:
        beside[n - 2] = matrix[n - 2, n - 1]


@njit(nogil=True, cache=True)
def _make_diagonal(diagonal: NDArray[np.float64], beside: NDArray[np.float64], vectors: NDArray[np.float64]) -> None:
    """Turn a tridiagonal matrix and its basis to its eigenvalues and eigenvectors: QR steps with Wilkinson's shift.

    Golub, Van Loan, Matrix Computations, 8.3.3 and 8.3.4.
    """
    last, steps = len(diagonal) - 1, 0
    while last > 0:
        size = abs(diagonal[last - 1]) + abs(diagonal[last])
        if not abs(beside[last - 1]) > EPSILON * size or steps == MOST_STEPS:
            last, steps = last - 1, 0
            continue
        steps += 1
        first = last - 1
        while first > 0 and abs(beside[first - 1]) > EPSILON * (abs(diagonal[first - 1]) + abs(diagonal[first])):
            first -= 1
        apart, other = (diagonal[last - 1] - diagonal[last]) / 2, beside[last - 1]
        root = np.sqrt(apart * apart + other * other)
        shift = diagonal[last] - other * other / (apart + (root if apart >= 0 else -root))
        x, z = diagonal[first] - shift, beside[first]
        for k in range(first, last):
            length = np.sqrt(x * x + z * z)
            cosine, sine = (x / length, z / length) if length > 0 else (1.0, 0.0)
            if k > first:
                beside[k - 1] = length
            a, b, off = diagonal[k], diagonal[k + 1], beside[k]
            diagonal[k] = cosine * cosine * a + 2 * cosine * sine * off + sine * sine * b
            diagonal[k + 1] = sine * sine * a - 2 * cosine * sine * off + cosine * cosine * b
            beside[k] = cosine * sine * (b - a) + (cosine * cosine - sine * sine) * off
            if k + 1 < last:
                x, z = beside[k], sine * beside[k + 1]
                beside[k + 1] *= cosine
            upper, lower = vectors[k], vectors[k + 1]
            for i in range(len(upper)):
                value = upper[i]
                upper[i] = cosine * value + sine * lower[i]
                lower[i] = cosine * lower[i] - sine * value
