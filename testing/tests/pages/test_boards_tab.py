"""Boards on the Profiles page."""

from __future__ import annotations

import pytest

from semg.security.board_keys import decrypt_key
from semg.store import boards

pytestmark = pytest.mark.servers
PAGE = "1_User_Management.py"


def all_boards(pool) -> list:
    with pool.transaction() as tx:
        return boards.list_boards(tx)


def make(page, name: str):
    field = next(one for one in page.text_input if one.label == "Name of the new board")
    field.set_value(name)
    next(one for one in page.button if one.label == "Add board").click()
    return page.run()


def press(page, label: str):
    next(one for one in page.button if one.label == label).click()
    return page.run()


def test_key_of_a_new_board_is_shown_once_and_stored_encrypted(open_page, profile_id, pool, settings) -> None:
    page = make(open_page(PAGE), "Left band")
    assert not page.exception
    (board,) = all_boards(pool)
    key = decrypt_key(settings.secret_key.get_secret_value(), board.board_id, board.key_encrypted)
    assert any(f'#define BOARD_KEY "{key.hex()}"' in code.value for code in page.code)
    page.run()
    assert not any("BOARD_KEY" in code.value for code in page.code)


def test_board_is_assigned_revoked_and_removed(open_page, profile_id, pool) -> None:
    page = make(open_page(PAGE), "Left band")
    (board,) = all_boards(pool)
    page.selectbox(key=f"assign-{board.board_id}").set_value(profile_id)
    page.run()
    assert all_boards(pool)[0].user_id == profile_id
    page = press(page, "Revoke key")
    assert all_boards(pool)[0].key_encrypted is None
    page = press(page, "New key")
    assert all_boards(pool)[0].key_encrypted is not None
    page = press(page, "Remove")
    assert all_boards(pool) == []
    assert not page.exception


def test_board_without_a_name_is_refused_with_a_sentence(open_page, profile_id, pool) -> None:
    page = make(open_page(PAGE), "  ")
    assert all_boards(pool) == []
    assert page.error
    assert not page.exception
