"""The gesture bank: rest is always in it, labels are not lost by accident."""

from __future__ import annotations

import pytest

from semg.domain import REST
from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import gestures, sessions
from semg.store.pool import Pool
from testing.kits.store_data import Filled


def names(pool: Pool, user_id: int) -> list[str]:
    with pool.transaction() as tx:
        return [gesture.name for gesture in gestures.list_gestures(tx, user_id)]


def test_new_gestures_come_last(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        fist = gestures.insert_gesture(tx, user_id, " fist ", "closed hand")
        gestures.insert_gesture(tx, user_id, "point")
        gesture = gestures.get_gesture(tx, fist)
    assert names(pool, user_id) == [REST, "fist", "point"]
    assert (gesture.user_id, gesture.name, gesture.description) == (user_id, "fist", "closed hand")


@pytest.mark.parametrize("name", ["", "x" * 101, "a\tb"])
def test_name_that_does_not_fit_is_refused(pool: Pool, make_profile, name: str) -> None:
    user_id = make_profile("Ada")
    with pytest.raises(InvalidValueError, match="^name: "), pool.transaction() as tx:
        gestures.insert_gesture(tx, user_id, name)


def test_name_twice_in_a_bank_is_a_conflict(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        fist = gestures.insert_gesture(tx, user_id, "fist")
    with pytest.raises(ConflictError, match="already has 'rest'"), pool.transaction() as tx:
        gestures.insert_gesture(tx, user_id, REST)
    with pytest.raises(ConflictError, match="already has 'rest'"), pool.transaction() as tx:
        gestures.update_gesture(tx, fist, name=REST)


def test_rest_cannot_be_deleted_or_renamed(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        rest = gestures.list_gestures(tx, user_id)[0].gesture_id
    with pytest.raises(ConflictError, match="rest"), pool.transaction() as tx:
        gestures.delete_gesture(tx, rest, force=True)
    with pytest.raises(ConflictError, match="rest keeps its name"), pool.transaction() as tx:
        gestures.update_gesture(tx, rest, name="idle")
    with pool.transaction() as tx:
        gestures.update_gesture(tx, rest, description="hand on the table")
    assert names(pool, user_id) == [REST]


def test_gesture_with_repetitions_is_deleted_only_by_force(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        fist = gestures.ensure_gestures(tx, filled.user_id, ["fist"])["fist"]
    with pytest.raises(ConflictError, match="'fist' has 2 recorded repetitions"), pool.transaction() as tx:
        gestures.delete_gesture(tx, fist)
    with pool.transaction() as tx:
        assert gestures.delete_gesture(tx, fist, force=True) == 2
        assert sessions.list_repetitions(tx, [filled.session_id, filled.imported_id]) == []
    assert names(pool, filled.user_id) == [REST]


def test_ensure_adds_only_what_is_missing(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        first = gestures.ensure_gestures(tx, user_id, ["fist", REST, "fist"])
        second = gestures.ensure_gestures(tx, user_id, ["point", "fist"])
    assert set(first) == {"fist", REST}
    assert second["fist"] == first["fist"]
    assert names(pool, user_id) == [REST, "fist", "point"]


def test_reorder_wants_exactly_the_bank(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        ids = gestures.ensure_gestures(tx, user_id, [REST, "fist", "point"])
        gestures.reorder_gestures(tx, user_id, [ids["point"], ids[REST], ids["fist"]])
    assert names(pool, user_id) == ["point", REST, "fist"]
    for wrong in ([ids["point"]], [ids["point"], ids["point"], ids[REST]], [*ids.values(), 999]):
        with pytest.raises(InvalidValueError, match="gesture_ids"), pool.transaction() as tx:
            gestures.reorder_gestures(tx, user_id, wrong)


def test_bank_is_copied_without_doubles(pool: Pool, make_profile) -> None:
    source, target = make_profile("Ada"), make_profile("Bo")
    with pool.transaction() as tx:
        gestures.insert_gesture(tx, source, "fist", "closed hand")
        gestures.insert_gesture(tx, source, "point")
        gestures.insert_gesture(tx, target, "point")
        assert gestures.copy_bank(tx, source, target) == 1
        assert gestures.copy_bank(tx, source, target) == 0
        assert gestures.list_gestures(tx, target)[-1].description == "closed hand"
    assert names(pool, target) == [REST, "point", "fist"]


def test_gesture_of_no_profile_is_not_found(pool: Pool) -> None:
    with pytest.raises(NotFoundError, match="no profile 999"), pool.transaction() as tx:
        gestures.insert_gesture(tx, 999, "fist")


def test_kind_of_a_gesture_is_stored_copied_and_that_of_what_was_recorded(pool: Pool, make_profile) -> None:
    source, target = make_profile("Ada"), make_profile("Bo")
    with pool.transaction() as tx:
        snap = gestures.insert_gesture(tx, source, "snap", kind="dynamic")
        fist = gestures.insert_gesture(tx, source, "fist")
        assert [gestures.get_gesture(tx, one).kind for one in (snap, fist)] == ["dynamic", "held"]
        gestures.update_gesture(tx, fist, kind="dynamic")
        gestures.update_gesture(tx, snap, description="thumb and middle finger")
        gestures.copy_bank(tx, source, target)
        kinds = {one.name: one.kind for one in gestures.list_gestures(tx, target)}
    assert kinds == {REST: "held", "snap": "dynamic", "fist": "dynamic"}


def test_rest_is_held_and_other_kinds_are_refused(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        (rest,) = (one.gesture_id for one in gestures.list_gestures(tx, user_id))
    with pytest.raises(InvalidValueError, match="rest is held"), pool.transaction() as tx:
        gestures.update_gesture(tx, rest, kind="dynamic")
    with pytest.raises(InvalidValueError, match="held or dynamic"), pool.transaction() as tx:
        gestures.insert_gesture(tx, user_id, "wave", kind="shaken")  # type: ignore[arg-type]
