"""The gestures of a bank as one element of the page, however many there are: search, reorder, choose one to edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from semg.domain import REST, Gesture, Profile
from semg.errors import SemgError
from semg.store import gestures
from semg.store.audit import record
from semg.words import counted
from ui import acts, audit_view, chosen, errors, gesture_pictures, palette
from ui.runtime import App
from ui.text import Markdown, md, plain, shown

OPEN = "gesture-open"
"""Entry of the page's state: the number of the gesture that is being edited."""
_REFUSED = "order-refused"
_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_gesture_list",
    html='<div class="semg-bank"></div>',
    css=(_FOLDER / "gesture_list.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "gesture_list.js").read_text(encoding="utf-8"),
)


def gesture_list(app: App, profile: Profile, bank: Sequence[Gesture], counts: Mapping[str, int]) -> None:
    """Show the gestures in their order.

    Parameters
    ----------
    counts
        Recorded repetitions by gesture.
    """
    refused = st.session_state.pop(_REFUSED, None)
    if refused is not None:
        st.error(plain(refused), icon=":material/error:")
    key = acts.key("gestures", profile.user_id)

    def ordered() -> None:
        sent = getattr(st.session_state.get(key), "order", None)
        if isinstance(sent, dict):
            st.session_state[_REFUSED] = reorder(app, profile, sent.get("ids"))

    def opened() -> None:
        sent = getattr(st.session_state.get(key), "edit", None)
        if isinstance(sent, dict) and isinstance(sent.get("id"), int):
            st.session_state[OPEN] = sent["id"]

    _component(
        key=key,
        data=_data(app, bank, counts),
        on_order_change=ordered,
        on_edit_change=opened,
    )


def reorder(app: App, profile: Profile, ids: object) -> Markdown | None:
    """Store an order that was made in the browser, all of it in one transaction.

    Returns
    -------
    Why nothing was stored, or None.
    """
    if chosen.wanted() not in (None, profile.user_id):
        return md(
            "Nothing was done: {name} is no longer selected. Choose {name} and order the gestures again, if that is "
            "what you want.",
            name=profile.name,
        )
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        return None
    try:
        with app.pool.transaction() as tx:
            app.require(tx, profile.user_id, "work")
            record(tx, audit_view.actor(app), "gestures.changed", profile.user_id)
            gestures.reorder_gestures(tx, profile.user_id, ids)
    except SemgError as exc:
        return errors.sentence(exc)
    return None


def _data(app: App, bank: Sequence[Gesture], counts: Mapping[str, int]) -> dict[str, Any]:
    """Return what the browser draws; pictures that several gestures share are sent once."""
    colours = palette.gesture_colours([gesture.name for gesture in bank])
    uris = gesture_pictures.picture_uris(app, bank)
    pictures = list(dict.fromkeys(uris.values()))
    numbers = {uri: number for number, uri in enumerate(pictures)}
    return {
        "editable": app.may_work,
        "pictures": pictures,
        "rows": [
            {
                "id": gesture.gesture_id,
                "name": shown(gesture.name),
                "description": shown(gesture.description or _nothing_said(gesture)),
                "kind": "short, performed once" if gesture.kind == "dynamic" else "",
                "phrase": shown(gesture.phrase),
                "colour": colours[gesture.name],
                "recorded": counted(counts[gesture.name], "repetition") if counts.get(gesture.name) else "",
                "picture": numbers[uris[gesture.name]] if gesture.name in uris else -1,
                "video": (gesture.prompt_type or "").startswith("video/"),
            }
            for gesture in bank
        ],
    }


def _nothing_said(gesture: Gesture) -> str:
    return "always included" if gesture.name == REST else "no description"
