"""Labels that are put right: moved, renamed, left out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from semg.commands.acting import Acting, changed_by, get_repetition
from semg.domain import Repetition
from semg.errors import NotFoundError
from semg.store import audit, repetitions
from semg.store.pool import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange:
    """New values of a repetition's fields; None: as it is. ``excluded`` False also clears the reason."""

    repetition_id: int
    excluded: bool | None = None
    reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    gesture_id: int | None = None


def change_labels(
    tx: Transaction, who: Acting, session_id: int, changes: Sequence[LabelChange]
) -> tuple[Repetition, ...]:
    """Change repetitions of one session, and return them as they are then.

    Raises
    ------
    NotFoundError, AccessError
        As ``get_repetition``; or one is of another session.
    InvalidValueError, ConflictError
        As ``repetitions.update_repetition``.
    """
    made = []
    user_id = 0
    for change in changes:
        before, session = get_repetition(tx, who, change.repetition_id, "work", locked=True)
        if before.session_id != session_id:
            raise NotFoundError(f"there is no repetition {change.repetition_id}; it may have been deleted")
        user_id = session.user_id
        made.append(
            repetitions.update_repetition(
                tx,
                change.repetition_id,
                excluded=change.excluded,
                reason=change.reason,
                started_at=change.started_at,
                ended_at=change.ended_at,
                gesture_id=change.gesture_id,
                changed_by=changed_by(who),
            )
        )
    if made:
        which = {"repetition": changes[0].repetition_id} if len(made) == 1 else {"repetitions": len(made)}
        audit.record(tx, who.actor, "session.changed", user_id, session_id, **which)
    return tuple(made)
