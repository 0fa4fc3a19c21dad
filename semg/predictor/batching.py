"""Predict windows of people whose models lie in one table, in as few passes as their streams permit."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from semg.predictor.people import People

logger = logging.getLogger(__name__)


def answer(
    people: People, rows: NDArray[np.int64], numbers: NDArray[np.int64], windows: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the probabilities of windows of many people, each by its own model.

    Parameters
    ----------
    rows, numbers
        Of each window: whose it is, and the number of its stream, 0 to predict it as if there were nothing before it;
        ``(N,)``. Windows of one stream are in time order.
    windows
        Float32 ``(N, C, T)``.

    Returns
    -------
    Float32 ``(N, K)``, dynamic gestures behind the held ones; NaN where a model gives no number.
    """
    layout = people.stack.layout
    with people.streams(rows, numbers) as held:
        parts = _one_stream_a_row(rows, numbers, held)
        if len(parts) > 1:
            found = np.empty((len(rows), layout.n_classes + layout.n_dynamic), np.float32)
            for part in parts:
                found[part] = _answer_part(people, rows[part], numbers[part], windows[part], held[part])
            return found
        return _answer_part(people, rows, numbers, windows, held)


def _answer_part(
    people: People,
    rows: NDArray[np.int64],
    numbers: NDArray[np.int64],
    windows: NDArray[np.float32],
    held: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return ``answer`` of windows in which no person has two streams; ``held``: which ones are of a stream."""
    begins = held & (people.numbers[rows] != numbers)
    if begins.any():
        for row, number in dict(zip(rows[begins].tolist(), numbers[begins].tolist(), strict=True)).items():
            people.begin_stream(row, number)
    found = _answer_streams(people, rows, windows, held)
    if people.stack.layout.n_dynamic:
        return np.concatenate([found, _dynamic(people, rows, windows, held)], axis=1)
    return found


def _one_stream_a_row(
    rows: NDArray[np.int64], numbers: NDArray[np.int64], held: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    """Return the indices of windows in parts in which no person has two streams, in time order."""
    first = np.zeros(int(rows.max(initial=-1)) + 1, np.int64)
    first[rows[held][::-1]] = numbers[held][::-1]  # of several values the last one stays
    if (first[rows[held]] == numbers[held]).all():
        return [np.arange(len(rows))]
    last: dict[int, int] = {}
    parts: list[list[int]] = [[]]
    for index, (row, number, is_held) in enumerate(zip(rows.tolist(), numbers.tolist(), held.tolist(), strict=True)):
        if is_held and last.setdefault(row, number) != number:
            parts.append([])
            last = {row: number}
        parts[-1].append(index)
    return [np.array(part) for part in parts]


def _answer_streams(
    people: People, rows: NDArray[np.int64], windows: NDArray[np.float32], held: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the probabilities of held gestures, ``(N, K)``, and learn from the windows of streams."""
    stack, following = people.stack, people.following
    if following is None or not held.any():
        return stack.answer(rows, windows)[0]
    passes, n_passes = following.passes(rows, held)
    found, learned = np.empty((len(rows), stack.layout.n_classes), np.float32), held.copy()
    for number in range(n_passes):
        chosen = np.flatnonzero(passes == number) if n_passes > 1 else slice(None)
        mine, own = rows[chosen], windows[chosen]
        found[chosen], features = stack.answer(mine, own, held[chosen], following.rotations, following.shifts)
        if not np.isfinite(features.sum()):  # nothing more is learned from a stream with a window without features
            bad = ~np.isfinite(features).all(axis=1)
            learned &= ~np.isin(rows, mine[bad])
        following.learn(mine, learned[chosen], own, features)
    return found


def _dynamic(
    people: People, rows: NDArray[np.int64], windows: NDArray[np.float32], held: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the probabilities of dynamic gestures, ``(N, n_dynamic)``: 0 of a window that belongs to no stream."""
    found = np.zeros((len(rows), people.stack.layout.n_dynamic), np.float32)
    for index in np.flatnonzero(held).tolist():
        recogniser = people.recognisers[rows[index]]
        if recogniser is None:
            continue
        try:
            found[index] = recogniser.push(windows[index])
        except Exception:  # of one person: the others are answered
            logger.exception("dynamic gestures not recognised")
    return found
