"""Who is chosen in one browser tab: its address says so, and its memory while the address is silent."""

from __future__ import annotations

import streamlit as st

MEMORY, PARAMETER = "profile_id", "profile"
_MAX_DIGITS = 18


def choose(user_id: int | None) -> None:
    """Make a profile the chosen one of this tab from now on, on every page; None forgets it."""
    if user_id is None:
        st.session_state.pop(MEMORY, None)
        st.query_params.pop(PARAMETER, None)
    else:
        st.session_state[MEMORY] = user_id
        if st.query_params.get(PARAMETER) != str(user_id):
            st.query_params[PARAMETER] = str(user_id)


def forget() -> None:
    """Forget who was chosen; the address goes on naming whom it names."""
    st.session_state.pop(MEMORY, None)


def is_named() -> bool:
    """Return whether the address or the memory names anybody, known or not."""
    return PARAMETER in st.query_params or MEMORY in st.session_state


def wanted() -> int | None:
    """Return the number of whom the address names, and of whom the memory does without an address; or None."""
    named = st.query_params.get(PARAMETER)
    if named is None:
        kept = st.session_state.get(MEMORY)
        return kept if isinstance(kept, int) else None
    return int(named) if named.isascii() and named.isdecimal() and len(named) <= _MAX_DIGITS else None
