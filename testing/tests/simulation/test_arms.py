"""Simulated arms in the database: who may have one, what it takes the place of, what is marked, when it ends."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from semg import clock
from semg.board_types import Board
from semg.capture.plan import make_plan
from semg.consent_types import NewConsent
from semg.errors import ConflictError, ConsentError, InvalidValueError, NotFoundError, StoreUnavailableError
from semg.privacy.consent import TEST_PERSON
from semg.security.board_keys import decrypt_key, make_board, renew_key
from semg.settings import Settings
from semg.simulation import arms
from semg.simulation.assignments import AssignmentReader, keep_in_order
from semg.simulation.streaming import Simulator
from semg.store import accounts, audit, boards, consents, profiles, sessions, simulated_arms
from semg.store.audit import Actor
from semg.store.pool import Pool, Transaction, execute, rows
from semg.store.simulated_arms import Steering
from testing.kits.store_data import T0

KEYS = "k" * 48
ADA = Actor("ada")


def person(tx: Transaction, name: str = "Ada", **fields: object) -> int:
    settings = {"channels": ("a0", "a1"), "rate_hz": 200.0, "consent": TEST_PERSON} | fields
    return profiles.insert_profile(tx, name, **settings)  # type: ignore[arg-type]


def start(tx: Transaction, user_id: int, most: int = 8, actor: Actor = ADA) -> simulated_arms.SimulatedArm:
    return arms.start(tx, KEYS, user_id, actor, arms.Limits(most, 8))


def board_of(tx: Transaction, user_id: int) -> Board | None:
    return next((board for board in boards.list_boards(tx) if board.user_id == user_id), None)


def actions(tx: Transaction, user_id: int) -> list[str]:
    return [one.action for one in audit.list_entries(tx, user_id=user_id)][::-1]


def capture(tx: Transaction, user_id: int, name: str) -> int:
    device, plan = profiles.get_profile(tx, user_id).device, make_plan(["fist"], 1, 2, 2, 0, False, 0)
    return sessions.insert_session(
        tx, user_id, name, "capture", clock.utc_now(), status="recording", plan=plan, device=device
    )


def test_arm_takes_the_place_of_a_board_and_gives_it_back(pool: Pool) -> None:
    with pool.transaction() as tx:
        user_id = person(tx)
        own = boards.insert_board(tx, "Left band")
        boards.assign_board(tx, own, user_id)
        arm = start(tx, user_id)
        assert start(tx, user_id) == arm, "a second press starts no second arm"
        board = board_of(tx, user_id)
        assert board is not None
        assert (board.board_id, board.name, board.simulated) == (arm.board_id, "Simulated arm", True)
        assert arm.former_board_id == own
        assert len(decrypt_key(KEYS, board.board_id, board.key_encrypted or b"")) == 32
        assert arms.stop(tx, user_id, ADA)
        assert not arms.stop(tx, user_id, ADA)
        assert [(one.board_id, one.user_id) for one in boards.list_boards(tx)] == [(own, user_id)]
        assert simulated_arms.find_arm(tx, user_id) is None
    with pool.transaction() as tx:
        assert actions(tx, user_id) == ["board.released", "board.assigned", "board.erased", "board.assigned"]


def test_board_that_has_found_another_place_stays_there(pool: Pool) -> None:
    with pool.transaction() as tx:
        ada, bob, own = person(tx), person(tx, "Bob"), boards.insert_board(tx, "Left band")
        boards.assign_board(tx, own, ada)
        start(tx, ada)
        boards.assign_board(tx, own, bob)
        arms.stop(tx, ada, ADA)
        assert board_of(tx, ada) is None
        boards.assign_board(tx, own, ada)
        start(tx, ada)
        other = boards.insert_board(tx, "Right band")
        boards.assign_board(tx, other, ada)
        arms.stop(tx, ada, ADA)
        found = board_of(tx, ada)
        assert found is not None
        assert found.board_id == other


def test_board_that_is_set_aside_stays_its_profiles_with_its_key(pool: Pool) -> None:
    with pool.transaction() as tx:
        ada, (own, _) = person(tx), make_board(tx, KEYS, "Left band")
        boards.assign_board(tx, own, ada)
        start(tx, ada)
        board = boards.get_board(tx, own)
        assert (board.user_id, board.set_aside_for, board.belongs_to) == (None, ada, ada)
        with pytest.raises(ConflictError, match="stop the simulated arm first"):
            renew_key(tx, KEYS, own)
        assert boards.get_board(tx, own) == board
        arms.stop(tx, ada, ADA)
        board = boards.get_board(tx, own)
        assert (board.user_id, board.set_aside_for, board.belongs_to) == (ada, None, ada)
        renew_key(tx, KEYS, own)
        start(tx, ada)
        boards.assign_board(tx, own, person(tx, "Bob"))
        assert boards.get_board(tx, own).set_aside_for is None
        boards.assign_board(tx, own, None)
        assert boards.get_board(tx, own).belongs_to is None, "it was given away meanwhile"


def test_board_with_another_key_than_before_is_not_given_back(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with pool.transaction() as tx:
        people = [person(tx, name) for name in ("changed", "rotated", "revoked", "by itself")]
        changed, rotated, revoked, by_itself = people
        own = {one: make_board(tx, KEYS, f"band {one}")[0] for one in people}
        for one in people:
            boards.assign_board(tx, own[one], one)
            start(tx, one)
        for one in (changed, by_itself):
            boards.set_key(tx, own[one], b"a stranger's")
        before = boards.get_board(tx, own[rotated]).key_encrypted
        assert boards.replace_encrypted(tx, own[rotated], before or b"", b"the same key, encrypted anew")
        boards.revoke_key(tx, own[revoked])
        stopped = arms.stop(tx, changed, ADA)
        assert stopped is not None
        assert stopped.withheld == boards.get_board(tx, own[changed])
        assert stopped.given_back is None
        assert stopped.withheld.belongs_to is None
        for one in (rotated, revoked):
            stopped = arms.stop(tx, one, ADA)
            assert stopped is not None
            assert stopped.withheld is None
            assert boards.get_board(tx, own[one]).user_id == one
        execute(tx, "UPDATE simulated_arms SET used_at = now() - interval '9 hours'")
    with pool.transaction() as tx:
        keep_in_order(tx, AssignmentReader(KEYS).read(tx), clock.utc_now(), 4.0)
        assert boards.get_board(tx, own[by_itself]).user_id is None
    assert f"board {own[by_itself]} is assigned to nobody: its key was changed" in caplog.text


def test_account_has_its_share_of_the_arms(pool: Pool) -> None:
    limits = arms.Limits(5, 2)
    with pool.transaction() as tx:
        for login in ("ada", "bob"):
            accounts.insert_account(tx, login, "", "researcher")
        first, second, third, fourth = (person(tx, name) for name in ("1", "2", "3", "4"))
        for one in (first, second):
            arms.start(tx, KEYS, one, ADA, limits)
        with pytest.raises(ConflictError, match=r"this account has started 2 .*SIMULATED_ARMS_EACH"):
            arms.start(tx, KEYS, third, ADA, limits)
        assert arms.start(tx, KEYS, first, ADA, limits).user_id == first, "it has one already"
        arms.start(tx, KEYS, third, Actor("bob"), limits)
        arms.stop(tx, first, Actor("bob"))
        arms.start(tx, KEYS, fourth, ADA, limits)
        for number in range(2):
            arms.start(tx, KEYS, person(tx, f"tool {number}"), Actor(service="tool"), limits)
        with pytest.raises(ConflictError, match="5 are running"):
            arms.start(tx, KEYS, first, Actor("bob"), limits)
        arms.stop(tx, third, ADA)
        with pytest.raises(ConflictError, match="this account has started 2"):
            arms.start(tx, KEYS, first, Actor(service="another tool"), limits)


def test_arm_whose_device_it_can_no_longer_be_is_stopped_and_says_why(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ranges = ((-1e9, 1e9), (0.0, 1e-9), (0.2, 0.4), (0.0, 40_000.0), (0.0, 100.0))
    with pool.transaction() as tx:
        used = person(tx)
        changed = [person(tx, f"{low} to {high}") for low, high in ranges]
        for one in (used, *changed):
            start(tx, one)
        for one, (low, high) in zip(changed, ranges, strict=True):
            device = profiles.get_profile(tx, one).device
            profiles.update_device(tx, replace(device, adc_min=low, adc_max=high))
        assigned = AssignmentReader(KEYS).read(tx)
        assert [one.arm.user_id for one in assigned.sending] == [used]
        keep_in_order(tx, assigned, clock.utc_now(), 4.0)
        assert [arm.user_id for arm in simulated_arms.list_arms(tx)] == [used]
    assert caplog.text.count("whole numbers of 16 bits first") == len(ranges)


def test_who_may_not_have_an_arm_is_told_why(pool: Pool) -> None:
    with pool.transaction() as tx:
        silent = person(tx, "Cy", consent=None)
        with pytest.raises(ConsentError, match="has not agreed to being recorded"):
            start(tx, silent)
        with pytest.raises(NotFoundError):
            start(tx, 999_999)
        wide = person(tx, "Di", adc_min=0.0, adc_max=16_777_215.0)
        with pytest.raises(ConflictError, match="whole numbers of 16 bits"):
            start(tx, wide)
        ada, bob = person(tx), person(tx, "Bob")
        start(tx, ada, most=1)
        with pytest.raises(ConflictError, match=r"stop another simulated arm first: 1 are running"):
            start(tx, bob, most=1)
        assert boards.list_boards(tx) == [board_of(tx, ada)]
        with pytest.raises(ConflictError, match="has stopped meanwhile"):
            simulated_arms.update_steering(tx, bob, Steering())
        for wrong in ({"strength": 3.0}, {"rotation": -2.5}, {"loss": 0.6}, {"loose_channel": 16}, {"gesture": ""}):
            with pytest.raises(InvalidValueError):
                simulated_arms.update_steering(tx, ada, Steering(**wrong))  # type: ignore[arg-type]
        steered = Steering(gesture="fist", strength=0.5, rotation=1.5, loose_channel=1, loose_flat=True, hum=0.4,
                           loss=0.1, fatigue=0.0, mistakes=0.25)  # fmt: skip
        simulated_arms.update_steering(tx, ada, steered)
        made = simulated_arms.find_arm(tx, ada)
        assert made is not None
        assert made.steering == steered


def test_what_an_arm_records_is_marked_and_nothing_else(pool: Pool) -> None:
    with pool.transaction() as tx:
        ada, bob = person(tx), person(tx, "Bob")
        before = capture(tx, ada, "before")
        sessions.finish_session(tx, before, clock.utc_now() + timedelta(seconds=1))
        running, others = capture(tx, ada, "running"), capture(tx, bob, "another's")
        start(tx, ada)
        sessions.finish_session(tx, running, clock.utc_now() + timedelta(seconds=2))
        after = capture(tx, ada, "after")
        device = profiles.get_profile(tx, ada).device
        until = T0 + timedelta(seconds=1)
        file = sessions.insert_session(tx, ada, "file", "import", T0, until, status="completed", device=device)
        taught = sessions.insert_session(tx, ada, "taught", "taught", T0, until, status="completed", device=device)
        known = (before, running, others, after, file, taught)
        marked = {one: sessions.get_session(tx, one).simulated for one in known}
    assert marked == {before: False, running: True, others: False, after: True, file: False, taught: True}


def test_arm_ends_without_use_consent_or_board_and_with_its_profile(pool: Pool) -> None:
    reader = AssignmentReader(KEYS)

    def in_order(hours: float = 4.0) -> set[int]:
        with pool.transaction() as tx:
            assigned = reader.read(tx)
            keep_in_order(tx, assigned, clock.utc_now(), hours)
            return {arm.user_id for arm in simulated_arms.list_arms(tx)}

    with pool.transaction() as tx:
        people = [person(tx, name) for name in ("used", "unused", "recording", "withdrawn", "revoked", "moved", "gone")]
        used, unused, recording, withdrawn, revoked, moved, gone = people
        started = {one: start(tx, one) for one in people}
        execute(tx, "UPDATE simulated_arms SET used_at = now() - interval '5 hours' WHERE user_id = ANY(%s)",
                ([unused, recording],))  # fmt: skip
        capture(tx, recording, "long")
    assert in_order(hours=6.0) == set(people)
    with pool.transaction() as tx:
        consents.insert_consent(tx, withdrawn, NewConsent((), TEST_PERSON.text))
        boards.revoke_key(tx, started[revoked].board_id)
        boards.assign_board(tx, boards.insert_board(tx, "real"), moved)
        profiles.delete_profile(tx, gone)
    assert in_order() == {used, recording}
    with pool.transaction() as tx:
        left = {board.name: board.user_id for board in boards.list_boards(tx) if not board.simulated}
        assert left == {"real": moved}
        assert {board.user_id for board in boards.list_boards(tx) if board.simulated} == {used, recording}
        (touched,) = rows(tx, "SELECT now() - used_at < interval '1 minute' AS is_new FROM simulated_arms "
                              "WHERE user_id = %s", (recording,))  # fmt: skip
        assert touched.is_new


class Interrupted(Pool):
    """A pool whose database can be away."""

    is_away = False

    def _take(self):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise StoreUnavailableError("away")
        return super()._take()


def test_arm_goes_on_while_the_database_is_away(settings: Settings, pool: Pool) -> None:
    interrupted = Interrupted(settings, name="test")
    simulator, stop = Simulator(settings, interrupted), threading.Event()
    with pool.transaction() as tx:
        start(tx, person(tx))
    thread = threading.Thread(target=simulator.run, args=(stop,))
    thread.start()
    patience = threading.Event()

    def wait_for(reached: int) -> None:
        for _ in range(3000):
            if simulator.sent >= reached:
                return
            patience.wait(0.01)
        pytest.fail(f"{reached} datagrams were not sent, but {simulator.sent}")

    try:
        wait_for(10)
        interrupted.is_away = True
        wait_for(simulator.sent + 50)  # a second
        assert simulator.metrics()["arms"] == 1
        interrupted.is_away = False
        with pool.transaction() as tx:
            (arm,) = simulated_arms.list_arms(tx)
            simulated_arms.update_steering(tx, arm.user_id, replace(arm.steering, loss=0.5))
        wait_for(simulator.sent + 20)
        assert simulator.metrics()["lost_on_purpose"] > 0
        with pool.transaction() as tx:
            arms.stop(tx, arm.user_id, ADA)
        for _ in range(3000):
            if simulator.metrics()["arms"] == 0:
                break
            patience.wait(0.01)
        assert simulator.metrics()["arms"] == 0
    finally:
        stop.set()
        thread.join(10)
        interrupted.close()
    assert not thread.is_alive()
