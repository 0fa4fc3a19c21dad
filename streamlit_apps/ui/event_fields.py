"""When a profile's decisions become gesture events: for all gestures, and for one that differs."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

from semg.commands.event_times import change_event_times
from semg.domain import REST, Profile
from semg.event_types import LIMITS_MS, EventTimes
from semg.store import event_settings, gestures
from ui import acts, errors
from ui.page import flash
from ui.runtime import App
from ui.text import md, shown

_FIELDS = {
    "dwell_ms": ("Pressed after (ms)", "How long a gesture has to stay decided."),
    "release_ms": ("Released after (ms)", "How long something else has to stay decided."),
    "hold_ms": ("Held after (ms)", "A gesture that stays pressed for so long; 0: holding is no event."),
    "min_ms": ("At least pressed for (ms)", "It is not released earlier."),
    "cooldown_ms": ("Not again for (ms)", "After its release."),
}
_STEP = 50


def event_fields(app: App, profile: Profile) -> None:
    """Show the event times in a closed part of the page; they are saved by a button."""
    with st.expander("Gesture events for programs", icon=":material/bolt:"):
        st.caption(
            "Programs act on events: a gesture is pressed, held, released. Review shows by a replay what other times "
            "would have made of a session."
        )
        with app.pool.transaction() as tx:
            times = event_settings.find_event_spec(tx, profile.user_id).times
            own = event_settings.list_own_times(tx, profile.user_id)
            bank = {one.gesture_id: one.name for one in gestures.list_gestures(tx, profile.user_id) if one.name != REST}
        names = {0: "all gestures"} | {
            number: f"{name} (differs)" if number in own else name for number, name in bank.items()
        }
        chosen = st.selectbox(
            "For",
            list(names),
            format_func=lambda number: shown(names.get(number, "")),
            key=f"event-gesture-{profile.user_id}",
        )
        current = times.with_changes(own.get(chosen, {})) if chosen else times
        with st.form(f"events-{profile.user_id}-{chosen}"):
            wanted = _time_fields(current, f"{profile.user_id}-{chosen}")
            label = md("Save for {name}", name=profile.name)
            if not st.form_submit_button(label, key=acts.key("events", profile.user_id)):
                return
        with errors.attempt():
            with app.pool.transaction() as tx:
                if chosen:
                    usual = asdict(times)
                    changes = {name: value for name, value in asdict(wanted).items() if value != usual[name]}
                    change_event_times(tx, app, profile.user_id, own={**own, chosen: changes})
                else:
                    change_event_times(tx, app, profile.user_id, wanted)
            flash("Saved to the profile")
            st.rerun()


def _time_fields(current: EventTimes, key: str) -> EventTimes:
    columns = st.columns(len(_FIELDS), gap="small")
    values = {
        name: int(
            column.number_input(
                title, 0, LIMITS_MS[name], getattr(current, name), _STEP, help=said, key=f"{name}-{key}"
            )
        )
        for column, (name, (title, said)) in zip(columns, _FIELDS.items(), strict=True)
    }
    return EventTimes(**values)
