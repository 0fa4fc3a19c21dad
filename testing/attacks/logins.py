"""One password on many logins, API tokens, the audit log, and who is told of whom."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from semg.errors import SemgError
from semg.security import audit_chain
from semg.security.audit_chain import ChainVerdict
from semg.settings import Settings
from semg.store import accounts, api_tokens, audit
from semg.store.pool import Pool, execute
from testing.attacks.app_page import AppPage
from testing.attacks.findings import Finding, judged
from testing.attacks.own_system import ADMIN, VIEWER
from testing.attacks.target import Target

TITLE = "passwords, tokens, the audit log"
TRIES = 30
MOST_ENTRIES = 3
"""Of the audit log, for all of these tries; they take less than two minutes."""


def attack(target: Target) -> Iterator[Finding]:
    """Try tokens and the audit log of our own system first; after the tries of passwords this address has to wait."""
    if target.inside is not None:
        yield from sharing(target)
        yield from api_token(target)
    yield from spraying(target)
    inside = target.own
    with inside.pool.transaction() as tx:
        failed = sum(one.action == "login.failed" for one in audit.list_entries(tx))
    yield judged(0 < failed <= MOST_ENTRIES, f"entries of the audit log for {TRIES} failed logins", failed)
    yield from chain(inside.settings, inside.pool)


def spraying(target: Target) -> Iterator[Finding]:
    """Try one password on many logins, which nobody has, from one address that gives itself out as many."""
    said = []
    for number in range(TRIES):
        body = {"login": f"nobody-{secrets.token_hex(4)}", "password": "Summer2026!"}
        headers = {"X-Forwarded-For": f"203.0.113.{number}" + ":5555" * (number % 2)} if number >= TRIES - 5 else {}
        answer = target.ask("POST", "/login", body=body, origin=target.url, headers=headers)
        said.append((answer.status_code, answer.text))
    opened = [status for status, _ in said if status < 400]
    is_slowed = said[-6] != said[0] and said[-6][0] in (401, 429)
    yield judged(not opened and is_slowed, f"one password on {TRIES} logins", _sentence(said[-6]))
    still = said[-1] != said[0] and said[-1][0] in (401, 429)
    yield judged(still, "the same with X-Forwarded-For of ever new addresses", _sentence(said[-1]))


def api_token(target: Target) -> Iterator[Finding]:
    """Use tokens for what they were not made for, after their end, revoked and changed."""
    inside, api = target.own, target.own.settings.internal_api_url
    with inside.pool.transaction() as tx:
        account = accounts.find_account(tx, ADMIN)
        assert account is not None
        read = api_tokens.insert_token(tx, account.account_id, "attack: read", ["read"])
        ended = api_tokens.insert_token(tx, account.account_id, "attack: ended", api_tokens.SCOPES)
        revoked = api_tokens.insert_token(tx, account.account_id, "attack: revoked", api_tokens.SCOPES)
        execute(tx, "UPDATE api_tokens SET expires_at = now() WHERE token_id = %s", (ended.token_id,))
        api_tokens.delete_token(tx, account.account_id, revoked.token_id)
    predict = {"userid": inside.user_id, "data": [[0.0, 0.0]]}
    for asked, token, method, url, allowed in (
        ("for read at /predict", read.text, "POST", f"{target.api_url}/predict", (403,)),
        ("for read at /metrics", read.text, "GET", f"{api}/metrics", (403,)),
        ("that has ended at /predict", ended.text, "POST", f"{target.api_url}/predict", (401,)),
        ("that has ended at /metrics", ended.text, "GET", f"{api}/metrics", (401,)),
        ("that was revoked at /predict", revoked.text, "POST", f"{target.api_url}/predict", (401,)),
        ("that was changed at /predict", read.text[:-3] + "AAA", "POST", f"{target.api_url}/predict", (401,)),
        ("of nothing at /metrics", "", "GET", f"{api}/metrics", (401,)),
    ):
        body = predict if method == "POST" else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = target.ask(method, url, body=body, headers=headers)
        yield judged(answer.status_code in allowed, f"an API token {asked}", answer.status_code)


def sharing(target: Target) -> Iterator[Finding]:
    """Look for other people's logins in all that a researcher's page of profiles is sent."""
    entry = target.log_in()
    with AppPage(target, entry, "User_Management", f"profile={target.own.user_id}") as page:
        told = [login for login in (ADMIN, VIEWER) if login.encode() in page.heard]
        is_there = target.login.encode() in page.heard
    said = f"lists {', '.join(told)}" if told else "lists nobody"
    yield judged(not told and is_there, "Profiles of a researcher: other people's logins", said)


def chain(settings: Settings, pool: Pool) -> Iterator[Finding]:
    """Verify the audit log, then change an entry as the tables' owner, and as a service."""
    whole = _verify(pool)
    yield judged(
        whole.broken is None and whole.n_entries > 0,
        f"the audit log's {whole.n_entries} entries",
        whole.reason or "whole",
    )
    forge = "UPDATE audit_entries SET user_id = 999 WHERE number = 2"
    try:
        with pool.transaction() as tx:
            execute(tx, forge)
        yield judged(False, "an entry of the audit log changed by a service", "changed")
    except SemgError as exc:
        yield judged("permission denied" in str(exc), "an entry of the audit log changed by a service", exc)
    owner = Pool(settings, size=1, name="attack-owner", as_owner=True)
    try:
        with owner.transaction() as tx:
            execute(tx, "ALTER TABLE audit_entries DISABLE TRIGGER USER")
            execute(tx, forge)
            execute(tx, "ALTER TABLE audit_entries ENABLE TRIGGER USER")
    finally:
        owner.close()
    found = _verify(pool)
    yield judged(
        found.broken == 2,
        "an entry changed by the owner, past the triggers",
        f"found: entry {found.broken}, {found.reason}",
    )


def _verify(pool: Pool) -> ChainVerdict:
    with pool.transaction() as tx:
        return audit_chain.verify(tx)


def _sentence(said: tuple[int, str]) -> str:
    return f"{said[0]} {said[1]}"
