"""Turn decisions into gesture events: the one place that says what a program acts on, live and over a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from semg.domain import REST
from semg.event_types import EndReason, EventKind, EventSpec, GestureEvent

PAUSE_US = 500_000
"""A step between two decisions from which on nothing goes on across it; what was pressed is released after it."""


@dataclass(slots=True)
class _Run:
    """A gesture that is decided since a time, with the sums for its means."""

    label: str
    begun_us: int
    decisions: int = 0
    confidence: float = 0.0
    strength: float = 0.0
    strengths: int = 0

    def add(self, confidence: float, strength: float | None) -> None:
        self.decisions += 1
        self.confidence += confidence
        if strength is not None:
            self.strengths += 1
            self.strength += strength


@dataclass(slots=True)
class _Pressed:
    """The gesture that is pressed."""

    run: _Run
    at_us: int
    is_held: bool = False
    other_since_us: int | None = None


@dataclass(slots=True)
class EventMachine:
    """The events of one profile's stream; one thread at a time.

    A gesture that stays decided for its dwell time is pressed, unless another one is or its cooldown lasts; it is
    released when something else stayed decided for its release time, and it has been pressed for its minimum time.
    Rest and a rejected decision are no gesture. A short dynamic gesture is pressed and released by its one decision,
    beside what is pressed already.
    """

    user_id: int
    spec: EventSpec
    model_version: int
    _run: _Run | None = None
    _pressed: _Pressed | None = None
    _last_us: int | None = None
    _cool_until_us: dict[str, int] = field(default_factory=dict)

    def push(
        self, label: str | None, at_us: int, confidence: float, strength: float | None = None, *, once: bool = False
    ) -> Sequence[GestureEvent]:
        """Return the events that one more decision makes, in their order.

        Parameters
        ----------
        label
            None when the vote was rejected.
        at_us
            End of the decision's window; a decision from before the last one is ignored.
        once
            The label is a short dynamic gesture, and this the one decision on its performance.
        """
        last_us = self._last_us
        if last_us is not None and at_us < last_us:
            return ()
        events: list[GestureEvent] = []
        if last_us is not None and at_us - last_us >= PAUSE_US:
            events += self.lose(at_us)
        self._last_us = at_us
        if once and label is not None:
            return [*events, *self._perform(label, at_us, confidence, strength)]
        gesture = None if label == REST else label
        run = self._run
        if gesture is None:
            self._run = None
        elif run is None or run.label != gesture:
            self._run = run = _Run(gesture, at_us)
        if gesture is not None:
            assert run is not None
            run.add(confidence, strength)
        if self._pressed is not None:
            events += self._go_on(self._pressed, gesture, at_us, confidence, strength)
        if self._pressed is None and self._run is not None:
            events += self._press(self._run, at_us)
        return events

    def lose(self, now_us: int) -> list[GestureEvent]:
        """Return the release of what is pressed, when no decision has come for ``PAUSE_US`` before a time.

        Its time is that of the last decision and ``PAUSE_US``, whenever it is asked for.
        """
        if self._last_us is None or now_us - self._last_us < PAUSE_US:
            return []
        return self.end("signal lost", self._last_us + PAUSE_US)

    def end(self, reason: EndReason, at_us: int) -> list[GestureEvent]:
        """Return the release of what is pressed; nothing goes on across this."""
        pressed, self._run = self._pressed, None
        return [] if pressed is None else [self._release(pressed, at_us, reason)]

    def is_idle(self, since_us: int) -> bool:
        """Return whether the last decision was before a time, and nothing is pressed."""
        return self._pressed is None and (self._last_us is None or self._last_us < since_us)

    @property
    def pressed(self) -> str | None:
        """The gesture that is pressed."""
        return None if self._pressed is None else self._pressed.run.label

    def _go_on(
        self, pressed: _Pressed, gesture: str | None, at_us: int, confidence: float, strength: float | None
    ) -> list[GestureEvent]:
        times = self.spec.of(pressed.run.label)
        if gesture != pressed.run.label:
            if pressed.other_since_us is None:
                pressed.other_since_us = at_us
            is_over = at_us - pressed.other_since_us >= 1000 * times.release_ms
            if is_over and at_us - pressed.at_us >= 1000 * times.min_ms:
                return [self._release(pressed, at_us, "let go")]
            return []
        pressed.other_since_us = None
        if self._run is not pressed.run:  # after a lapse
            self._run = pressed.run
            pressed.run.add(confidence, strength)
        if not pressed.is_held and times.hold_ms and at_us - pressed.at_us >= 1000 * times.hold_ms:
            pressed.is_held = True
            return [self._event("hold", pressed.run, at_us, pressed.at_us)]
        return []

    def _press(self, run: _Run, at_us: int) -> list[GestureEvent]:
        is_cool = at_us >= self._cool_until_us.get(run.label, at_us)
        if not is_cool or at_us - run.begun_us < 1000 * self.spec.of(run.label).dwell_ms:
            return []
        self._pressed = _Pressed(run, at_us)
        return [self._event("press", run, at_us, at_us)]

    def _perform(self, label: str, at_us: int, confidence: float, strength: float | None) -> list[GestureEvent]:
        if at_us < self._cool_until_us.get(label, at_us):
            return []
        self._cool_until_us[label] = at_us + 1000 * self.spec.of(label).cooldown_ms
        run = _Run(label, at_us)
        run.add(confidence, strength)
        press, release = (self._event(kind, run, at_us, at_us) for kind in ("press", "release"))
        return [press, release]

    def _release(self, pressed: _Pressed, at_us: int, reason: EndReason) -> GestureEvent:
        self._pressed = None
        label = pressed.run.label
        self._cool_until_us[label] = at_us + 1000 * self.spec.of(label).cooldown_ms
        return self._event("release", pressed.run, at_us, pressed.at_us, reason)

    def _event(self, kind: EventKind, run: _Run, at_us: int, pressed_us: int, reason: EndReason = "") -> GestureEvent:
        return GestureEvent(
            user_id=self.user_id,
            kind=kind,
            gesture=run.label,
            at_us=at_us,
            begun_us=run.begun_us,
            pressed_us=pressed_us,
            confidence=run.confidence / run.decisions,
            strength=run.strength / run.strengths if run.strengths else None,
            model_version=self.model_version,
            reason=reason,
        )
