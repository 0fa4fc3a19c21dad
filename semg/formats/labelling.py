"""Repetitions from intervals and from a label a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from semg.formats.neutral import Label

Found = tuple[str, int | None, int, int, bool, str]
"""Gesture, number or None, start and end in µs, whether it is excluded, and why."""


def numbered(found: Iterable[Found]) -> tuple[Label, ...]:
    """Return intervals in the order of their start as labels; those without a number are counted by gesture."""
    counted: Counter[str] = Counter()
    made = []
    for gesture, number, start_us, end_us, excluded, reason in found:
        counted[gesture] += 1
        made.append(
            Label(
                gesture=gesture,
                number=counted[gesture] if number is None else number,
                start_us=start_us,
                end_us=end_us,
                excluded=excluded,
                reason=reason,
            )
        )
    return tuple(made)


def from_columns(
    times_us: NDArray[np.int64], period_us: int, gestures: NDArray[np.int64], numbers: NDArray[np.int64] | None,
    names: Sequence[str],
) -> tuple[Label, ...]:  # fmt: skip
    """Return the runs of a label a sample as labels.

    Parameters
    ----------
    gestures
        Int64 ``(n,)``: index into ``names``, -1 for none.
    numbers
        Int64 ``(n,)``: number of the repetition; None: each run of a gesture counts one.
    """
    if not len(gestures):
        return ()
    changes = gestures[1:] != gestures[:-1]
    if numbers is not None:
        changes |= numbers[1:] != numbers[:-1]
    firsts = np.flatnonzero(np.append(True, changes))
    ends_us = np.append(times_us[firsts[1:]], times_us[-1] + period_us)
    return numbered(
        (names[gesture], None if numbers is None else int(numbers[first]), int(times_us[first]), int(end_us), False, "")
        for first, end_us in zip(firsts.tolist(), ends_us.tolist(), strict=True)
        if (gesture := int(gestures[first])) >= 0
    )


def index_of(times_us: NDArray[np.int64], labels: Sequence[Label]) -> NDArray[np.int32]:
    """Return the label of each sample, int32 ``(n,)``, -1 for none; the one that started last claims it."""
    owner = np.full(len(times_us), -1, np.int32)
    order = sorted(range(len(labels)), key=lambda index: labels[index].start_us)
    edges = np.array([(labels[index].start_us, labels[index].end_us) for index in order], np.int64).reshape(-1, 2)
    for index, (since, until) in zip(order, np.searchsorted(times_us, edges).tolist(), strict=True):
        owner[since:until] = index
    return owner
