"""Start and stop simulated arms: a board of their own, the former one given back, the audit log."""

from __future__ import annotations

from semg.domain import Device
from semg.errors import ConflictError
from semg.security.board_keys import make_board
from semg.security.keys import Secret
from semg.store import boards, consents, profiles, simulated_arms
from semg.store.audit import Actor, record
from semg.store.pool import Transaction
from semg.store.simulated_arms import SimulatedArm

BOARD_NAME = "Simulated arm"
SMALLEST_SPAN, LARGEST_VALUE = 200.0, 32_767.0
"""Signed datagrams carry whole numbers of 16 bits; fewer steps would show no signal."""


def start(tx: Transaction, keys: Secret, user_id: int, actor: Actor, most: int) -> SimulatedArm:
    """Let a simulated arm send for a profile, in place of the board that is assigned to it; return the arm.

    The caller has asked whether the actor may work with the profile. Where the profile has an arm already, that one is
    returned.

    Parameters
    ----------
    keys
        The installation's keys, for the board's.
    most
        Arms that may run at the same time.

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
    simulated_arms.lock_arms(tx)
    there = simulated_arms.find_arm(tx, user_id)
    if there is not None:
        return there
    _require_range(profiles.get_profile(tx, user_id).device)
    consents.require(tx, user_id, "recording")
    n_running = len(simulated_arms.list_arms(tx))
    if n_running >= most:
        raise ConflictError(
            f"stop another simulated arm first: {n_running} are running, and this installation allows {most} at the "
            "same time (SIMULATED_ARMS_MAX)"
        )
    former = [board.board_id for board in boards.list_boards(tx) if board.user_id == user_id]
    board_id, _ = make_board(tx, keys, BOARD_NAME)
    boards.assign_board(tx, board_id, user_id)
    simulated_arms.insert_arm(tx, user_id, board_id, former[0] if former else None, seed=user_id % (1 << 31))
    for number in former:
        record(tx, actor, "board.released", user_id, board=number)
    record(tx, actor, "board.created", board=board_id)
    record(tx, actor, "board.assigned", user_id, board=board_id)
    made = simulated_arms.find_arm(tx, user_id)
    assert made is not None
    return made


def stop(tx: Transaction, user_id: int, actor: Actor, board_id: int | None = None) -> bool:
    """Stop a profile's simulated arm, and give the board back that sent before; return whether there was an arm.

    With ``board_id``, only the arm that has this board. A board that was assigned meanwhile, to this profile or the
    former one to another, stays where it is.
    """
    simulated_arms.lock_arms(tx)
    arm = simulated_arms.find_arm(tx, user_id)
    if arm is None or board_id not in (None, arm.board_id):
        return False
    simulated_arms.delete_arm(tx, user_id)
    boards.delete_board(tx, arm.board_id)
    record(tx, actor, "board.erased", user_id, board=arm.board_id)
    known = {board.board_id: board.user_id for board in boards.list_boards(tx)}
    former = arm.former_board_id
    if former is not None and known.get(former, user_id) is None and user_id not in known.values():
        boards.assign_board(tx, former, user_id)
        record(tx, actor, "board.assigned", user_id, board=former)
    return True


def _require_range(device: Device) -> None:
    span, largest = device.adc_max - device.adc_min, max(abs(device.adc_min), abs(device.adc_max))
    if span < SMALLEST_SPAN or largest > LARGEST_VALUE:
        raise ConflictError(
            "set the range of the device to whole numbers of 16 bits first, such as 0 to 4095: the simulated arm "
            f"cannot send values from {device.adc_min:g} to {device.adc_max:g}"
        )
