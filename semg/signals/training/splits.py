"""Choose the repetitions or sessions that are held out, before anything is fitted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.dataset import WindowSet

MAX_FOLDS = 5


def _describe(data: WindowSet, chosen: Sequence[int]) -> tuple[str, ...]:
    seen = dict.fromkeys(
        f"session {stretch.session}: {stretch.label} repetition {stretch.repetition}"
        for stretch in (data.stretches[i] for i in chosen)
    )
    return tuple(seen)


@dataclass(frozen=True, slots=True)
class Fold:
    """A division of windows by whole sessions or whole repetitions.

    Attributes
    ----------
    held_out
        What was held out, in words.
    train, test
        Bool ``(N,)``: the windows that may be fitted on, and all others.
    """

    held_out: tuple[str, ...]
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


def folds_of(data: WindowSet) -> tuple[str, list[Fold]]:
    """Return the unit held out (``session`` or ``repetition``) and the folds of a cross-validation, newest first.

    With two sessions or more each of the newest ``MAX_FOLDS`` is held out, as far as the others hold its gestures;
    otherwise whole repetitions, a fifth of every gesture at a time. Without a second repetition there is no fold.
    """
    by_session = []
    labels = data.labels
    sessions = np.unique(data.session_index)
    for session in sessions[::-1][:MAX_FOLDS]:
        test = data.session_index == session
        if len(sessions) > 1 and set(labels[~test]) == set(labels):
            name = data.stretches[int(data.stretch[test][0])].session
            by_session.append(Fold((f"session {name}",), ~test, test))
    if by_session:
        return "session", by_session
    order = _repetition_order(data)
    counts: dict[str, int] = defaultdict(int)
    for i in order:
        counts[data.stretches[i].label] = max(counts[data.stretches[i].label], order[i] + 1)
    n_folds = min(MAX_FOLDS, min(counts.values(), default=0))
    if n_folds < 2:
        return "repetition", []
    found = []
    for number in range(n_folds):
        chosen = sorted(i for i, index in order.items() if index % n_folds == number)
        test = np.isin(data.stretch, chosen)
        found.append(Fold(_describe(data, chosen), ~test, test))
    return "repetition", found


def first_stretches(data: WindowSet) -> NDArray[np.bool_]:
    """Return the windows of each gesture's first repetition, which serve as a calibration."""
    order = _repetition_order(data)
    return np.isin(data.stretch, sorted(i for i, index in order.items() if index == _last_index(data, order, i)))


def _last_index(data: WindowSet, order: dict[int, int], i: int) -> int:
    return max(index for j, index in order.items() if data.stretches[j].label == data.stretches[i].label)


def _repetition_order(data: WindowSet) -> dict[int, int]:
    """Return each stretch's index among those of its gesture, counted from the newest."""
    ids, firsts = np.unique(data.stretch, return_index=True)
    by_label: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for i, first in zip(ids.tolist(), firsts.tolist(), strict=True):
        by_label[data.stretches[i].label].append((int(data.session_index[first]), int(data.end_index[first]), i))
    return {i: index for found in by_label.values() for index, (_, _, i) in enumerate(sorted(found, reverse=True))}
