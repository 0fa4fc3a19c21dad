"""Boards' keys: readable with the right SECRET_KEY for the right board only; the sketch's two lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.errors import SettingsError
from semg.security.board_keys import decrypt_key, encrypt_key, make_board, make_key, sketch_lines
from semg.settings import PROJECT_DIR
from semg.store import boards
from semg.store.pool import Pool
from semg.wire.udp2 import KEY_BYTES

SECRET = "s" * 40


@given(key=st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), board_id=st.integers(1, (1 << 63) - 1))
def test_key_comes_back_and_is_not_visible(key: bytes, board_id: int) -> None:
    stored = encrypt_key(SECRET, board_id, key)
    assert key not in stored
    assert decrypt_key(SECRET, board_id, stored) == key
    assert encrypt_key(SECRET, board_id, key) != stored, "a nonce is never used twice"


def test_wrong_secret_and_other_board_cannot_read_a_key() -> None:
    stored = encrypt_key(SECRET, 7, make_key())
    for secret, board_id in (("t" * 40, 7), (SECRET + "s", 7), (SECRET, 8), (SECRET, 77)):
        with pytest.raises(SettingsError, match=f"board {board_id} .*SECRET_KEY"):
            decrypt_key(secret, board_id, stored)


@given(data=st.data())
def test_damaged_key_is_told_and_never_used(data: st.DataObject) -> None:
    stored = bytearray(encrypt_key(SECRET, 7, bytes(KEY_BYTES)))
    if data.draw(st.booleans()):
        stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del stored[data.draw(st.integers(0, len(stored) - 1)) :]
    with pytest.raises(SettingsError, match="SECRET_KEY"):
        decrypt_key(SECRET, 7, bytes(stored))


def test_empty_secret_encrypts_nothing() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY is empty"):
        encrypt_key("", 1, make_key())


def test_keys_are_random_and_long_enough() -> None:
    assert len({make_key() for _ in range(100)}) == 100
    assert len(make_key()) == KEY_BYTES


def test_sketch_lines_define_what_the_sketch_reads() -> None:
    lines = sketch_lines(7, bytes(range(32)))
    assert lines == f'#define BOARD_ID 7\n#define BOARD_KEY "{bytes(range(32)).hex()}"\n'
    sketch = (PROJECT_DIR / "arduino" / "arduinocode.ino").read_text()
    for name in re.findall(r"#define (\w+)", lines):
        assert f"#ifndef {name}\n" in sketch


def test_made_board_has_the_key_that_was_shown(pool: Pool) -> None:
    with pool.transaction() as tx:
        board_id, key = make_board(tx, SECRET, "left arm")
    with pool.transaction() as tx:
        board = boards.get_board(tx, board_id)
    assert (board.name, board.user_id) == ("left arm", None)
    assert decrypt_key(SECRET, board_id, board.key_encrypted) == key
