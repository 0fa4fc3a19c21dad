"""Answering windows of many profiles' streams, each by its own classifier, and learning from them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.predictor.stream_adapters import StreamAdapter
from semg.signals.model.batched_forward import Member, predict_batch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamWindow:
    """A window, who answers it, and who follows its stream."""

    place: int
    member: Member
    window: NDArray[np.float32]
    follower: StreamAdapter | None


def answer(asked: list[StreamWindow], probabilities: NDArray[np.float32]) -> None:
    """Answer windows of many profiles, in as few passes as what the followers learn from them permits.

    Parameters
    ----------
    asked
        Those of one stream in their order; their followers are this caller's alone.
    probabilities
        Float32 ``(n, K)``, filled in at each window's place; NaN where a classifier fails.
    """
    while asked:
        now, asked = _next_pass(asked)
        _answer_now(now, probabilities)


def _next_pass(asked: list[StreamWindow]) -> tuple[list[StreamWindow], list[StreamWindow]]:
    """Return the windows that can be answered now, and those that wait for what their follower learns from these."""
    left: dict[int, int] = {}
    now, later = [], []
    for one in asked:
        if one.follower is not None:
            room = left.setdefault(id(one.follower), one.follower.room)
            if room == 0:
                later.append(one)
                continue
            left[id(one.follower)] = room - 1
        now.append(one)
    return now, later


def _answer_now(asked: list[StreamWindow], probabilities: NDArray[np.float32]) -> None:
    """Answer windows, those whose classifiers are alike in one pass, and let the followers learn."""
    groups: dict[Hashable, list[StreamWindow]] = defaultdict(list)
    for one in asked:
        groups[one.member.batch_key].append(one)
    for group in groups.values():
        answers, features = _predict(group)
        probabilities[[one.place for one in group], : answers.shape[1]] = answers
        if features is not None:
            _teach(group, features)


def _predict(group: list[StreamWindow]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return probabilities and features in one pass; when that fails, one by one, with NaN where it fails again.

    Whoever needs the one by one learns nothing from it.
    """
    adapters = [None if one.follower is None else one.follower.adapter for one in group]
    windows = np.stack(
        [
            one.window if adapter is None else adapter.turned(one.window[None])[0]
            for one, adapter in zip(group, adapters, strict=True)
        ]
    )
    members = [one.member for one in group]
    shifts = [None if adapter is None else adapter.shift for adapter in adapters]
    try:
        return predict_batch(members, windows, None if all(shift is None for shift in shifts) else shifts)
    except Exception:  # find out whose model it is, so that the others are answered
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
    """Let each follower learn from its windows, in their order."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, one in enumerate(group):
        if one.follower is not None:
            rows[id(one.follower)].append(row)
    for own in rows.values():
        follower = group[own[0]].follower
        assert follower is not None
        follower.learn([group[row].window for row in own], features[own])
