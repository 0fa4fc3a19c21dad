"""Start and stop simulated arms: a board of their own, the former one given back, the audit log."""

from __future__ import annotations

from dataclasses import dataclass

from semg.board_types import Board
from semg.domain import Device
from semg.errors import ConflictError, NotFoundError
from semg.security.board_keys import make_board
from semg.security.keys import Secret
from semg.store import accounts, boards, consents, profiles, simulated_arms
from semg.store.audit import Actor, record
from semg.store.pool import Transaction
from semg.store.running_captures import lock_running
from semg.store.simulated_arms import SimulatedArm

BOARD_NAME = "Simulated arm"
SMALLEST_SPAN, LARGEST_VALUE = 200.0, 32_767.0
"""Signed datagrams carry whole numbers of 16 bits; fewer steps would show no signal."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many arms may run at the same time: of all accounts, and of those that one account has started."""

    of_all: int
    of_one: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """An arm that was stopped.

    Attributes
    ----------
    given_back
        The board that had been set aside, and sends for the profile again.
    withheld
        The board that had been set aside, and is nobody's now: it has another key than it had then.
    """

    given_back: Board | None = None
    withheld: Board | None = None


def start(tx: Transaction, keys: Secret, user_id: int, actor: Actor, limits: Limits) -> SimulatedArm:
    """Let a simulated arm send for a profile, in place of the board that is assigned to it; return the arm.

    The caller has asked whether the actor may work with the profile. Where the profile has an arm already, that one is
    returned. The board stays the profile's (``Board.belongs_to``) while it is set aside.

    Parameters
    ----------
    keys
        The installation's keys, for the board's.

    Raises
    ------
    NotFoundError
        There is no such profile.
    ConsentError
        The person does not agree to being recorded.
    ConflictError
        So many arms are running already, or the device's range cannot be sent.
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    boards.lock_for(tx, user_id)
    there = simulated_arms.find_arm(tx, user_id)
    if there is not None:
        return there
    unfit = why_unfit(profiles.get_profile(tx, user_id).device)
    if unfit:
        raise ConflictError(unfit)
    consents.require(tx, user_id, "recording")
    lock_running(tx, user_id)  # it is marked as simulated
    simulated_arms.lock_count(tx)  # last, as everybody's starts wait for it
    account = accounts.find_account(tx, actor.login) if actor.login else None
    started_by = None if account is None else account.account_id
    _require_room(tx, started_by, limits)
    former = [board.board_id for board in boards.list_boards(tx) if board.user_id == user_id]
    board_id, _ = make_board(tx, keys, BOARD_NAME, assigned_next=True)
    boards.assign_board(tx, board_id, user_id)
    seed = user_id % (1 << 31)
    simulated_arms.insert_arm(tx, user_id, board_id, former[0] if former else None, seed, started_by)
    for number in former:
        record(tx, actor, "board.released", user_id, board=number)
    record(tx, actor, "board.created", board=board_id)
    record(tx, actor, "board.assigned", user_id, board=board_id)
    made = simulated_arms.find_arm(tx, user_id)
    assert made is not None
    return made


def stop(tx: Transaction, user_id: int, actor: Actor, board_id: int | None = None) -> Stopped | None:
    """Stop a profile's simulated arm, and give the board back that sent before; return None where there was no arm.

    With ``board_id``, only the arm that has this board. A board that was assigned meanwhile, to this profile or the
    former one to another, stays where it is. One with another key than it had when it was set aside is not given back:
    who has that key could send as the profile. One whose key was revoked is, without a key.
    """
    try:
        boards.lock_for(tx, user_id)
    except NotFoundError:  # erased, and its arm with it
        return None
    arm = simulated_arms.find_arm(tx, user_id)
    if arm is None or board_id not in (None, arm.board_id):
        return None
    simulated_arms.delete_arm(tx, user_id)
    boards.delete_board(tx, arm.board_id)
    record(tx, actor, "board.erased", user_id, board=arm.board_id)
    has_another = any(board.user_id == user_id for board in boards.list_boards(tx))
    if arm.former_board_id is None or has_another:
        return Stopped()
    former = boards.lock_board(tx, arm.former_board_id)
    if former.key_made_at not in (None, arm.former_key_made_at):
        return Stopped(withheld=former)
    boards.assign_board(tx, former.board_id, user_id)
    record(tx, actor, "board.assigned", user_id, board=former.board_id)
    return Stopped(given_back=former)


def why_unfit(device: Device) -> str:
    """Return why a simulated arm cannot send what a device does, as a sentence; empty when it can."""
    span, largest = device.adc_max - device.adc_min, max(abs(device.adc_min), abs(device.adc_max))
    if span >= SMALLEST_SPAN and largest <= LARGEST_VALUE:
        return ""
    return (
        "set the range of the device to whole numbers of 16 bits first, such as 0 to 4095: the simulated arm "
        f"cannot send values from {device.adc_min:g} to {device.adc_max:g}"
    )


def _require_room(tx: Transaction, started_by: int | None, limits: Limits) -> None:
    running = simulated_arms.list_arms(tx)
    if len(running) >= limits.of_all:
        raise ConflictError(
            f"stop another simulated arm first: {len(running)} are running, and this installation allows "
            f"{limits.of_all} at the same time (SIMULATED_ARMS_MAX)"
        )
    # Those of programs and of accounts that are gone count as one account's.
    n_own = sum(arm.started_by == started_by for arm in running)
    if n_own >= limits.of_one:
        raise ConflictError(
            f"stop another simulated arm first: this account has started {n_own} that are running, and each may have "
            f"{limits.of_one} at the same time (SIMULATED_ARMS_EACH)"
        )
