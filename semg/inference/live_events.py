"""The gesture events of all live streams: one machine a profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from semg.domain import Decision
from semg.event_types import GestureEvent
from semg.inference.streams import DueWindows
from semg.signals.model.gesture_events import EventMachine
from semg.signals.model.strength import amplitudes_of

LATE_US = 1_000_000
"""Windows may arrive so late: that nothing comes any more is told this much later than it is dated."""
FORGET_US = 600_000_000


class LiveEvents:
    """Turns the decisions of all profiles into gesture events. One thread at a time."""

    def __init__(self) -> None:
        self._machines: dict[int, EventMachine] = {}

    def push(self, due: DueWindows, decisions: Sequence[Decision]) -> list[GestureEvent]:
        """Return the events of decisions, one for each window that was due, in its order."""
        made: list[GestureEvent] = []
        strengths = _strengths(due)
        for stream, decision, strength in zip(due.streams, decisions, strengths, strict=True):
            model = stream.model
            machine = self._machines.get(decision.user_id)
            if machine is None or machine.model_version != model.version:
                if machine is not None:
                    made += machine.end("another model", decision.window_end_us)
                machine = self._machines[decision.user_id] = EventMachine(decision.user_id, model.events, model.version)
            machine.spec = model.events
            made += machine.push(
                decision.label, decision.window_end_us, decision.confidence, strength, once=decision.once
            )
        return made

    def silent(self, now_us: int) -> list[GestureEvent]:
        """Return the releases of what is pressed where no decision comes any more."""
        made: list[GestureEvent] = []
        for user_id, machine in list(self._machines.items()):
            if machine.pressed is not None:
                made += machine.lose(now_us - LATE_US)
            elif machine.is_idle(now_us - FORGET_US):
                del self._machines[user_id]
        return made

    def drop_where(self, unwanted: Callable[[int], bool]) -> None:
        """Forget the profiles that a predicate selects: whoever has them now releases what is pressed."""
        for user_id in [user_id for user_id in self._machines if unwanted(user_id)]:
            del self._machines[user_id]


def _strengths(due: DueWindows) -> list[float | None]:
    """Return the strength of each window; None where the model does not know the person's range."""
    ranges = [stream.model.spec.amplitude for stream in due.streams]
    if all(one is None for one in ranges):
        return [None] * len(ranges)
    amplitudes = amplitudes_of(due.cut.windows).tolist()
    return [None if one is None else one.strength(value) for one, value in zip(ranges, amplitudes, strict=True)]
