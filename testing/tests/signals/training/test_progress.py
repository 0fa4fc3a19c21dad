"""The epochs of a training are stored as points, and told in the log."""

from __future__ import annotations

import json

import pytest

from semg.signals.training.progress import EpochPoint


@pytest.mark.parametrize("wrong", [None, 0.125])
def test_epoch_comes_back_as_it_was_stored(wrong: float | None) -> None:
    point = EpochPoint(what="held-out test 1", epoch=3, epochs=18, loss=1.23456, held_out_error=wrong)
    assert EpochPoint.from_json(json.loads(json.dumps(point.as_json()))) == point
    diverged = EpochPoint(what="final fit", epoch=1, epochs=2, loss=float("nan"))
    assert str(EpochPoint.from_json(json.loads(json.dumps(diverged.as_json(), allow_nan=False)))) == str(diverged)
    assert point.as_line() == "held-out test 1: epoch 3 of 18, loss 1.235"
