"""Simulated arms: which profiles have a virtual wearer in place of a device, and how it is steered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from semg.errors import ConflictError, InvalidValueError
from semg.store import checks
from semg.store.pool import Transaction, execute, one, rows

TOUCH_EVERY_S = 60.0
"""Looking at an arm is noted once in this time."""
_STEERING = "gesture, strength, rotation, loose_channel, loose_flat, hum, loss, fatigue, mistakes"
_COLUMNS = "user_id, board_id, former_board_id, former_key_made_at, started_by, seed, since, used_at"
_SELECT = f"SELECT {_COLUMNS}, {_STEERING} FROM simulated_arms"  # noqa: S608
_RANGES = {
    "strength": (0.2, 2.0),
    "rotation": (-2.0, 2.0),
    "hum": (0.0, 1.0),
    "loss": (0.0, 0.5),
    "fatigue": (0.0, 1.0),
    "mistakes": (0.0, 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What a simulated arm does, and what is wrong with its band and its network.

    Attributes
    ----------
    gesture
        What it performs when no plan runs; None: rest. A plan that runs is always followed.
    strength
        Force of every gesture, 1 being the usual one.
    rotation
        Of the band around the arm, in distances between two electrodes.
    loose_channel
        Index of an electrode without contact, from 0; None: all have contact.
    loose_flat
        The loose electrode shows a constant in place of noise.
    hum
        Hum of the power line, 0 to 1.
    loss
        Share of the datagrams that get lost on their way, 0 to 0.5.
    fatigue
        How much the muscles tire in the course of the session, 0 to 1.
    mistakes
        Share of the prompts that are performed wrongly, 0 to 0.5.
    """

    gesture: str | None = None
    strength: float = 1.0
    rotation: float = 0.0
    loose_channel: int | None = None
    loose_flat: bool = False
    hum: float = 0.0
    loss: float = 0.0
    fatigue: float = 0.3
    mistakes: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedArm:
    """A virtual wearer that sends for a profile with a board of its own.

    Attributes
    ----------
    former_board_id
        The board that sent for the profile before, and is set aside meanwhile.
    former_key_made_at
        When the key was made that this board had then; None: it had none.
    started_by
        The account that started it; None: one that is gone, or a program.
    seed
        Determines the person: positions and strengths of the muscles.
    used_at
        When somebody last recorded with it, looked at it or steered it; about, see ``touch_arm``.
    """

    user_id: int
    board_id: int
    former_board_id: int | None
    former_key_made_at: datetime | None
    started_by: int | None
    seed: int
    since: datetime
    used_at: datetime
    steering: Steering


def find_arm(tx: Transaction, user_id: int) -> SimulatedArm | None:
    """Return the simulated arm of a profile, or None."""
    row = one(tx, _SELECT + " WHERE user_id = %s", (user_id,))
    return None if row is None else _arm(row)


def list_arms(tx: Transaction) -> list[SimulatedArm]:
    """Return all simulated arms by profile."""
    return [_arm(row) for row in rows(tx, _SELECT + " ORDER BY user_id")]


def lock_count(tx: Transaction) -> None:
    """Let nobody else start an arm until this transaction ends.

    Everybody's starts wait for this lock: it is taken after all others, and nothing is waited for while it is held.
    """
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended('simulated_arms', 0))")


def insert_arm(
    tx: Transaction,
    user_id: int,
    board_id: int,
    former_board_id: int | None,
    seed: int,
    started_by: int | None = None,
) -> None:
    """Create a profile's arm with its board, set the former board aside, and mark a running session as simulated.

    Raises
    ------
    ConflictError
        The profile has one.
    """
    with checks.refused_as(f"profile {user_id} has a simulated arm already"):
        execute(
            tx,
            "INSERT INTO simulated_arms (user_id, board_id, former_board_id, former_key_made_at, seed, started_by) "
            "VALUES (%s, %s, %s, (SELECT key_made_at FROM boards WHERE board_id = %s), %s, %s)",
            (user_id, board_id, former_board_id, former_board_id, seed, started_by),
        )
    execute(tx, "UPDATE boards SET simulated = true WHERE board_id = %s", (board_id,))
    execute(tx, "UPDATE sessions SET simulated = true WHERE user_id = %s AND status = 'recording'", (user_id,))


def update_steering(tx: Transaction, user_id: int, steering: Steering) -> None:
    """Steer a profile's arm.

    Raises
    ------
    InvalidValueError
        A value is out of its range.
    ConflictError
        The profile has no simulated arm.
    """
    values = asdict(_checked(steering))
    assignments = ", ".join(f"{name} = %({name})s" for name in values)
    statement = f"UPDATE simulated_arms SET used_at = now(), {assignments} WHERE user_id = %(user_id)s"  # noqa: S608
    if not execute(tx, statement, values | {"user_id": user_id}):
        raise ConflictError("start the simulated arm again: it has stopped meanwhile")


def touch_arm(tx: Transaction, user_id: int) -> None:
    """Note that a profile's arm is in use."""
    statement = "UPDATE simulated_arms SET used_at = now() WHERE user_id = %s AND used_at < now() - %s * interval '1 s'"
    execute(tx, statement, (user_id, TOUCH_EVERY_S))


def delete_arm(tx: Transaction, user_id: int) -> None:
    """Remove a profile's arm; without one nothing is done."""
    execute(tx, "DELETE FROM simulated_arms WHERE user_id = %s", (user_id,))


def delete_left_boards(tx: Transaction) -> int:
    """Remove boards of arms that went with their profile, and return how many."""
    return execute(
        tx,
        """
        DELETE FROM boards b
        WHERE simulated AND NOT EXISTS (SELECT FROM simulated_arms a WHERE a.board_id = b.board_id)
        """,
    )


def mark_session(tx: Transaction, session_id: int) -> None:
    """Mark a session as recorded from a simulated arm."""
    execute(tx, "UPDATE sessions SET simulated = true WHERE session_id = %s AND NOT simulated", (session_id,))


def _checked(steering: Steering) -> Steering:
    for name, (low, high) in _RANGES.items():
        value = getattr(steering, name)
        if not low <= value <= high:
            raise InvalidValueError(name, f"choose a {name} from {low:g} to {high:g} (now {value:g})")
    if steering.loose_channel is not None and not 0 <= steering.loose_channel <= 15:
        raise InvalidValueError("loose_channel", f"choose one of the channels (now number {steering.loose_channel})")
    if steering.gesture is not None:
        checks.name("gesture", steering.gesture, 200)
    return steering


def _arm(row: Any) -> SimulatedArm:
    return SimulatedArm(
        user_id=row.user_id,
        board_id=row.board_id,
        former_board_id=row.former_board_id,
        former_key_made_at=row.former_key_made_at,
        started_by=row.started_by,
        seed=row.seed,
        since=row.since,
        used_at=row.used_at,
        steering=Steering(
            gesture=row.gesture,
            strength=row.strength,
            rotation=row.rotation,
            loose_channel=row.loose_channel,
            loose_flat=row.loose_flat,
            hum=row.hum,
            loss=row.loss,
            fatigue=row.fatigue,
            mistakes=row.mistakes,
        ),
    )
