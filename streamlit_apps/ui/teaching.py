"""Teach this: store the seconds of the live stream that a viewer has just labelled."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from semg import clock
from semg.capture.teaching import teach
from semg.domain import Gesture, utc_from_us
from semg.errors import InvalidValueError, NotFoundError
from semg.store import blocks, gestures, profiles
from semg.store.audit import record
from ui import audit_view, errors, times
from ui.page import flash
from ui.runtime import App
from ui.text import md

STORED_WITHIN_S = 3.0
"""What was received is stored in batches: the newest samples are waited for, not longer."""
_ASK_AGAIN_S = 0.1


def store_taught(app: App, user_id: int, sent: dict[str, Any]) -> None:
    """Store what a viewer labelled, or say why not; before the page is drawn.

    Parameters
    ----------
    sent
        ``gesture``, ``length_s`` and ``end_ms``, the server's time of the newest sample that the viewer saw.
    """
    with errors.attempt_early():
        length_s, end_us = _number(sent, "length_s"), round(1000 * _number(sent, "end_ms"))
        with app.pool.transaction() as tx:
            app.require(tx, user_id, "work")
            device = profiles.get_profile(tx, user_id).device
            gesture = _gesture(gestures.list_gestures(tx, user_id), sent.get("gesture"))
        ended_at = utc_from_us(end_us + round(1e6 / device.rate_hz))
        _wait_until_stored(app, user_id, utc_from_us(end_us))
        with app.pool.transaction() as tx:
            app.require(tx, user_id, "work")
            taught = teach(
                tx,
                gesture,
                device,
                ended_at,
                length_s,
                now=clock.utc_now(),
                name=f"Taught on {times.shown(ended_at, seconds=True)}",
            )
            record(tx, audit_view.actor(app), "session.taught", user_id, taught.session_id, repetitions=1)
        flash(
            md(
                "{seconds:g} s are stored as {gesture}. Choose them in Train when you want to use them.",
                seconds=length_s,
                gesture=gesture.name,
            )
        )


def _number(sent: dict[str, Any], name: str) -> float:
    value = sent.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e14:
        raise InvalidValueError(name, "load the page again: the browser sent something that is no time")
    return float(value)


def _gesture(bank: list[Gesture], name: object) -> Gesture:
    for one in bank:
        if one.name == name:
            return one
    raise NotFoundError("choose a gesture of this profile: the one that was chosen does not exist any more")


def _wait_until_stored(app: App, user_id: int, until: datetime) -> None:
    """Return when the samples until a moment are stored, or when they should have been."""
    deadline = time.monotonic() + STORED_WITHIN_S
    while time.monotonic() < deadline:
        with app.pool.transaction() as tx:
            last = blocks.last_sample_at(tx, user_id)
        if last is None or clock.utc_now() - last > timedelta(seconds=60) or last >= until:
            return
        time.sleep(_ASK_AGAIN_S)
