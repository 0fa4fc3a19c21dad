"""The keys of the app: chosen by account, refused where they make no sense, switched off as a whole."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from semg.errors import InvalidValueError, NotFoundError
from semg.store import accounts, audit, preferences
from semg.store.pool import Pool
from testing.kits.page_data import CAPTURE, LOGIN, USERS, Open, act, all_text, button, field, now, store_noise
from ui import palette, shortcuts


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("S", "s"), (" Shift + E ", "shift+e"), ("shift+ALT+p", "alt+shift+p"), ("Space", "space"), ("+", "+"), ("", "")],
)
def test_a_key_has_one_form(typed: str, stored: str) -> None:
    assert shortcuts.normal(typed) == stored
    assert shortcuts.normal(shortcuts.spoken(stored)) == stored


@pytest.mark.parametrize("typed", ["SS", "Hyper+S", "Shift+Shift+S", "R", "Alt+c", "é", "Shift+", "Tab", "Enter"])
def test_what_is_no_key_is_refused_in_words(typed: str) -> None:
    with pytest.raises(InvalidValueError, match="Start the recording: "):
        shortcuts.check({"capture.start": typed})


def test_two_actions_of_a_page_do_not_share_a_key() -> None:
    with pytest.raises(InvalidValueError, match="“Redo the last repetition”|“Pause and resume”"):
        shortcuts.check({"capture.pause": "x", "capture.redo": "X"})
    assert shortcuts.check({"capture.start": "s", "live.speak": "s"}) == {"capture.start": "s", "live.speak": "s"}


def test_usual_keys_are_no_contradiction() -> None:
    usual = {one.name: one.key for one in shortcuts.ACTIONS}
    assert shortcuts.check(usual) == usual


def test_switched_off_only_keys_of_a_focused_picture_are_left() -> None:
    keys = shortcuts.Keys(False, {"review.back": "b"})
    assert set(keys.all()) == {one.name for one in shortcuts.ACTIONS if one.focused}
    assert keys.of("review.back") == "b"
    assert keys.of("capture.start") is None


def test_what_is_stored_and_makes_no_sense_counts_as_not_chosen() -> None:
    account = accounts.Account(
        account_id=1, login="a", password_hash="", role="admin", password_changed_at=None,  # type: ignore[arg-type]
        preferences={"shortcuts": {"on": "no", "keys": {"capture.start": "Hyper+S", "gone": "x", "live.pause": 3}}},
    )  # fmt: skip
    assert shortcuts.keys_of(account) == shortcuts.Keys(True, {})


def shortcut_of(page: AppTest, what: str) -> str:
    return str(act(page, what).proto.shortcut)


def test_an_account_changes_its_keys_and_switches_them_off(open_page: Open, pool: Pool, profile_id: int) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=3), 3)
    assert shortcut_of(open_page(CAPTURE), "start") == "s"
    page = open_page(USERS)
    field(page.text_input, "Start the recording").set_value("Alt+Q")
    field(page.text_input, "End early").set_value("")
    button(page, "Save the keys").click().run()
    assert shortcut_of(open_page(CAPTURE), "start") == "alt+q"
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
        noted = {entry.action for entry in audit.list_entries(tx, limit=5)}
    assert account is not None
    assert account.preferences == {"shortcuts": {"on": True, "keys": {"capture.start": "alt+q", "capture.end": ""}}}
    assert "account.changed" in noted
    page = open_page(USERS)
    next(one for one in page.checkbox if one.label.startswith("Keys work")).uncheck()
    button(page, "Save the keys").click().run()
    assert shortcut_of(open_page(CAPTURE), "start") == ""
    button(open_page(USERS), "Back to the usual keys").click().run()
    assert shortcut_of(open_page(CAPTURE), "start") == "s"


def test_a_key_that_is_none_is_refused_on_the_page(open_page: Open, pool: Pool) -> None:
    page = open_page(USERS)
    field(page.text_input, "Start the recording").set_value("Hyper+S")
    button(page, "Save the keys").click().run()
    assert "Start the recording: give one key as in S, Space, Shift+E or Alt+P" in all_text(page)
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
    assert account is not None
    assert account.preferences == {}


def test_preferences_are_bounded(open_page: Open, pool: Pool) -> None:
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
        assert account is not None
        preferences.update_preference(tx, account.account_id, "other", {"a": 1})
        preferences.update_preference(tx, account.account_id, "shortcuts", {"on": False})
        kept = accounts.find_account(tx, LOGIN)
        assert kept is not None
        assert kept.preferences == {"other": {"a": 1}, "shortcuts": {"on": False}}
        with pytest.raises(InvalidValueError, match="at most 2000 characters"):
            preferences.update_preference(tx, account.account_id, "shortcuts", {"a": "x" * 3000})
        with pytest.raises(NotFoundError):
            preferences.update_preference(tx, 10**9, "shortcuts", {})


def test_the_help_lists_the_keys(open_page: Open) -> None:
    page = open_page()
    button(page, "Keyboard shortcuts").click().run()
    assert not page.exception
    said = "".join(str(one.proto.body) for one in page.get("html"))
    assert "Redo the last repetition" in said
    assert "<kbd>Backspace</kbd>" in said


def test_text_is_read_on_every_colour() -> None:
    colours = {*palette.GESTURES, *palette.CHANNELS, palette.REST, palette.UNSURE, "#7f7f7f"}
    assert min(palette.contrast(palette.ink(one), one) for one in colours) >= 4.5
    greys = [f"#{value:02x}{value:02x}{value:02x}" for value in range(256)]
    assert min(palette.contrast(palette.ink(one), one) for one in greys) >= 4.5
    assert min(palette.contrast(one, "#ffffff") for one in palette.LEVEL_COLOURS.values()) >= 4.5
    assert min(palette.contrast(one, "#ffffff") for one in palette.CHANNELS) >= 3.0
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
