"""The login pages: password, code, passkey, and proving again who one is."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gate import documents
from gate.answers import answered
from gate.entering import let_in, next_page, note_confirmed
from gate.requests import body_of, bound_login, find_login, forget_cookie, refusal, text_of, token_of, visit_of
from gate.steps import EXPIRED, Flows, Step
from gate.turns import Turns
from semg.errors import LoginError
from semg.security import passkeys, totp
from semg.security.failed_logins import FailedLogins, record_failures
from semg.security.keys import ring_of
from semg.security.login import FORM, AddressLimitedError, verify_login
from semg.store import accounts, second_factors
from semg.store.accounts import Account
from semg.store.logins import LoginRecord
from semg.store.pool import Pool

logger = logging.getLogger(__name__)


def routes(flows: Flows, turns: Turns, pages: frozenset[str]) -> list[Route]:
    """Return the routes of the login pages."""
    forms = Forms(flows, turns, pages)
    return [
        Route("/login", forms.page, methods=["GET"]),
        Route("/login", answered(forms.password), methods=["POST"]),
        Route("/login/state", forms.state, methods=["GET"]),
        Route("/login/code", answered(forms.code), methods=["POST"]),
        Route("/login/passkey/options", answered(forms.passkey_options), methods=["POST"]),
        Route("/login/passkey", answered(forms.passkey), methods=["POST"]),
        Route("/login/confirm", forms.confirm_page, methods=["GET"]),
        Route("/login/confirm", answered(forms.confirm), methods=["POST"]),
        Route("/gate/{name}", asset, methods=["GET"]),
    ]


async def asset(request: Request) -> Response:
    """Return a script or style of these pages."""
    found = documents.asset_response(request.path_params["name"])
    return refusal(404, "There is no such file.") if found is None else found


class Forms:
    """The handlers; blocking work is done in threads."""

    def __init__(self, flows: Flows, turns: Turns, pages: frozenset[str]) -> None:
        self._flows, self._turns, self._pages = flows, turns, pages
        self._failed = FailedLogins()

    async def page(self, request: Request) -> Response:
        """Show the form."""
        visit = visit_of(request)
        nobody = await visit.in_thread(_has_no_accounts, visit.pool)
        response = documents.form_response("login.html", self._values(request) | {"nobody": nobody})
        if token_of(request.headers, visit) and await find_login(request.headers, visit, None) is None:
            forget_cookie(response, visit)  # of a login that has ended; a link from elsewhere sends none
        return response

    async def confirm_page(self, request: Request) -> Response:
        """Show the form in which somebody proves again who it is; by what, its script asks with both secrets."""
        if await find_login(request.headers, visit_of(request), None) is None:
            return Response(status_code=303, headers={"Location": "/login"})
        return documents.form_response("confirm.html", self._values(request))

    def _values(self, request: Request) -> dict[str, Any]:
        visit = visit_of(request)
        settings = visit.settings
        return {
            "next": next_page(request.query_params.get("next", "/"), self._pages),
            "passkeys": passkeys.are_possible(visit.address),
            "provider": settings.oidc_name if settings.oidc_metadata_url else "",
        }

    async def state(self, request: Request) -> Response:
        """Say whether somebody is logged in here: 204, or 401."""
        found = await bound_login(request)
        response = Response(status_code=401 if found is None else 204)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def password(self, request: Request) -> Response:
        """Log in by a password, or ask for a code after it."""
        body, visit = await body_of(request), visit_of(request)
        name, secret = text_of(body, "login"), text_of(body, "password")
        account = await self._turns.run(visit.key, self._checked, request, name, secret)
        if await visit.in_thread(_has_code, visit.pool, account.account_id):
            step = Step(
                "code", visit.address.origin, account_id=account.account_id, secret=account.password_hash.encode()
            )
            return JSONResponse({"handle": self._flows.of_accounts.begin(step)})
        return await let_in(request, account, "password")

    def _checked(self, request: Request, name: str, secret: str, inside: int | None = None) -> Account:
        visit = visit_of(request)
        try:
            return verify_login(visit.pool, name, secret, datetime.now(UTC), visit.key, inside=inside)
        except AddressLimitedError:
            raise
        except LoginError:
            with visit.pool.transaction() as tx:
                known = accounts.find_account(tx, name)
                number = None if known is None else known.account_id
                record_failures(tx, FORM, self._failed.note(time.monotonic(), number, visit.key))
            raise

    async def code(self, request: Request) -> Response:
        """Log in by the code that follows a password."""
        body, visit = await body_of(request), visit_of(request)
        handle = text_of(body, "handle")
        step = self._flows.of_accounts.take(handle, "code", visit.address.origin, again=True)
        account = await visit.in_thread(_check_code, request, step.account_id, text_of(body, "code"), step.secret)
        self._flows.of_accounts.end(handle)
        return await let_in(request, account, "password and code")

    async def passkey_options(self, request: Request) -> Response:
        """Begin with a passkey."""
        await body_of(request)
        visit = visit_of(request)
        if not passkeys.are_possible(visit.address):
            raise LoginError("Browsers accept passkeys only at a host name with HTTPS, not at this address.")
        self._turns.start(visit.key)
        options, challenge = passkeys.login_options(visit.address)
        return JSONResponse({
            "handle": self._flows.of_strangers.begin(Step("passkey", visit.address.origin, secret=challenge)),
            "options": options,
        })  # fmt: skip

    async def passkey(self, request: Request) -> Response:
        """Log in by a passkey."""
        account = await self._account_of_passkey(request, await body_of(request))
        return await let_in(request, account, "passkey")

    async def _account_of_passkey(self, request: Request, body: Any) -> Account:
        visit = visit_of(request)
        step = self._flows.of_strangers.take(text_of(body, "handle"), "passkey", visit.address.origin)
        answer = body.get("answer")
        if not isinstance(answer, dict):
            raise ValueError("expected the answer of a passkey")
        return await visit.in_thread(_check_passkey, request, step.secret, answer)

    async def confirm(self, request: Request) -> Response:
        """Let somebody who is logged in prove again who it is."""
        body, visit = await body_of(request), visit_of(request)
        login = await bound_login(request)
        account = None if login is None else await visit.in_thread(_account_of, visit.pool, login)
        if login is None or account is None:
            raise LoginError("This login has ended. Log in again.")
        if "answer" in body:
            shown = await self._account_of_passkey(request, body)
            if shown.account_id != account.account_id:
                raise LoginError(passkeys.WRONG)
        else:
            await self._turns.run_inside(account.account_id, self._confirm_by_password, request, account, body)
        await visit.in_thread(note_confirmed, visit.pool, account, login.login_id)
        return JSONResponse({})

    def _confirm_by_password(self, request: Request, account: Account, body: Any) -> None:
        visit = visit_of(request)
        self._checked(request, account.login, text_of(body, "password"), account.account_id)
        if _has_code(visit.pool, account.account_id):
            _check_code(request, account.account_id, text_of(body, "code"))


def _check_code(request: Request, account_id: int, code: str, password_hash: bytes | None = None) -> Account:
    """Return the account whose code is right, and whose password is still the one that was proved before it."""
    visit = visit_of(request)
    with visit.pool.transaction() as tx:
        account = accounts.find_account_by_id(tx, account_id)
    if account is None or account.disabled_at is not None:
        raise LoginError(totp.WRONG)
    if password_hash is not None and account.password_hash.encode() != password_hash:
        raise LoginError(EXPIRED)
    totp.check(visit.pool, ring_of(visit.settings), account_id, code, datetime.now(UTC))
    return account


def _check_passkey(request: Request, challenge: bytes, answer: dict[str, Any]) -> Account:
    visit = visit_of(request)
    with visit.pool.transaction() as tx:
        return passkeys.check(tx, visit.address, challenge, answer)


def _account_of(pool: Pool, login: LoginRecord) -> Account | None:
    with pool.transaction() as tx:
        return accounts.find_account_by_id(tx, login.account_id)


def _has_code(pool: Pool, account_id: int) -> bool:
    with pool.transaction() as tx:
        return second_factors.find_totp(tx, account_id) is not None


def _has_no_accounts(pool: Pool) -> bool:
    with pool.transaction() as tx:
        return accounts.count_accounts(tx) == 0
