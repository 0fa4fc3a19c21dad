"""Going from one page to another by a press: one way for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_GO = "go"


def go(page: str, query: Mapping[str, str] | None = None) -> NoReturn:
    """Go to a page, from anywhere: the whole page runs, and goes before it draws anything.

    Streamlit 1.67 leaves the browser with the elements of two pages when a fragment switches the page itself.

    Parameters
    ----------
    page
        Its file.
    query
        What its address names; nothing without.
    """
    st.session_state[_GO] = (page, dict(query or {}))
    st.rerun()


def go_on() -> None:
    """Go where a press led to, if one did; the head of every page does this first.

    A browser lets the parts of a page that redraw by themselves ask for it until it hears of the next page. What is
    asked late would run after that one with the old page's identity, at which Streamlit 1.67's browser side empties the
    page (“Bad delta path index”). So the old page's parts are forgotten first: Streamlit refuses to run what it does
    not know. ``ui.fragments`` gives the parts of each page identities of their own.
    """
    wanted = st.session_state.pop(_GO, None)
    if wanted is None:
        return
    context = get_script_run_ctx()
    if context is not None:
        context.fragment_storage.clear()
    st.switch_page(wanted[0], query_params=wanted[1])
