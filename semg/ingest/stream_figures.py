"""Count what a profile's stream has lost, and say its figures by name."""

from __future__ import annotations

from semg.domain import Device
from semg.verdicts import Figure
from semg.wire.stream_status import DecidedStatus, ReceivedStatus

LOSS_FAIR, LOSS_BAD = 0.01, 0.05
STARTS_BAD = 4
"""New segments a minute beyond the first."""
APART = 0.25
"""Runs per sample above which a stream is slower than its device's setting rather than lossy."""
GAPS_FAIR, GAPS_BAD = 6, 40
"""Gaps a minute; a window needs a second or so without one."""


def missing(device: Device, received: ReceivedStatus) -> int:
    """Return how many samples are missing since the stream began, or began again after a pause."""
    if received.runs / max(received.long_s, 1e-3) >= APART * received.samples / max(received.seconds, 1e-3):
        return 0  # each sample is alone: the device is slower than it is set, nothing is lost
    return min(received.missing, max(0, round(received.seconds * device.rate_hz) - received.samples))


def loss(device: Device, received: ReceivedStatus) -> float:
    """Return the share of lost samples, of the last seconds or of all that is counted, where it is larger."""
    n_missing = missing(device, received)
    if not n_missing:
        return 0.0
    recent = received.recent_missing / max(1, received.recent_missing + received.recent_samples)
    return max(recent, n_missing / max(1, n_missing + received.samples))


def figures(device: Device, received: ReceivedStatus, decided: DecidedStatus | None) -> tuple[Figure, ...]:
    """Return rate, shares and counts of a stream, each with its name and meaning."""
    seconds, n_refused = max(received.seconds, 1e-3), sum(received.refused.values())
    lost = loss(device, received)
    minutes = max(received.long_s, 10.0) / 60
    refused = n_refused / max(1, n_refused + received.samples)
    gaps, restarts = max(0, received.runs - received.segments) / minutes, max(0, received.segments - 1) / minutes
    found = [
        Figure("Rate", f"{received.samples / seconds:.0f} samples/s", f"the device is set to {device.rate_hz:g}"),
        Figure("Loss", f"{lost:.1%} lost", f"in transit; bad above {LOSS_BAD:.0%}"),
        Figure("Refused", f"{refused:.0%} refused", f"arrived, but not accepted; bad above {LOSS_BAD:.0%}"),
        Figure("Gaps", f"{gaps:.0f} gaps/min", f"a window cannot span one; bad above {GAPS_BAD} a minute"),
        Figure(
            "Restarts", f"{restarts:.0f} restarts/min", f"of the device or its clock; bad from {STARTS_BAD} a minute"
        ),
    ]
    if decided is not None and decided.seconds:
        windows, decisions = decided.windows / decided.seconds, decided.decisions / decided.seconds
        said = f"{windows:.1f} windows/s, {decisions:.1f} decisions/s"
        found.append(Figure("Recognition", said, "what the model was given, and what it decided"))
    return tuple(found)
