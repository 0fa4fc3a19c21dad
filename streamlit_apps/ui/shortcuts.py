"""The keys of the app: which there are, which an account has chosen, and where they are switched off.

A single key without Ctrl or Alt can be pressed by accident, or by speech: each can be changed or taken away, and all of
them switched off (WCAG 2.1.4). Those of a picture work only while it has the focus, and stay on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from semg.errors import InvalidValueError
from semg.store.accounts import Account
from ui.runtime import App
from ui.text import joined, markup

PART = "shortcuts"
"""Entry of an account's preferences."""
RESERVED = ("c", "r")
"""Streamlit's own; what they do there is switched off (``assistive.js``)."""
_MODIFIERS = ("ctrl", "alt", "shift")
_NAMED = {
    "space": "Space", "backspace": "Backspace", "delete": "Delete", "home": "Home", "end": "End",
    "pageup": "PageUp", "pagedown": "PageDown", "left": "Left", "right": "Right", "up": "Up", "down": "Down",
    **{f"f{n}": f"F{n}" for n in range(1, 13)},
}  # fmt: skip
_SIGNS = ("+", "-")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a key does.

    ``focused``: only while the picture that it belongs to has the focus.
    """

    name: str
    where: str
    label: str
    key: str
    focused: bool = False


ACTIONS = (
    Action("help.keys", "Every page", "List the keys", "?"),
    Action("capture.start", "Capture", "Start the recording", "s"),
    Action("capture.pause", "Capture", "Pause and resume", "space"),
    Action("capture.redo", "Capture", "Redo the last repetition", "backspace"),
    Action("capture.end", "Capture", "End early", "shift+e"),
    Action("capture.full_screen", "Capture", "Prompt on the full screen", "f"),
    Action("live.pause", "Live", "Pause and resume the picture", "p"),
    Action("live.speak", "Live", "Speak phrases, or be quiet", "s"),
    Action("review.back", "Review", "Earlier", "left", focused=True),
    Action("review.on", "Review", "Later", "right", focused=True),
    Action("review.closer", "Review", "Zoom in", "+", focused=True),
    Action("review.wider", "Review", "Zoom out", "-", focused=True),
    Action("review.whole", "Review", "The whole recording", "home", focused=True),
    Action("review.cursor_back", "Review", "Cursor to the left", "shift+left", focused=True),
    Action("review.cursor_on", "Review", "Cursor to the right", "shift+right", focused=True),
)
_BY_NAME = {one.name: one for one in ACTIONS}


@dataclass(frozen=True, slots=True)
class Keys:
    """What an account has chosen."""

    on: bool
    keys: Mapping[str, str]

    def of(self, name: str) -> str | None:
        """Return the key of an action in its normal form, or None."""
        action = _BY_NAME[name]
        key = self.keys.get(name, action.key)
        return key if key and (self.on or action.focused) else None

    def all(self) -> dict[str, str]:
        """Return the keys that do something now, by action."""
        return {one.name: key for one in ACTIONS if (key := self.of(one.name)) is not None}


def normal(text: str, what: str = "key") -> str:
    """Return a key as it is stored: lower case, modifiers first and in one order, as in ``shift+e``.

    Parameters
    ----------
    what
        The action that it is for, in words.

    Raises
    ------
    InvalidValueError
        It is no key that a shortcut can have; the message says which are.
    """
    said = text.strip().lower()
    if not said:
        return ""
    if said == "?" or said in _SIGNS:
        return said
    *before, key = [one.strip() for one in said.split("+")]
    fits = key in _NAMED or (len(key) == 1 and key.isascii() and key.isalnum())
    if not fits or not set(before) <= set(_MODIFIERS) or len(set(before)) < len(before):
        raise InvalidValueError(
            what, f"{what}: give one key as in S, Space, Shift+E or Alt+P, not {text.strip()[:40]!r}"
        )
    if key in RESERVED:
        raise InvalidValueError(what, f"{what}: choose another key than {key.upper()}, which the app cannot use")
    return "+".join([*(one for one in _MODIFIERS if one in before), key])


def spoken(key: str) -> str:
    """Return a key as people write it."""
    if key in _SIGNS or key == "?":
        return key
    return "+".join(_NAMED.get(one, one.upper() if len(one) == 1 else one.capitalize()) for one in key.split("+"))


def keys_of(account: Account | None) -> Keys:
    """Return an account's keys; what is stored and cannot be understood counts as not chosen."""
    stored: Any = {} if account is None else account.preferences.get(PART, {})
    if not isinstance(stored, dict):
        stored = {}
    chosen = stored.get("keys", {})
    kept: dict[str, str] = {}
    for name, key in chosen.items() if isinstance(chosen, dict) else ():
        if name in _BY_NAME and isinstance(key, str):
            try:
                kept[name] = normal(key)
            except InvalidValueError:
                continue  # of another version of the app
    return Keys(stored.get("on") is not False, kept)


def check(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the keys in their normal form.

    Raises
    ------
    InvalidValueError
        One is no key, or two actions that a page has together would have the same.
    """
    made: dict[str, str] = {}
    for name, text in keys.items():
        action = _BY_NAME[name]
        made[name] = normal(text, action.label)
        if made[name] in (*_SIGNS, "?") and not (action.focused or name == "help.keys"):
            raise InvalidValueError(
                action.label, f"{action.label}: choose a letter, a digit or a named key, not {made[name]}"
            )
    for name, key in made.items():
        for other in made:
            here, there = _BY_NAME[name], _BY_NAME[other]
            together = here.where == there.where or "Every page" in (here.where, there.where)
            if key and other != name and made[other] == key and together:
                raise InvalidValueError(
                    here.label, f"choose two keys: {spoken(key)} is set for “{here.label}” and for “{there.label}”"
                )
    return made


def key(app: App, name: str) -> str | None:
    """Return the key of an action for a button's ``shortcut``; None for none."""
    return keys_of(app.account).of(name)


def written(app: App, where: str) -> dict[str, str]:
    """Return the keys of a page's picture as people write them, by the action's name without the page's."""
    found = keys_of(app.account).all()
    return {name.removeprefix(f"{where}."): spoken(key) for name, key in found.items() if name.startswith(f"{where}.")}


@st.dialog("Keyboard shortcuts")
def show_list(app: App) -> None:
    """Show the keys that do something now."""
    found = keys_of(app.account)
    if not found.on:
        st.info("Single keys are switched off for this account.")
    rows = (
        markup("<tr><td>{where}</td><td>{what}</td><td><kbd>{key}</kbd></td></tr>", where=one.where, what=one.label,
               key=spoken(key))
        for one in ACTIONS
        if (key := found.of(one.name)) is not None
    )  # fmt: skip
    st.html(
        markup(
            '<table class="semg-keys"><thead><tr><th scope="col">Page</th><th scope="col">What</th>'
            '<th scope="col">Key</th></tr></thead><tbody>{rows}</tbody></table>',
            rows=joined(rows),
        )
    )
    st.caption(
        "Tab and Shift+Tab go through fields and buttons, Enter and Space press them. Review's keys work while its "
        "picture has the focus. Change the keys, or switch them off, in Profiles → My account."
    )
