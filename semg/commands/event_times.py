"""When a profile's decisions become gesture events."""

from __future__ import annotations

from collections.abc import Mapping

from semg.commands.acting import Acting
from semg.event_types import EventTimes
from semg.store import audit, event_settings
from semg.store.pool import Transaction


def change_event_times(
    tx: Transaction,
    who: Acting,
    user_id: int,
    times: EventTimes | None = None,
    own: Mapping[int, Mapping[str, int]] | None = None,
) -> None:
    """Change the event times of a profile, and those that gestures have of their own; None: as they are.

    Parameters
    ----------
    own
        By the gesture's number; a gesture with none here goes by the profile's.

    Raises
    ------
    NotFoundError, AccessError
        As ``Acting.require``; or the profile has no such gesture.
    InvalidValueError
        A time is out of its range; the message names it.
    """
    who.require(tx, user_id, "work")
    if times is not None:
        event_settings.set_event_times(tx, user_id, times)
    if own is not None:
        before = event_settings.list_own_times(tx, user_id)
        for gesture_id in sorted({*before, *own}):
            changes = own.get(gesture_id, {})
            if changes != before.get(gesture_id, {}):
                event_settings.set_own_times(tx, user_id, gesture_id, changes)
    audit.record(tx, who.actor, "profile.changed", user_id)
