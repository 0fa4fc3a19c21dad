"""Parts of pages that redraw by themselves: every time, who looks is asked for anew."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from semg.errors import AccessError, NotFoundError
from semg.store.access import Right
from ui import errors
from ui.runtime import App

P = ParamSpec("P")
Q = ParamSpec("Q")


def live_fragment(
    run_every_s: float | None, right: Right = "see", on_refused: Callable[[], None] = lambda: None
) -> Callable[[Callable[Concatenate[App, int, P], None]], Callable[Concatenate[App, int, P], None]]:
    """Make a part of a page, of one profile, that redraws by itself and shows its errors as sentences.

    It runs alone with the ``App`` of the page's last run. When the login has ended, the account was changed or the
    profile is not the viewer's to see any more, nothing is drawn or done: the whole page runs, which asks who is there.

    Parameters
    ----------
    right
        What the part needs on the profile; its buttons may need more, and ask for it.
    on_refused
        Called before the page runs.
    """

    def decorate(draw: Callable[Concatenate[App, int, P], None]) -> Callable[Concatenate[App, int, P], None]:
        @functools.wraps(draw)
        def guarded(app: App, user_id: int, *args: P.args, **kwargs: P.kwargs) -> None:
            with errors.shown():
                if not _may(app, user_id, right):
                    on_refused()
                    st.rerun()
                draw(app, user_id, *args, **kwargs)

        return _of_each_page(guarded, run_every_s)

    return decorate


def live_overview(run_every_s: float) -> Callable[[Callable[[App], None]], Callable[[App], None]]:
    """Make a part as ``live_fragment`` does, of no one profile."""

    def decorate(draw: Callable[[App], None]) -> Callable[[App], None]:
        @functools.wraps(draw)
        def guarded(app: App) -> None:
            with errors.shown():
                if not _may(app, None, "see"):
                    st.rerun()
                draw(app)

        return _of_each_page(guarded, run_every_s)

    return decorate


def _of_each_page(draw: Callable[Q, None], run_every_s: float | None) -> Callable[Q, None]:
    """Make a part that is another one on every page, also where pages draw it in the same slot.

    Streamlit 1.67 identifies a part by its function's name and its slot, so that what was asked for on a page that is
    left would be run on the next one: see ``ui.going``.
    """

    @functools.wraps(draw)
    def on_page(*args: Q.args, **kwargs: Q.kwargs) -> None:
        @functools.wraps(draw)
        def drawn(*args: Q.args, **kwargs: Q.kwargs) -> None:
            draw(*args, **kwargs)

        context = get_script_run_ctx()
        drawn.__qualname__ += f" of {context.page_script_hash if context else ''}"
        st.fragment(run_every=run_every_s)(drawn)(*args, **kwargs)

    return on_page


def _may(app: App, user_id: int | None, right: Right) -> bool:
    try:
        with app.pool.transaction() as tx:
            if user_id is None:
                app.require_login(tx)
            else:
                app.require(tx, user_id, right)
    except (AccessError, NotFoundError):
        return False
    return True
