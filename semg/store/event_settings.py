"""When a profile's decisions become gesture events: for all of its gestures, and for those that differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from semg.errors import InvalidValueError, NotFoundError
from semg.event_types import LIMITS_MS, EventSpec, EventTimes
from semg.store import checks
from semg.store.pool import Transaction, execute, rows

_USUAL = EventTimes()


def find_event_spec(tx: Transaction, user_id: int) -> EventSpec:
    """Return a profile's event times.

    Raises
    ------
    NotFoundError
        There is no such profile.
    """
    found = list_event_specs(tx, [user_id])
    if user_id not in found:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")
    return found[user_id]


def list_event_specs(tx: Transaction, user_ids: Collection[int]) -> dict[int, EventSpec]:
    """Return the event times of those of the profiles that there are."""
    ids = (list(user_ids),)
    query = "SELECT user_id, event_times FROM profiles WHERE user_id = ANY(%s::bigint[])"
    times = {row.user_id: _USUAL.with_changes(row.event_times) for row in rows(tx, query, ids)}
    own: dict[int, dict[str, EventTimes]] = {user_id: {} for user_id in times}
    query = "SELECT user_id, name, event_times FROM gestures WHERE user_id = ANY(%s::bigint[]) AND event_times <> '{}'"
    for row in rows(tx, query, ids):
        own[row.user_id][row.name] = times[row.user_id].with_changes(row.event_times)
    return {user_id: EventSpec(found, own[user_id]) for user_id, found in times.items()}


def set_event_times(tx: Transaction, user_id: int, times: EventTimes) -> None:
    """Set the event times of a profile's gestures, except where a gesture has its own.

    Raises
    ------
    InvalidValueError
        A time is out of its range; the message names it.
    NotFoundError
        There is no such profile.
    """
    changes = {name: getattr(times, name) for name in LIMITS_MS if getattr(times, name) != getattr(_USUAL, name)}
    query = "UPDATE profiles SET event_times = %s WHERE user_id = %s"
    if execute(tx, query, (checks.as_json(_checked(changes)), user_id)) == 0:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")


def list_own_times(tx: Transaction, user_id: int) -> dict[int, dict[str, int]]:
    """Return the event times that gestures of a profile have of their own, by the gesture's number."""
    query = "SELECT gesture_id, event_times FROM gestures WHERE user_id = %s AND event_times <> '{}'"
    return {row.gesture_id: _known(row.event_times) for row in rows(tx, query, (user_id,))}


def set_own_times(tx: Transaction, user_id: int, gesture_id: int, changes: Mapping[str, int]) -> None:
    """Set the event times that a gesture has of its own; none: those of the profile hold.

    Raises
    ------
    InvalidValueError
        A time is out of its range or unknown; the message names it.
    NotFoundError
        The profile has no such gesture.
    """
    query = "UPDATE gestures SET event_times = %s WHERE gesture_id = %s AND user_id = %s"
    if execute(tx, query, (checks.as_json(_checked(changes)), gesture_id, user_id)) == 0:
        raise NotFoundError(f"profile {user_id} has no gesture {gesture_id}; it may have been deleted")


def _checked(changes: Mapping[str, int]) -> dict[str, int]:
    for name, value in changes.items():
        if name not in LIMITS_MS:
            raise InvalidValueError(name, f"expected one of {', '.join(LIMITS_MS)}, got {name!r}")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LIMITS_MS[name]:
            raise InvalidValueError(name, f"choose a whole number of ms from 0 to {LIMITS_MS[name]:,} (now {value})")
    return dict(changes)


def _known(stored: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in stored.items() if name in LIMITS_MS}
