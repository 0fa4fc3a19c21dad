"""Gesture events in the order of their numbers, which are assigned here."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from semg.domain import us_from_utc
from semg.errors import StoreUnavailableError
from semg.event_types import EndReason, GestureEvent
from semg.store.pool import Transaction, rows, savepoint

logger = logging.getLogger(__name__)
MOST_LISTED = 1000
_COLUMNS = """user_id, sequence, kind, gesture, at, begun_at, pressed_at, confidence, strength, model_version, reason"""


def insert_events(tx: Transaction, events: Sequence[GestureEvent]) -> list[GestureEvent]:
    """Store events, and return them with their numbers, in the given order, without those of profiles that are gone.

    A profile's events are numbered in the given order, without a hole, whoever stores others at the same time.
    """
    if not events:
        return []
    columns: list[list[Any]] = [
        [event.user_id for event in events],
        [event.kind for event in events],
        [event.gesture for event in events],
        [event.at_us for event in events],
        [event.begun_us for event in events],
        [event.pressed_us for event in events],
        [event.confidence for event in events],
        [event.strength for event in events],
        [event.model_version for event in events],
        [event.reason for event in events],
    ]
    found = rows(
        tx,
        """
        WITH there AS (
            SELECT user_id FROM profiles WHERE user_id = ANY(%s::bigint[]) ORDER BY user_id FOR KEY SHARE
        ), given AS (
            SELECT g.*, row_number() OVER (PARTITION BY g.user_id ORDER BY g.place) AS number,
                   count(*) OVER (PARTITION BY g.user_id) AS n
            FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::real[],
                        %s::real[], %s::integer[], %s::text[]) WITH ORDINALITY
                 AS g(user_id, kind, gesture, at_us, begun_us, pressed_us, confidence, strength, model_version, reason,
                      place)
            JOIN there USING (user_id)
        ), counted AS (
            INSERT INTO event_counters AS c (user_id, last)
            SELECT DISTINCT user_id, n FROM given ORDER BY user_id
            ON CONFLICT (user_id) DO UPDATE SET last = c.last + EXCLUDED.last
            RETURNING c.user_id, c.last
        ), stored AS (
            INSERT INTO gesture_events (user_id, sequence, kind, gesture, at, begun_at, pressed_at, confidence,
                                        strength, model_version, reason)
            SELECT g.user_id, c.last - g.n + g.number, g.kind, g.gesture,
                   timestamptz 'epoch' + g.at_us * interval '1 microsecond',
                   timestamptz 'epoch' + g.begun_us * interval '1 microsecond',
                   timestamptz 'epoch' + g.pressed_us * interval '1 microsecond',
                   g.confidence, g.strength, g.model_version, g.reason
            FROM given g JOIN counted c USING (user_id)
        )
        SELECT g.place, c.last - g.n + g.number AS sequence FROM given g JOIN counted c USING (user_id) ORDER BY g.place
        """,
        (sorted(set(columns[0])), *columns),
    )
    return [replace(events[row.place - 1], sequence=row.sequence) for row in found]


def find_stored(tx: Transaction, events: Sequence[GestureEvent]) -> dict[int, int]:
    """Return the numbers of those of some events that are stored already, by their index in the given ones."""
    found = rows(
        tx,
        """
        SELECT g.place - 1 AS index, e.sequence
        FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[]) WITH ORDINALITY
             AS g(user_id, kind, gesture, at_us, place)
        JOIN gesture_events e ON e.user_id = g.user_id AND e.kind = g.kind AND e.gesture = g.gesture
             AND e.at = timestamptz 'epoch' + g.at_us * interval '1 microsecond'
        """,
        (
            [event.user_id for event in events],
            [event.kind for event in events],
            [event.gesture for event in events],
            [event.at_us for event in events],
        ),
    )
    return {row.index: row.sequence for row in found}


def insert_possible(tx: Transaction, events: Sequence[GestureEvent]) -> tuple[list[GestureEvent], list[GestureEvent]]:
    """Store events, and return those with their numbers, and those that cannot be stored: these keep no others from it.

    Raises
    ------
    StoreUnavailableError
        The database is away.
    """
    try:
        with savepoint(tx):
            return insert_events(tx, events), []
    except StoreUnavailableError:
        raise
    except Exception as exc:  # whatever it is: the events of all profiles are in here
        if len(events) == 1:
            return [], list(events)
        logger.warning("%d events are stored one by one: %s", len(events), exc, exc_info=exc)
    stored: list[GestureEvent] = []
    refused: list[GestureEvent] = []
    for event in events:
        done, not_done = insert_possible(tx, [event])
        stored += done
        refused += not_done
    return stored, refused


def list_events(tx: Transaction, user_id: int, after: int = 0, limit: int = MOST_LISTED) -> list[GestureEvent]:
    """Return a profile's events behind a number, the oldest first."""
    query = f"SELECT {_COLUMNS} FROM gesture_events WHERE user_id = %s AND sequence > %s ORDER BY sequence LIMIT %s"  # noqa: S608
    return [_event(row) for row in rows(tx, query, (user_id, after, min(limit, MOST_LISTED)))]


def list_between(
    tx: Transaction, user_id: int, since: datetime, until: datetime, limit: int = MOST_LISTED
) -> list[GestureEvent]:
    """Return the newest ``limit`` events of a time, the oldest first."""
    query = f"""
        SELECT {_COLUMNS} FROM gesture_events WHERE user_id = %s AND at >= %s AND at < %s
        ORDER BY sequence DESC LIMIT %s
    """  # noqa: S608
    return [_event(row) for row in reversed(rows(tx, query, (user_id, since, until, limit)))]


def find_last(tx: Transaction, user_id: int) -> int:
    """Return the number of a profile's newest event; 0 before the first one."""
    found = rows(tx, "SELECT last FROM event_counters WHERE user_id = %s", (user_id,))
    return int(found[0].last) if found else 0


def list_pressed(tx: Transaction, user_ids: Collection[int] | None = None) -> list[GestureEvent]:
    """Return the newest press or hold of each profile whose newest event is one; None: of all profiles."""
    query = f"""
        SELECT {_COLUMNS} FROM event_counters c JOIN gesture_events e USING (user_id)
        WHERE e.sequence = c.last AND e.kind <> 'release' AND (%(ids)s::bigint[] IS NULL OR user_id = ANY(%(ids)s))
        ORDER BY user_id
    """  # noqa: S608
    return [_event(row) for row in rows(tx, query, {"ids": None if user_ids is None else list(user_ids)})]


def _event(row: Any) -> GestureEvent:
    reason: EndReason = row.reason
    return GestureEvent(
        user_id=row.user_id,
        kind=row.kind,
        gesture=row.gesture,
        at_us=us_from_utc(row.at),
        begun_us=us_from_utc(row.begun_at),
        pressed_us=us_from_utc(row.pressed_at),
        confidence=row.confidence,
        strength=row.strength,
        model_version=row.model_version,
        reason=reason,
        sequence=row.sequence,
    )
