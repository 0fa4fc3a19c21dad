"""Who acts, as pages and the API tell it, and what of other people's rows it may know of."""

from __future__ import annotations

from typing import Protocol

from semg.domain import Job, Repetition, Session
from semg.errors import NotFoundError
from semg.store import access, jobs, repetitions, sessions
from semg.store.audit import Actor
from semg.store.pool import Transaction


class Acting(Protocol):
    """Who looks or changes: somebody in a login of the app, or a program with a token."""

    @property
    def actor(self) -> Actor:
        """Who it is for the audit log."""
        ...

    @property
    def account_id(self) -> int:
        """The account; 0 for a service."""
        ...

    def require(self, tx: Transaction, user_id: int, right: access.Right) -> None:
        """Refuse what may not be done with a profile.

        Raises
        ------
        NotFoundError
            There is no such profile, or none that may be seen.
        AccessError
            It is seen, and this may not be done with it.
        """
        ...


def changed_by(who: Acting) -> str:
    """Return the name that is kept with a label that was changed."""
    return who.actor.login or who.actor.service


def get_session(tx: Transaction, who: Acting, session_id: int, right: access.Right = "see") -> Session:
    """Return a session.

    Raises
    ------
    NotFoundError
        In the same words, whether it is of a profile that may not be seen or is not there.
    AccessError
        As ``Acting.require``.
    """
    try:
        session = sessions.get_session(tx, session_id)
        who.require(tx, session.user_id, right)
    except NotFoundError:
        raise NotFoundError(f"there is no session {session_id} that this account may see") from None
    return session


def get_job(tx: Transaction, who: Acting, job_id: int, right: access.Right = "see") -> Job:
    """Return a training job with its log; errors as ``get_session``."""
    try:
        job = jobs.get_job(tx, job_id)
        who.require(tx, job.user_id, right)
    except NotFoundError:
        raise NotFoundError(f"there is no job {job_id} that this account may see") from None
    return job


def get_repetition(
    tx: Transaction, who: Acting, repetition_id: int, right: access.Right = "see", *, locked: bool = False
) -> tuple[Repetition, Session]:
    """Return a repetition and its session; errors as ``get_session``.

    Parameters
    ----------
    locked
        Nobody else changes it until the transaction ends.
    """
    try:
        repetition = repetitions.get_repetition(tx, repetition_id)
        session = sessions.get_session(tx, repetition.session_id)
        who.require(tx, session.user_id, right)
        if locked:
            repetitions.lock_repetition(tx, repetition_id)
            repetition = repetitions.get_repetition(tx, repetition_id)
    except NotFoundError:
        raise NotFoundError(f"there is no repetition {repetition_id} that this account may see") from None
    return repetition, session
