"""The page on which somebody adds and removes an authenticator app and passkeys; each change needs a fresh proof."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gate import documents
from gate.answers import answered
from gate.requests import body_of, bound_login, find_login, text_of, visit_of
from gate.steps import Flows, Step
from semg.errors import LoginError
from semg.security import passkeys, totp
from semg.security.keys import ring_of
from semg.store import accounts, logins, second_factors
from semg.store.accounts import Account
from semg.store.audit import Actor, record
from semg.store.pool import Transaction

CONFIRM = "Confirm your identity first."
Work = Callable[[Transaction, Account, int], Any]


def routes(flows: Flows) -> list[Route]:
    """Return the routes of the page."""
    factors = Factors(flows)
    return [
        Route("/login/factors", factors.page, methods=["GET"]),
        Route("/login/factors/list", answered(factors.list), methods=["POST"]),
        Route("/login/factors/app/begin", answered(factors.begin_app), methods=["POST"]),
        Route("/login/factors/app/add", answered(factors.add_app), methods=["POST"]),
        Route("/login/factors/app/remove", answered(factors.remove_app), methods=["POST"]),
        Route("/login/factors/passkey/begin", answered(factors.begin_passkey), methods=["POST"]),
        Route("/login/factors/passkey/add", answered(factors.add_passkey), methods=["POST"]),
        Route("/login/factors/passkey/remove", answered(factors.remove_passkey), methods=["POST"]),
    ]


class Factors:
    """The handlers."""

    def __init__(self, flows: Flows) -> None:
        self._steps = flows.of_accounts

    async def page(self, request: Request) -> Response:
        """Show the page; what there is, its script asks for with both secrets of the login."""
        visit = visit_of(request)
        if await find_login(request.headers, visit, None) is None:
            return Response(status_code=303, headers={"Location": "/login"})
        return documents.form_response("factors.html", {"passkeys": passkeys.are_possible(visit.address)})

    async def list(self, request: Request) -> Response:
        """Return what the account has."""

        def work(tx: Transaction, account: Account, login_id: int) -> dict[str, Any]:
            return {
                "login": account.login,
                "has_password": bool(account.password_hash),
                "has_app": second_factors.find_totp(tx, account.account_id) is not None,
                "recovery_codes": second_factors.count_recovery_codes(tx, account.account_id),
                "is_confirmed": logins.is_confirmed(tx, login_id, visit_of(request).settings.confirm_s),
                "passkeys": [
                    {
                        "id": one.passkey_id,
                        "name": one.name,
                        "host": one.rp_id,
                        "added": f"{one.added_at:%Y-%m-%d}",
                        "used": f"{one.used_at:%Y-%m-%d}" if one.used_at else "",
                    }
                    for one in second_factors.list_passkeys(tx, account.account_id)
                ],
            }

        return JSONResponse(await self._do(request, work, fresh=False))

    async def begin_app(self, request: Request) -> Response:
        """Make the secret of a new app, and its QR code."""
        secret, origin = totp.new_secret(), visit_of(request).address.origin

        def work(_: Transaction, account: Account, login_id: int) -> dict[str, Any]:
            if not account.password_hash:
                raise LoginError("This account logs in through its provider, which asks for second factors itself.")
            step = Step("new app", origin, account.account_id, login_id, secret.encode())
            picture = segno.make(totp.address_of(secret, account.login), error="m").svg_data_uri(scale=5)
            return {"handle": self._steps.begin(step), "secret": secret, "picture": picture}

        return JSONResponse(await self._do(request, work))

    async def add_app(self, request: Request) -> Response:
        """Add the app that shows a right code, and return the recovery codes."""
        body, visit = await body_of(request), visit_of(request)
        step = self._steps.take(text_of(body, "handle"), "new app", visit.address.origin, again=True)

        def work(tx: Transaction, account: Account, login_id: int) -> dict[str, Any]:
            if (step.account_id, step.login_id) != (account.account_id, login_id):
                raise LoginError("This was started in another login. Start again.")
            keys, secret = ring_of(visit.settings), step.secret.decode()
            codes = totp.add(tx, keys, account.account_id, secret, text_of(body, "code"), datetime.now(UTC))
            record(tx, Actor(account.login), "factor.added", account=account.account_id)
            return {"recovery_codes": codes}

        done = await self._do(request, work)
        self._steps.end(text_of(body, "handle"))
        return JSONResponse(done)

    async def remove_app(self, request: Request) -> Response:
        """Remove the app."""

        def work(tx: Transaction, account: Account, _: int) -> dict[str, Any]:
            if second_factors.delete_totp(tx, account.account_id):
                record(tx, Actor(account.login), "factor.removed", account=account.account_id)
            return {}

        return JSONResponse(await self._do(request, work))

    async def begin_passkey(self, request: Request) -> Response:
        """Begin with a new passkey."""
        visit = visit_of(request)
        if not passkeys.are_possible(visit.address):
            raise LoginError("Browsers accept passkeys only at a host name with HTTPS, not at this address.")

        def work(tx: Transaction, account: Account, login_id: int) -> dict[str, Any]:
            options, challenge = passkeys.registration_options(tx, account, visit.address)
            step = Step("new passkey", visit.address.origin, account.account_id, login_id, challenge)
            return {"handle": self._steps.begin(step), "options": options}

        return JSONResponse(await self._do(request, work))

    async def add_passkey(self, request: Request) -> Response:
        """Add the passkey that a device has made."""
        body, visit = await body_of(request), visit_of(request)
        step = self._steps.take(text_of(body, "handle"), "new passkey", visit.address.origin)
        answer = body.get("answer")
        if not isinstance(answer, dict):
            raise ValueError("expected the answer of a passkey")

        def work(tx: Transaction, account: Account, login_id: int) -> dict[str, Any]:
            if (step.account_id, step.login_id) != (account.account_id, login_id):
                raise LoginError("This was started in another login. Start again.")
            name = text_of(body, "name").strip() or "Passkey"
            number = passkeys.add(tx, account, visit.address, step.secret, answer, name)
            record(tx, Actor(account.login), "factor.added", account=account.account_id, passkey=number)
            return {}

        return JSONResponse(await self._do(request, work))

    async def remove_passkey(self, request: Request) -> Response:
        """Remove a passkey."""
        number = (await body_of(request)).get("id")
        if not isinstance(number, int):
            raise ValueError("expected the number of a passkey")

        def work(tx: Transaction, account: Account, _: int) -> dict[str, Any]:
            second_factors.delete_passkey(tx, account.account_id, number)
            record(tx, Actor(account.login), "factor.removed", account=account.account_id, passkey=number)
            return {}

        return JSONResponse(await self._do(request, work))

    async def _do(self, request: Request, work: Work, *, fresh: bool = True) -> Any:
        """Do something for who is logged in, in one transaction.

        Parameters
        ----------
        fresh
            Only if the person has just proved who it is.
        """
        login = await bound_login(request)
        if login is None:
            raise LoginError("This login has ended. Log in again.")
        visit = visit_of(request)

        def run() -> Any:
            with visit.pool.transaction() as tx:
                account = accounts.find_account_by_id(tx, login.account_id)
                if account is None:
                    raise LoginError("This login has ended. Log in again.")
                if fresh and not logins.is_confirmed(tx, login.login_id, visit.settings.confirm_s):
                    raise LoginError(CONFIRM)
                return work(tx, account, login.login_id)

        return await visit.in_thread(run)
