"""Whom simulated arms send for: read from the database, with the plan that runs; and which of them have to end."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from semg.domain import Device, Session
from semg.errors import SettingsError
from semg.process.attempts import Attempts
from semg.security.board_keys import decrypt_key
from semg.security.keys import Secret
from semg.simulation import arms
from semg.store import boards, profiles, simulated_arms
from semg.store.audit import Actor
from semg.store.pool import Transaction, savepoint
from semg.store.running_captures import find_running
from semg.store.simulated_arms import SimulatedArm

logger = logging.getLogger(__name__)

SERVICE = "simulator"
ACTOR = Actor(service=SERVICE)


@dataclass(frozen=True, slots=True)
class Assignments:
    """All arms at a moment: those that may send, and those that may not any more."""

    sending: tuple[Assignment, ...] = ()
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An arm that may not send any more, and why."""

    arm: SimulatedArm
    why: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """An arm that sends now: its board's key, the device that it simulates, and the capture that runs, if one does."""

    arm: SimulatedArm
    key: bytes = field(repr=False)
    device: Device
    session: Session | None


class AssignmentReader:
    """Reads the arms with everything that sending needs; keys are decrypted once."""

    def __init__(self, keys: Secret) -> None:
        self._secret = keys
        self._keys: dict[int, tuple[bytes, bytes | None]] = {}
        self._attempts = Attempts(logger, "simulated arms")

    def read(self, tx: Transaction) -> Assignments:
        """Return the arms by profile.

        One sends while its board has a key and is assigned to its profile, the person agrees to being recorded, and the
        device's range is one that it can send: a device may be changed after the arm was started.
        """
        found = simulated_arms.list_arms(tx)
        if not found:
            self._keys.clear()
            return Assignments()
        known = {board.board_id: board for board in boards.list_boards(tx)}
        devices = {device.user_id: device for device in profiles.list_devices(tx)}
        made, refused = list[Assignment](), list[Refusal]()

        def read_one(arm: SimulatedArm) -> None:
            board, device = known.get(arm.board_id), devices.get(arm.user_id)
            key = None if board is None else self._key(arm.board_id, board.key_encrypted)
            if board is None or key is None or device is None or board.user_id != arm.user_id or not device.consented:
                refused.append(Refusal(arm, "its board, key or consent was taken away"))
            elif unfit := arms.why_unfit(device):
                refused.append(Refusal(arm, unfit))
            else:
                with savepoint(tx):
                    made.append(Assignment(arm, key, device, find_running(tx, arm.user_id)))

        for arm in found:
            self._attempts.attempt(arm.user_id, partial(read_one, arm), user_id=arm.user_id)
        self._attempts.keep({arm.user_id for arm in found})
        return Assignments(tuple(made), tuple(refused))

    def _key(self, board_id: int, stored: bytes | None) -> bytes | None:
        if stored is None:
            return None
        cached = self._keys.get(board_id)
        if cached is None or cached[0] != stored:
            try:
                cached = stored, decrypt_key(self._secret, board_id, stored)
            except SettingsError as exc:
                logger.error("the simulated arm cannot send: %s", exc)
                cached = stored, None
            self._keys[board_id] = cached
        return cached[1]


def keep_in_order(
    tx: Transaction, assigned: Assignments, now: datetime, hours: float, attempts: Attempts | None = None
) -> None:
    """Note what is in use and what it records, stop arms that may not send or that nobody uses, remove left boards.

    What goes wrong with one arm (its profile is locked, for instance) is noted in the attempts, and it is looked at
    again in the next round.
    """
    attempts = Attempts(logger, "simulated arms") if attempts is None else attempts

    def keep_one(one: Assignment) -> None:
        with savepoint(tx):
            if one.session is not None:
                simulated_arms.touch_arm(tx, one.arm.user_id)
                if not one.session.simulated:
                    simulated_arms.mark_session(tx, one.session.session_id)
            elif now - one.arm.used_at > timedelta(hours=hours):
                _stop(tx, one.arm, f"not used for {hours:g} hours")

    def refuse(refusal: Refusal) -> None:
        with savepoint(tx):
            _stop(tx, refusal.arm, refusal.why)

    def tidy() -> None:
        with savepoint(tx):
            simulated_arms.delete_left_boards(tx)

    for one in assigned.sending:
        attempts.attempt(one.arm.user_id, partial(keep_one, one), user_id=one.arm.user_id)
    for refusal in assigned.refused:
        attempts.attempt(refusal.arm.user_id, partial(refuse, refusal), user_id=refusal.arm.user_id)
    attempts.attempt("left boards", tidy)


def _stop(tx: Transaction, arm: SimulatedArm, why: str) -> None:
    stopped = arms.stop(tx, arm.user_id, ACTOR, arm.board_id)
    if stopped is None:
        return
    logger.info("simulated arm stopped: %s", why, extra={"user_id": arm.user_id})
    if stopped.withheld is not None:
        logger.warning(
            "board %d is assigned to nobody: its key was changed while it was set aside for a simulated arm",
            stopped.withheld.board_id,
            extra={"user_id": arm.user_id},
        )
