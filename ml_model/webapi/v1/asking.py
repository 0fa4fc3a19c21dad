"""How the routes reach the database: in a turn of the account, off the event loop, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Path

from semg.store.audit import Action
from semg.store.pool import Transaction, limit_statements
from webapi.access import Caller
from webapi.acting_caller import ActingCaller
from webapi.v1.paging import MAX_ID

T = TypeVar("T")
ASK_S = 10.0
"""Longest statement of a question."""
Number = Annotated[int, Path(ge=1, le=MAX_ID)]
Version = Annotated[int, Path(ge=1, lt=1 << 31)]


async def read(caller: Caller, ask: Callable[[Transaction, ActingCaller], T]) -> T:
    """Return what a read-only transaction finds."""
    return await _ask(caller, ask, is_change=False)


async def change(caller: Caller, act: Callable[[Transaction, ActingCaller], T]) -> T:
    """Return what a transaction has changed, committed."""
    return await _ask(caller, act, is_change=True)


async def note_seen(caller: Caller, action: Action, user_id: int, session_id: int | None = None) -> None:
    """Write down, once an hour, that the caller looks at something."""
    await caller.services.trail.seen(caller.actor, action, user_id, session_id)


async def _ask(caller: Caller, act: Callable[[Transaction, ActingCaller], T], *, is_change: bool) -> T:
    services = caller.services
    pool = services.pool if is_change else services.pool.read_only()

    def asked() -> T:
        with pool.transaction() as tx:
            limit_statements(tx, ASK_S)
            return act(tx, caller.acting)

    return await services.questions.run(caller.account_id, asked)


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems that a route may answer with, for OpenAPI; those that all have are among them."""
    return {
        status: {"description": _MEANINGS[status], "content": {"application/problem+json": {"schema": _SCHEMA}}}
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }


def change_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems of a route that takes a body."""
    return refusals(400, 408, 413, *statuses)


_MEANINGS = {
    400: "The body cannot be read",
    401: "No token, or none that holds",
    403: "The account's role, or what its token was made for, does not allow it",
    404: "It is not there, or not for this account to see: in the same words",
    408: "The body took too long",
    409: "It contradicts what is there, or the consent",
    412: "It was changed since it was read",
    413: "The body is too large",
    422: "The field that is wrong",
    428: "If-Match is missing",
    429: "Too many requests, files or jobs",
    503: "The database is away",
}
_SCHEMA: dict[str, Any] = {
    "title": "ProblemDetails",
    "description": "RFC 9457, with the field that it is about",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
    },
    "example": {
        "type": "about:blank", "title": "Not Found", "status": 404,
        "detail": "there is no session 7 that this account may see",
    },
}  # fmt: skip
