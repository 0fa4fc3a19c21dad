"""The epochs that a training tells of are read back from its log."""

from __future__ import annotations

from semg.signals.training.progress import EpochPoint, epoch_line, read_epochs


def test_curve_is_read_back_from_a_log() -> None:
    points = [
        EpochPoint("held-out test 1", 1, 18, 1.234),
        EpochPoint("final: all data", 18, 18, 0.05),
    ]
    lines = ["6042 windows of 6 gestures", *map(epoch_line, points), "saved as version 3, loss 1"]
    log = "".join(f"2026-11-26T16:21:12Z {line}\n" for line in lines)
    assert read_epochs(log) == points
    assert read_epochs("\n".join(map(epoch_line, points))) == points


def test_log_without_epochs_has_no_curve() -> None:
    assert read_epochs("") == []
    assert read_epochs("2026-11-26T16:21:12Z log-covariance: fitted\n") == []
