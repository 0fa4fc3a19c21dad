"""Turns at what runs one at a time in the app's process, for all viewers; fair between their accounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from semg.errors import ConflictError
from semg.process.fair_turns import FairTurns
from ui.runtime import App

WAIT_S = 45.0
"""A page waits no longer: it holds a thread and its file. Longer than what another account's one takes as a rule."""


@contextmanager
def turn(app: App, turns: FairTurns, what: str, button: str) -> Iterator[None]:
    """Hold a turn of the viewer's account in this block.

    An account that has just had one comes behind the others that wait, so that nobody is shut out by who asks again and
    again.

    Raises
    ------
    ConflictError
        The others have not finished in ``WAIT_S``, or too many pages of the account wait.
    """
    assert app.account is not None
    account_id = app.account.account_id
    if not turns.take(account_id, WAIT_S):
        raise ConflictError(f"wait until the other {what} has finished, then press {button} again: one runs at a time")
    try:
        yield
    finally:
        turns.give_back(account_id)
