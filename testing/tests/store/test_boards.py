"""Boards: who is assigned to whom, keys that the database does not know, boots that never go back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import astuple

import pytest

from semg.domain import NEVER_SENT, HighWaterMark
from semg.errors import ConflictError, InvalidValueError, NotFoundError, StoreError
from semg.security.board_keys import make_board
from semg.store import boards, profiles
from semg.store.pool import Pool, execute, rows

SECRET = "s" * 40


def test_board_starts_without_key_profile_and_boot(pool: Pool) -> None:
    with pool.transaction() as tx:
        first, second = boards.insert_board(tx, " left arm "), boards.insert_board(tx, "left arm")
        listed = boards.list_boards(tx)
        assert listed == [boards.get_board(tx, first), boards.get_board(tx, second)]
    assert (first, second) == (1, 2)
    board = listed[0]
    assert (board.name, board.user_id, board.key_encrypted, board.last, board.key_made_at) == (
        "left arm", None, None, NEVER_SENT, None,
    )  # fmt: skip
    assert board.created_at.utcoffset() is not None


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines"])
def test_names_that_do_not_show_are_refused(pool: Pool, name: str) -> None:
    with pool.transaction() as tx, pytest.raises(InvalidValueError, match="name"):
        boards.insert_board(tx, name)


def test_database_refuses_an_empty_name_and_a_key_without_its_time(pool: Pool) -> None:
    for statement in (
        "INSERT INTO boards (name) VALUES ('')",
        "INSERT INTO boards (name, key_encrypted) VALUES ('a', 'k')",
    ):
        with pytest.raises(ConflictError, match="check"), pool.transaction() as tx:
            execute(tx, statement)


def test_new_key_replaces_the_old_and_a_revoked_one_is_gone(pool: Pool) -> None:
    with pool.transaction() as tx:
        board_id = boards.insert_board(tx, "a")
        boards.set_key(tx, board_id, b"first")
        made_at = boards.get_board(tx, board_id).key_made_at
        boards.set_key(tx, board_id, b"\x00second")
        board = boards.get_board(tx, board_id)
        assert board.key_encrypted == b"\x00second"
        assert board.key_made_at > made_at
        assert "second" not in repr(board)
        boards.revoke_key(tx, board_id)
        board = boards.get_board(tx, board_id)
        assert (board.key_encrypted, board.key_made_at) == (None, None)


def test_assigning_takes_the_profile_from_its_earlier_board_and_from_nobody_else(
    pool: Pool, make_profile: Callable[[str], int]
) -> None:
    ada, bo = make_profile("Ada"), make_profile("Bo")
    with pool.transaction() as tx:
        one, two, three, idle = (boards.insert_board(tx, name) for name in "abcd")
        boards.assign_board(tx, one, ada)
        boards.assign_board(tx, two, bo)
        boards.assign_board(tx, three, ada)

        def assigned() -> dict[int, int | None]:
            return {board.board_id: board.user_id for board in boards.list_boards(tx)}

        assert assigned() == {one: None, two: bo, three: ada, idle: None}
        boards.assign_board(tx, three, ada)
        assert assigned()[three] == ada
        boards.assign_board(tx, three, bo)
        assert assigned() == {one: None, two: None, three: bo, idle: None}
        boards.assign_board(tx, three, None)
        assert set(assigned().values()) == {None}


def test_boards_swapped_at_the_same_moment_do_not_fail(pool: Pool, make_profile: Callable[[str], int]) -> None:
    ada, bo = make_profile("Ada"), make_profile("Bo")
    with pool.transaction() as tx:
        one, two = boards.insert_board(tx, "a"), boards.insert_board(tx, "b")
        boards.assign_board(tx, one, ada)
        boards.assign_board(tx, two, bo)
    together, failed = threading.Barrier(2), []

    def assign(pairs: list[tuple[int, int]]) -> None:
        together.wait(10)
        for board_id, user_id in pairs * 20:
            try:
                with pool.transaction() as tx:
                    boards.assign_board(tx, board_id, user_id)
            except StoreError as exc:
                failed.append(exc)

    threads = [
        threading.Thread(target=assign, args=([(one, bo), (one, ada)],)),
        threading.Thread(target=assign, args=([(two, ada), (two, bo)],)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def test_what_was_seen_is_remembered_and_never_goes_back(pool: Pool) -> None:
    with pool.transaction() as tx:
        board_id, other = boards.insert_board(tx, "a"), boards.insert_board(tx, "b")
        newest = NEVER_SENT
        for mark in ((0, 5), (7, 90), (7, 100), (7, 50), (3, 200), ((1 << 32) - 1, 1 << 61), (0, (1 << 62) - 1)):
            boards.remember_marks(tx, {board_id: HighWaterMark(*mark), 999: HighWaterMark(1, 1)})
            newest = max(newest, HighWaterMark(*mark), key=astuple)
            assert boards.get_board(tx, board_id).last == newest
        assert boards.get_board(tx, other).last == NEVER_SENT


def test_deleting_a_profile_leaves_its_board_unassigned(pool: Pool, make_profile: Callable[[str], int]) -> None:
    ada = make_profile("Ada")
    with pool.transaction() as tx:
        board_id = boards.insert_board(tx, "a")
        boards.assign_board(tx, board_id, ada)
        profiles.delete_profile(tx, ada)
        assert boards.get_board(tx, board_id).user_id is None


def test_deleting_a_board_leaves_its_profile(pool: Pool, make_profile: Callable[[str], int]) -> None:
    ada = make_profile("Ada")
    with pool.transaction() as tx:
        board_id = boards.insert_board(tx, "a")
        boards.assign_board(tx, board_id, ada)
        boards.delete_board(tx, board_id)
        assert boards.list_boards(tx) == []
        assert profiles.get_profile(tx, ada).name == "Ada"
        assert boards.insert_board(tx, "b") == board_id + 1, "a number is not used again"


def test_unknown_boards_and_profiles_are_told(pool: Pool) -> None:
    with pool.transaction() as tx:
        board_id = boards.insert_board(tx, "a")
        for call in (
            lambda: boards.get_board(tx, 999),
            lambda: boards.set_key(tx, 999, b"k"),
            lambda: boards.revoke_key(tx, 999),
            lambda: boards.assign_board(tx, 999, None),
            lambda: boards.delete_board(tx, 999),
        ):
            with pytest.raises(NotFoundError, match="no board 999"):
                call()
        with pytest.raises(NotFoundError, match="no profile 999"):
            boards.assign_board(tx, board_id, 999)


def test_database_never_contains_a_key(pool: Pool) -> None:
    with pool.transaction() as tx:
        board_id, key = make_board(tx, SECRET, "a")
    with pool.transaction() as tx:
        (row,) = rows(tx, "SELECT b::text AS text, key_encrypted FROM boards b")
    stored = bytes(row.key_encrypted)
    assert stored.hex() in row.text, "the text shows the columns"
    assert key.hex() not in row.text
    assert key not in stored
    assert SECRET.encode().hex() not in row.text
    assert board_id == 1
