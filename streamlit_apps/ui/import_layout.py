"""What the columns of an uploaded file are: guessed, and put right by who imports it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from semg.domain import Profile
from semg.names import normal_form
from semg.recordings.csv_format import Layout, LayoutGuess
from semg.wire.file_layout import TimeUnit
from ui.text import cells, md, shown

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", " ": "spaces"}
UNITS: dict[TimeUnit, str] = {"ms": "milliseconds", "s": "seconds", "us": "microseconds", "samples": "sample index"}
NONE = "— none —"
_ASKED = {
    "time": "the time column",
    "time_unit": "the time unit",
    "rate_hz": "the samples per second",
    "channels": "the channel columns",
    "label": "the gesture column",
    "rest": "the label that means rest",
}


def chosen_separator(number: int, user_id: int) -> str | None:
    """Return the separator that was chosen for a file; None: it is found."""
    chosen: str | None = st.session_state.get(f"import-separator-{number}-{user_id}")
    return chosen


def layout_fields(guess: LayoutGuess, profile: Profile, number: int) -> tuple[Layout, bool]:
    """Show how a file is read and what is not known of it; return the layout as it stands in the fields.

    Returns
    -------
    layout, is_settled
        Whether all that is not known has been answered.
    """
    key = f"{number}-{profile.user_id}"
    asked = [_ASKED[one] for one in guess.questions if one in _ASKED]
    if asked:
        st.warning(md("Please check {asked}.", asked=", ".join(asked)), icon=":material/help:")
    with st.expander("How the file will be read", expanded=bool(asked), icon=":material/table_view:"):
        header = guess.layout.header
        st.dataframe(
            cells({shown(name): cell for name, cell in zip(header, row, strict=True)} for row in guess.rows),
            hide_index=True,
            width="stretch",
        )
        layout = _columns(guess.layout, key)
        layout = _rest(layout, guess, key)
        layout = _channel_names(layout, profile, key)
    settled = not asked or st.checkbox("I have checked this: read the file this way", key=f"import-right-{key}")
    return layout, settled


def _columns(layout: Layout, key: str) -> Layout:
    header = list(layout.header)
    first, second, third = st.columns(3)
    time = first.selectbox(
        "Time", [NONE, *header], _at(header, layout.time), format_func=shown, key=f"import-time-{key}"
    )
    unit = second.selectbox(
        "Time unit", list(UNITS), list(UNITS).index(layout.time_unit), format_func=UNITS.__getitem__,
        key=f"import-unit-{key}", disabled=time == NONE,
    )  # fmt: skip
    rate = third.number_input(
        "Samples per second", value=layout.rate_hz, placeholder="from the time column", format="%g",
        key=f"import-rate-{key}",
    )  # fmt: skip
    channels = st.multiselect(
        "Channels, in the device's order", header, list(layout.channels), format_func=shown,
        key=f"import-channels-{key}",
    )  # fmt: skip
    first, second, third = st.columns(3)
    label = first.selectbox(
        "Gesture", [NONE, *header], _at(header, layout.label), format_func=shown, key=f"import-label-{key}"
    )
    repetition = second.selectbox(
        "Repetition", [NONE, *header], _at(header, layout.repetition), format_func=shown,
        key=f"import-repetition-{key}",
        help="Without this column, each uninterrupted run of a gesture counts as one repetition.",
    )  # fmt: skip
    found = f"detected: {SEPARATORS.get(layout.separator, 'other')}"
    third.selectbox(
        "Separator", [None, *SEPARATORS], 0, key=f"import-separator-{key}",
        format_func=lambda one: shown(found if one is None else SEPARATORS[one]),
    )  # fmt: skip
    return replace(
        layout,
        time=None if time == NONE else time,
        time_unit=unit,
        rate_hz=None if rate is None else float(rate),
        channels=tuple(channels),
        label=None if label == NONE else label,
        repetition=None if repetition == NONE else repetition,
    )


def _rest(layout: Layout, guess: LayoutGuess, key: str) -> Layout:
    """Ask which label means rest, where none is called so."""
    labels = list(guess.labels)
    if layout.label is None or not labels or normal_form.find("rest", labels) is not None:
        return layout
    alike = [one for one in labels if normal_form.key(one) == normal_form.key(layout.rest)]
    rest = st.selectbox(
        "Label that means rest", ["", *labels], 1 + labels.index(alike[0]) if alike else 0,
        format_func=lambda one: shown(one) if one else NONE, key=f"import-rest-{key}",
        help="Rest is what the hand does between gestures. Training treats it as a label of its own.",
    )  # fmt: skip
    return replace(layout, rest=rest)


def _channel_names(layout: Layout, profile: Profile, key: str) -> Layout:
    """Offer to take channels of other names for those of the device."""
    own = profile.device.channels
    if layout.channels == own or len(layout.channels) != len(own):
        return replace(layout, channel_names=())
    said = md("Import {theirs} as {name}'s channels {own}", theirs=", ".join(layout.channels), name=profile.name,
              own=", ".join(own))  # fmt: skip
    is_taken = st.checkbox(said, layout.channel_names == own, key=f"import-names-{key}")
    return replace(layout, channel_names=own if is_taken else ())


def _at(header: list[str], column: str | None) -> int:
    return 0 if column is None or column not in header else 1 + header.index(column)
