"""One gesture in a dialog: its fields, its place in the order, its picture, and what deleting it would take away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from semg.domain import REST, Gesture, GestureKind, Profile
from semg.store import gestures
from semg.words import counted
from ui import acts, errors, prompts
from ui.banks import begin
from ui.gesture_list import OPEN
from ui.page import flash
from ui.runtime import App
from ui.text import md

KINDS: dict[GestureKind, str] = {"held": "Held", "dynamic": "Short, performed once"}
KIND_HELP = (
    "A held gesture is recognised for as long as it is held. A short one (a snap, a double tap, a flick) is over in a "
    "second and recognised once a performance. Training needs at least one held gesture besides rest."
)
PHRASE_HELP = "The Live page shows it in large type when the gesture is recognised, and can speak it."


def edit_opened(app: App, profile: Profile, bank: Sequence[Gesture], counts: Mapping[str, int]) -> None:
    """Show the dialog of the gesture that was opened in the list, if it is one of this bank."""
    number = st.session_state.get(OPEN)
    gesture = next((one for one in bank if one.gesture_id == number), None)
    if gesture is None:
        _close()
        return
    dialog = st.dialog(md("{name} of {whose}", name=gesture.name, whose=profile.name), on_dismiss=_close)
    dialog(_edit)(app, profile, gesture, list(bank), counts.get(gesture.name, 0))


def kind_field(key: str, kind: GestureKind = "held") -> GestureKind:
    """Draw the field of a gesture's kind, and return what is chosen."""
    kinds = list(KINDS)
    return st.radio(
        "Kind", kinds, kinds.index(kind), format_func=KINDS.__getitem__, horizontal=True, help=KIND_HELP, key=key
    )


def _close() -> None:
    st.session_state.pop(OPEN, None)


def _edit(app: App, profile: Profile, gesture: Gesture, bank: list[Gesture], n_repetitions: int) -> None:
    number = gesture.gesture_id
    prompts.edit_prompt(app, gesture)
    with st.form(f"gesture-{number}", border=False):
        name = st.text_input("Name", gesture.name, disabled=gesture.name == REST, max_chars=100, key=f"name-{number}")
        text = st.text_area("Description, shown with the prompt", gesture.description, key=f"text-{number}")
        phrase, kind = "", gesture.kind
        if gesture.name != REST:
            phrase = st.text_input("Phrase", gesture.phrase, max_chars=200, key=f"phrase-{number}", help=PHRASE_HELP)
            kind = kind_field(f"kind-{number}", gesture.kind)
        before = [one.gesture_id for one in bank].index(number)
        position = st.number_input("Position in the bank", 1, len(bank), before + 1, key=f"position-{number}-{before}")
        label = md("Save for {name}", name=profile.name)
        if st.form_submit_button(label, type="primary", key=acts.key(f"save-{number}", profile.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    begin(app, tx, gesture.user_id)
                    gestures.update_gesture(tx, number, name=name, description=text, phrase=phrase, kind=kind)
                    if position - 1 != before:
                        gestures.move_gesture(tx, profile.user_id, number, position - 1)
                _close()
                flash(md("{name} saved", name=name))
                st.rerun()
    if gesture.name == REST:
        st.caption("Rest is part of every bank: without it, every moment would count as a gesture.")
        return
    what = "Delete {gesture} of {name}"
    if n_repetitions:
        what = "Delete {gesture} of {name}: the labels of {n} will be lost"
    sure = st.checkbox(
        md(what, gesture=gesture.name, name=profile.name, n=counted(n_repetitions, "recorded repetition")),
        key=f"sure-{number}-{n_repetitions}",
    )
    if st.button("Delete", icon=":material/delete:", key=acts.key(f"delete-{number}", profile.user_id),
                 disabled=not sure):  # fmt: skip
        with errors.attempt():
            with app.pool.transaction() as tx:
                begin(app, tx, gesture.user_id)
                gestures.delete_gesture(tx, number, force=bool(n_repetitions))
            _close()
            flash(md("{name} deleted", name=gesture.name))
            st.rerun()
