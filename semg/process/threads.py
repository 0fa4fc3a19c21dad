"""Number of threads of numerical libraries."""

from __future__ import annotations


def thread_limits(threads: int) -> dict[str, str]:
    """Return the environment variables that set the number of threads of numerical libraries.

    Beside a busy neighbour, their default made prediction 15 times slower.
    """
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
