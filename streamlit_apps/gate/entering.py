"""What every way of logging in ends with: a login in this browser, and the page that was asked for."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gate.requests import bound_login, browser_of, keep_cookie, visit_of
from gate.sockets import SESSIONS
from semg.errors import ConflictError, LoginError
from semg.security.login import NewLogin, end_login, open_login
from semg.security.tokens import Login
from semg.store import logins
from semg.store.accounts import Account
from semg.store.audit import Actor, record
from semg.store.pool import Pool

CHANGED = "Your account has just changed. Log in again."
_LOCAL = re.compile(r"/[!-.0-\[\]-~][!-\[\]-~]{0,1999}|/")
"""An address on this host: printable ASCII without a backslash, and one ``/`` at its beginning."""


def next_page(wanted: str, pages: frozenset[str]) -> str:
    """Return where to go after a login: a page of the app with its query, whatever was asked for.

    What is no plain address is not parsed: ``urlsplit`` normalises host names, which takes the square of their length.
    """
    if _LOCAL.fullmatch(wanted) is None:
        return "/"
    path, _, query = wanted.partition("#")[0].partition("?")
    if path not in (*pages, "/login/factors"):
        return "/"
    return f"{path}?{query}" if query else path


async def open_here(request: Request, account: Account, method: logins.Method, *, is_proof: bool = True) -> NewLogin:
    """Make a login in this browser; one that was there before ends, if both of its secrets are shown.

    The cookie goes to programs on other ports too: by it alone, who has any login of its own would end another one's.

    Parameters
    ----------
    is_proof
        The person has just proved who it is, as what is confirmed asks for.
    """
    visit = visit_of(request)
    before = await bound_login(request)

    def run() -> NewLogin:
        with visit.pool.transaction() as tx:
            if before is not None:
                end_login(tx, Login(before.account_id, before.login_id))
            made = open_login(tx, account, method, visit.settings, browser_of(request))
            if not is_proof:
                logins.update_unconfirmed(tx, made.login.login_id)
            return made

    made = await visit.in_thread(run)
    if before is not None:
        SESSIONS.end(before.login_id)
    return made


async def let_in(
    request: Request, account: Account, method: logins.Method, *, is_proof: bool = True, **more: str
) -> Response:
    """Make a login, and answer with what the page has to keep of it; the rest is in the cookie."""
    try:
        made = await open_here(request, account, method, is_proof=is_proof)
    except ConflictError as exc:
        raise LoginError(CHANGED) from exc
    response = JSONResponse({"binding": made.binding, **more})
    keep_cookie(response, visit_of(request), made.token)
    return response


def note_confirmed(pool: Pool, account: Account, login_id: int) -> None:
    """Note that somebody has proved again who it is."""
    with pool.transaction() as tx:
        logins.update_confirmed(tx, login_id)
        record(tx, Actor(account.login), "login.confirmed", login=login_id)
