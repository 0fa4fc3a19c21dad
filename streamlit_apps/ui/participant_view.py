"""The participant's own screen: only the prompt, as large as it gets; a window of the same login."""

from __future__ import annotations

from typing import Final

import streamlit as st

from semg import clock
from semg.languages import sentence
from semg.store import gestures, profiles
from semg.store.running_captures import find_running
from ui import chosen, shortcuts
from ui.capture_prompt import capture_prompt, send_pictures
from ui.fragments import live_fragment
from ui.runtime import App
from ui.text import markup, md

PARAMETER: Final = "view"
VIEW: Final = "participant"
_SEEN = "participant-saw"


def is_asked() -> bool:
    """Return whether the address asks for this view of the page."""
    return st.query_params.get(PARAMETER) == VIEW


def link(app: App, user_id: int) -> None:
    """Show the link that opens the view of a profile in a window of its own."""
    key = shortcuts.key(app, "capture.full_screen")
    how = "" if key is None else f" and press {shortcuts.spoken(key)} there"
    st.link_button(
        "Participant's screen",
        f"Training_Data_Capture?{chosen.PARAMETER}={user_id:d}&{PARAMETER}={VIEW}",
        icon=":material/open_in_new:",
        help=md("Only the prompt, to be read from a distance. Move the window to a second screen{how}.", how=how),
    )


def show(app: App) -> None:
    """Show the prompt of the profile that the address names, and nothing else."""
    wanted = chosen.wanted()
    with app.pool.transaction() as tx:
        known = {one.user_id for one in app.people(tx)}
        bank = gestures.list_gestures(tx, wanted) if wanted in known and wanted is not None else []
    if wanted is None or wanted not in known:
        st.warning(
            "The profile in the address does not exist or is not shared with you. Open this window again from the "
            "page Capture.",
            icon=":material/person_off:",
        )
        return
    send_pictures(app, bank)
    _prompt(app, wanted)


@live_fragment(1.0)
def _prompt(app: App, user_id: int) -> None:
    now = clock.utc_now()
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
        running = find_running(tx, user_id)
        bank = gestures.list_gestures(tx, user_id) if running is not None else []
    if running is not None:
        st.session_state[_SEEN] = user_id
        capture_prompt(running, bank, profile.language, now, VIEW)
        return
    room = "capture.over" if st.session_state.get(_SEEN) == user_id else "capture.waiting"
    st.html(
        markup(
            '<div role="status" lang="{language}" style="position:fixed;inset:0;background:#fff;display:flex;'
            "flex-direction:column;align-items:center;justify-content:center;gap:2vh;padding:4vw;text-align:center;"
            'color:#1c2833"><b style="font-size:max(7vh,2rem);line-height:1.1;font-weight:680">{said}</b>'
            '<span style="font-size:max(3vh,1.1rem);color:#51606c">{more}</span></div>',
            language=profile.language,
            said=sentence(profile.language, room),
            more=sentence(profile.language, f"{room}_about"),
        )
    )
