"""Short notes that are shown at the next run of a page."""

from __future__ import annotations

import streamlit as st

from ui.text import plain

_FLASH, _WARNING = "flash", "flash-warning"


def flash(message: str) -> None:
    """Show a short note at the next run of a page, as Markdown when it is that already."""
    st.session_state[_FLASH] = message


def warn(message: str) -> None:
    """Show, at the next run of a page, what is not as was asked for: it stays until the run after."""
    st.session_state[_WARNING] = message


def show() -> None:
    """Show the note that the run before has left."""
    message = st.session_state.pop(_FLASH, None)
    if message:
        st.toast(plain(message), icon=":material/check:")
    warning = st.session_state.pop(_WARNING, None)
    if warning:
        st.warning(plain(warning), icon=":material/warning:")
