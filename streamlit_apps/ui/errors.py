"""Errors as sentences: what a viewer sees instead of a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import streamlit as st

from semg.errors import ConsentError, InvalidValueError, SemgError, SettingsError, StoreUnavailableError
from semg.store import profiles
from ui import runtime
from ui.text import Markdown, md, plain

logger = logging.getLogger(__name__)

_EARLY = "failed-early"

NO_DATABASE = md(
    "The database cannot be reached at the moment. No data is lost: it is buffered until the database is back. "
    "Reload the page in a moment; if that does not help, check `./start_all.sh --status`."
)


def sentence(error: Exception) -> Markdown:
    """Return an error as a sentence for a viewer; one that was not expected is logged with its traceback."""
    if isinstance(error, StoreUnavailableError):
        logger.warning("store unavailable: %s", error)
        return NO_DATABASE
    if isinstance(error, SettingsError):
        return md("The settings need changing: {error}.", error=error)
    if isinstance(error, InvalidValueError):  # says what to do, and names the field in words
        return plain(_as_sentence(str(error).removeprefix(f"{error.field}: ")))
    if isinstance(error, SemgError):
        return plain(_as_sentence(str(error)))
    logger.error("page failed", exc_info=error)
    now = datetime.now(UTC).strftime("%H:%M:%S")
    return md("An unexpected error occurred. The app's log has the details ({now} UTC).", now=now)


@contextmanager
def attempt() -> Iterator[None]:
    """Do something that a viewer asked for; when it fails, say why and go on with the page."""
    try:
        yield
    except Exception as exc:
        _show(exc)


@contextmanager
def attempt_early() -> Iterator[None]:
    """Do something before the page is drawn, in a widget's callback; when it fails, ``show_early`` says why.

    What a callback draws stands in the place of the page's first elements, and leaves the browser with an empty page.
    """
    try:
        yield
    except Exception as exc:
        st.session_state[_EARLY] = _said(exc)


def show_early() -> None:
    """Say why what was attempted before the page was drawn has failed, once."""
    said: Markdown | None = st.session_state.pop(_EARLY, None)
    if said is not None:
        st.error(plain(said), icon=":material/error:")


@contextmanager
def shown() -> Iterator[None]:
    """Draw something; when it fails, say why and stop here."""
    try:
        yield
    except Exception as exc:
        _show(exc)
        st.stop()


def _show(error: Exception) -> None:
    """Show an error as a sentence, with the way to the page where it is put right."""
    st.error(_said(error), icon=":material/error:")
    if isinstance(error, ConsentError):
        consent_link(error.user_id)


def _said(error: Exception) -> Markdown:
    if not isinstance(error, ConsentError):
        return sentence(error)
    with runtime.app().pool.transaction() as tx:
        name = profiles.get_profile(tx, error.user_id).name
    return md("{name} {said}: record the consent on the Profiles page first.", name=name, said=error.said)


def consent_link(user_id: int) -> None:
    """Show the way to the consent of a profile."""
    st.page_link(
        "pages/1_User_Management.py",
        label="Profiles: this person's consent",
        icon=":material/contract:",
        query_params={"profile": str(user_id)},
    )


def _as_sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
