"""Predict windows of many profiles' streams, each with its own classifier, and adapt to them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.predictor.stream_adapters import StreamAdapter
from semg.signals.model.adaptation import Adapter
from semg.signals.model.batched_forward import Member, predict_batch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamWindow:
    """Request for the prediction of a window: its classifier, and the adapter of its stream."""

    index: int
    member: Member
    window: NDArray[np.float32]
    stream_adapter: StreamAdapter | None

    @property
    def adapter(self) -> Adapter | None:
        """What adapts to the stream, if its classifier does."""
        stream = self.stream_adapter
        return stream.adapter if stream is not None and stream.adapter.adapts else None


def answer(window_requests: list[StreamWindow], probabilities: NDArray[np.float32]) -> None:
    """Predict windows of many profiles, in as few passes as their adaptation permits.

    Parameters
    ----------
    window_requests
        Windows of one stream in time order; the caller must hold their stream adapters exclusively.
    probabilities
        Float32 ``(n, K)``, filled at each window's index; NaN where a classifier fails.
    """
    while window_requests:
        now, window_requests = _next_pass(window_requests)
        _answer_now(now, probabilities)


def recognise_dynamic(window_requests: list[StreamWindow], probabilities: NDArray[np.float32]) -> None:
    """Fill in the probabilities of dynamic gestures behind those of the held ones; parameters as ``answer``."""
    for one in window_requests:
        if one.stream_adapter is not None and one.stream_adapter.recogniser is not None:
            first, recogniser = len(one.member.classifier.classes), one.stream_adapter.recogniser
            columns = slice(first, first + recogniser.spec.n_dynamic)
            try:
                probabilities[one.index, columns] = recogniser.push(one.window)
            except Exception:  # of one profile: the others are answered
                logger.exception("dynamic gestures not recognised")


def _next_pass(window_requests: list[StreamWindow]) -> tuple[list[StreamWindow], list[StreamWindow]]:
    """Return the windows that can be predicted now, and those that wait for the adaptation to these."""
    left: dict[int, int] = {}
    now, later = [], []
    for one in window_requests:
        if one.stream_adapter is not None and one.adapter is not None:
            room = left.setdefault(id(one.stream_adapter), one.stream_adapter.room)
            if room == 0:
                later.append(one)
                continue
            left[id(one.stream_adapter)] = room - 1
        now.append(one)
    return now, later


def _answer_now(window_requests: list[StreamWindow], probabilities: NDArray[np.float32]) -> None:
    """Predict windows, those with one batch key in one pass, and update the stream adapters."""
    groups: dict[Hashable, list[StreamWindow]] = defaultdict(list)
    for one in window_requests:
        groups[one.member.batch_key].append(one)
    for group in groups.values():
        answers, features = _predict(group)
        probabilities[[one.index for one in group], : answers.shape[1]] = answers
        if features is not None:
            _teach(group, features)


def _predict(group: list[StreamWindow]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return probabilities and features in one pass; when that fails, one by one, with NaN where it fails again.

    Windows that are predicted one by one are not used for adaptation.
    """
    adapters = [one.adapter for one in group]
    windows = np.stack(
        [
            one.window if adapter is None else adapter.rotated(one.window[None])[0]
            for one, adapter in zip(group, adapters, strict=True)
        ]
    )
    members = [one.member for one in group]
    shifts = [None if adapter is None else adapter.shift for adapter in adapters]
    try:
        return predict_batch(members, windows, None if all(shift is None for shift in shifts) else shifts)
    except Exception:  # find the failing model, so that the others are answered
        logger.exception("prediction of %d windows failed, each is tried alone", len(windows))
    wide = max(len(member.classifier.classes) for member in members)
    alone = np.full((len(windows), wide), np.nan, np.float32)
    for row, member, window, shift in zip(alone, members, windows, shifts, strict=True):
        try:
            own = predict_batch([member], window[None], None if shift is None else [shift])[0][0]
        except Exception:
            logger.exception("prediction failed")
        else:
            row[:] = 0
            row[: len(own)] = own
    return alone, None


def _teach(group: list[StreamWindow], features: NDArray[np.float32]) -> None:
    """Update each stream adapter with its windows, in time order."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, one in enumerate(group):
        if one.stream_adapter is not None and one.adapter is not None:
            rows[id(one.stream_adapter)].append(row)
    for own in rows.values():
        stream_adapter = group[own[0]].stream_adapter
        assert stream_adapter is not None
        stream_adapter.learn([group[row].window for row in own], features[own])
