"""Format the log line of an epoch's result, and parse such lines into a learning curve."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EPOCH = re.compile(r"^(?:\S+Z )?(?P<what>.*): epoch (?P<epoch>\d+) of (?P<epochs>\d+), loss (?P<loss>[\d.]+)$")


@dataclass(frozen=True, slots=True)
class EpochPoint:
    """The mean loss of one epoch of one network; ``what`` says which network of the training it is."""

    what: str
    epoch: int
    epochs: int
    loss: float


def epoch_line(point: EpochPoint) -> str:
    """Return the log line of an epoch."""
    return f"{point.what}: epoch {point.epoch} of {point.epochs}, loss {point.loss:.3f}"


def read_epochs(log: str) -> list[EpochPoint]:
    """Return the epochs in a job's log, in order; other lines are skipped."""
    found = (_EPOCH.match(line) for line in log.splitlines())
    return [
        EpochPoint(each["what"], int(each["epoch"]), int(each["epochs"]), float(each["loss"]))
        for each in found
        if each is not None
    ]
