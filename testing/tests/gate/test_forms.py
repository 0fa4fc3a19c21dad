"""Logging in by the gate's own pages: password, code, recovery code, passkey; and proving again who one is."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pyotp
import pytest

from gate import forms, turns
from gate.entering import next_page
from gate.steps import EXPIRED, LIFE_S, TRIES, Flows, Step, Steps
from semg.errors import LoginError
from semg.security import passwords, totp
from semg.security.login import REFUSED
from semg.security.passwords import hash_password
from semg.store import accounts, audit, logins, second_factors
from semg.store.accounts import Account
from semg.store.pool import Pool, execute
from testing.kits.live_helpers import wait_for
from testing.kits.new_logins import new_login
from testing.tests.gate.conftest import LOGIN, PAGES, PASSWORD, Door

pytestmark = pytest.mark.servers


def post(door: Door, path: str, body: Any, client: httpx.Client | None = None) -> httpx.Response:
    with client or door.client() as asked:
        return asked.post(path, json=body, headers={"Origin": door.url})


def app_of(door: Door) -> tuple[pyotp.TOTP, list[str]]:
    """Add an authenticator app to the account, whose first code is used up."""
    made = pyotp.TOTP(totp.new_secret())
    now, key = datetime.now(UTC), door.settings.secret_key.get_secret_value()
    with door.pool.transaction() as tx:
        codes = totp.add(tx, key, door.account_id, made.secret, made.at(now), now)
        execute(tx, "UPDATE totp_factors SET last_step = last_step - 10")
    return made, codes


def actions(door: Door) -> list[str]:
    with door.pool.transaction() as tx:
        return [entry.action for entry in audit.list_entries(tx)]


def test_password_gives_a_cookie_that_no_script_reads_and_a_binding(door: Door) -> None:
    answer = post(door, "/login", {"login": LOGIN, "password": PASSWORD})
    assert answer.status_code == 200
    said = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= said
    assert answer.headers["cache-control"] == "no-store"
    token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    with door.pool.transaction() as tx:
        found = logins.find_by_secrets(tx, token, answer.json()["binding"])
    assert found is not None
    assert (found.account_id, found.method, found.address) == (door.account_id, "password", "127.0.0.1")
    assert actions(door) == ["login.ok"]


def test_wrong_password_and_unknown_login_get_the_same_answer(door: Door) -> None:
    answers = [
        post(door, "/login", body)
        for body in (
            {"login": LOGIN, "password": "wrong"},
            {"login": "nobody", "password": PASSWORD},
            {"login": LOGIN},
            {"login": ["x"], "password": {"y": 1}},
        )
    ]
    assert {(one.status_code, one.json()["detail"]) for one in answers} == {(401, REFUSED)}
    assert not any("set-cookie" in one.headers for one in answers)
    assert "login.failed" in actions(door)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"{}", "text/plain"), (b"login=a", "application/x-www-form-urlencoded"), (b"[]", "application/json"),
     (b"{", "application/json"), (b"\xff", "application/json"), (b"[" * 5000, "application/json"),
     (b'{"login": "' + b"x" * 70_000 + b'"}', "application/json")],
)  # fmt: skip
def test_what_no_page_sends_is_refused(door: Door, content: bytes, kind: str) -> None:
    with door.client(None, Origin=door.url) as client:
        answer = client.post("/login", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "Reload it" in answer.json()["detail"]


def test_new_login_in_a_browser_ends_the_one_before(door: Door) -> None:
    before = door.login()
    answer = post(door, "/login", {"login": LOGIN, "password": PASSWORD}, door.client(before))
    assert answer.status_code == 200
    with door.pool.transaction() as tx:
        assert logins.find_login(tx, before.login.login_id) is None
        assert len(logins.list_logins(tx, door.account_id)) == 1


def test_cookie_alone_ends_no_login(door: Door) -> None:
    before = door.login()
    with door.pool.transaction() as tx:
        accounts.insert_account(tx, "eve", hash_password(PASSWORD))
    for shown in ({}, {"X-Semg-Binding": "none"}, {"X-Semg-Binding": door.login().binding}):
        client = door.client(None, Cookie=f"semg_login={before.token}", **shown)
        assert post(door, "/login", {"login": "eve", "password": PASSWORD}, client).status_code == 200
        with door.pool.transaction() as tx:
            assert logins.find_login(tx, before.login.login_id) is not None


def test_with_an_app_a_password_opens_nothing_without_its_code(door: Door) -> None:
    app, codes = app_of(door)
    answer = post(door, "/login", {"login": LOGIN, "password": PASSWORD})
    assert answer.json().keys() == {"handle"}
    assert "set-cookie" not in answer.headers
    handle = answer.json()["handle"]
    wrong = post(door, "/login/code", {"handle": handle, "code": "000000"})
    assert (wrong.status_code, wrong.json()["detail"]) == (401, totp.WRONG)
    code = app.now()
    right = post(door, "/login/code", {"handle": handle, "code": f"{code[:3]} {code[3:]}"})
    assert right.status_code == 200
    assert "HttpOnly" in right.headers["set-cookie"]
    assert post(door, "/login/code", {"handle": handle, "code": app.now()}).json()["detail"] == EXPIRED
    with door.pool.transaction() as tx:
        (login,) = logins.list_logins(tx, door.account_id)
        account = accounts.find_account_by_id(tx, door.account_id)
    assert login.method == "password and code"
    assert account is not None
    assert account.failed_logins == 0

    handle = post(door, "/login", {"login": LOGIN, "password": PASSWORD}).json()["handle"]
    again = post(door, "/login/code", {"handle": handle, "code": code})
    assert again.status_code == 401, "a code that was seen once is worth nothing"
    assert post(door, "/login/code", {"handle": handle, "code": codes[0].upper()}).status_code == 200
    handle = post(door, "/login", {"login": LOGIN, "password": PASSWORD}).json()["handle"]
    assert post(door, "/login/code", {"handle": handle, "code": codes[0]}).status_code == 401, "so is a recovery code"


def test_code_after_a_password_that_was_changed_meanwhile_opens_nothing(door: Door) -> None:
    app, _ = app_of(door)
    handle = post(door, "/login", {"login": LOGIN, "password": PASSWORD}).json()["handle"]
    with door.pool.transaction() as tx:
        accounts.update_password(tx, door.account_id, hash_password("another long password"))
    answer = post(door, "/login/code", {"handle": handle, "code": app.now()})
    assert (answer.status_code, answer.json()["detail"]) == (401, EXPIRED)
    with door.pool.transaction() as tx:
        assert logins.list_logins(tx, door.account_id) == []


@pytest.mark.parametrize("moment", ["while it is verified", "before the login is made"])
def test_login_under_way_does_not_outlive_a_change_of_its_password(
    door: Door, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def change() -> None:
        with door.pool.transaction() as tx:
            accounts.update_password(tx, door.account_id, new_hash)

    new_hash, verify, has_code = hash_password("another long password"), passwords.verify_password, forms._has_code

    def verified(*args: Any) -> Any:
        found = verify(*args)
        change()
        return found

    def asked(pool: Pool, account_id: int) -> bool:
        change()
        return has_code(pool, account_id)

    if moment == "while it is verified":
        monkeypatch.setattr(passwords, "verify_password", verified)
    else:
        monkeypatch.setattr(forms, "_has_code", asked)
    answer = post(door, "/login", {"login": LOGIN, "password": PASSWORD})
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    with door.pool.transaction() as tx:
        assert logins.list_logins(tx, door.account_id) == []
        account = accounts.find_account_by_id(tx, door.account_id)
    assert account is not None
    assert account.password_hash == new_hash


def test_codes_are_guessed_as_slowly_as_passwords(door: Door) -> None:
    app_of(door)
    refusals = []
    for _ in range(3):
        handle = post(door, "/login", {"login": LOGIN, "password": PASSWORD}).json()["handle"]
        for _ in range(TRIES):
            answer = post(door, "/login/code", {"handle": handle, "code": "000000"})
            refusals.append(answer.json()["detail"])
    assert refusals.count(totp.WRONG) == accounts.FREE_TRIES + 1
    assert set(refusals[accounts.FREE_TRIES + 1 :]) == {totp.LOCKED}


def test_wrong_passwords_of_others_do_not_shut_out_who_has_an_app(door: Door) -> None:
    app, codes = app_of(door)
    for number, failed in enumerate((0, 3, 4, 10, 30)):
        with door.pool.transaction() as tx:
            execute(tx, "UPDATE accounts SET failed_logins = %s, locked_until = now() - interval '1 s'", (failed,))
        answer = post(door, "/login", {"login": LOGIN, "password": PASSWORD})
        assert answer.status_code == 200, failed
        done = post(door, "/login/code", {"handle": answer.json()["handle"], "code": codes[number]})
        assert done.status_code == 200, failed
    assert app.secret


def test_steps_end_by_age_number_and_tries_and_are_for_one_thing() -> None:
    now_s = [0.0]
    steps = Steps(10, lambda: now_s[0])
    step = Step("code", "http://a", account_id=1)
    handle = steps.begin(step)
    assert [steps.take(handle, "code", "http://a", again=True) for _ in range(TRIES)] == [step] * TRIES
    for kind, origin, wait_s, again in (
        ("code", "http://a", 0.0, True), ("passkey", "http://a", 0.0, False), ("code", "http://b", 0.0, False),
        ("code", "http://a", LIFE_S, False),
    ):  # fmt: skip
        taken = handle if again else steps.begin(step)
        now_s[0] += wait_s
        with pytest.raises(LoginError):
            steps.take(taken, kind, origin)
    others = [steps.begin(replace(step, account_id=number)) for number in range(2, 12)]
    steps.begin(step)
    with pytest.raises(LoginError):
        steps.take(others[0], "code", "http://a")
    assert steps.take(others[1], "code", "http://a").account_id == 3


def test_steps_that_are_over_are_forgotten_with_what_they_remembered() -> None:
    now_s = [0.0]
    steps = Steps(1000, lambda: now_s[0])
    for _ in range(100):
        steps.begin(Step("provider", "http://a", secret=b"x" * 1000))
    now_s[0] += LIFE_S + 1
    steps.begin(Step("provider", "http://a"))
    assert len(steps._kept) == 1


def test_no_number_of_steps_pushes_those_of_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.steps.MOST_OF_STRANGERS", 5)
    flows = Flows()
    mine = flows.of_accounts.begin(Step("code", "http://a", account_id=1))
    for _ in range(50):
        flows.of_strangers.begin(Step("passkey", "http://a"))
        flows.of_accounts.begin(Step("code", "http://a", account_id=2))
    assert flows.of_accounts.take(mine, "code", "http://a").account_id == 1


@pytest.mark.parametrize(
    ("wanted", "there"),
    [("/", "/"), ("/User_Management?profile=3", "/User_Management?profile=3"), ("https://evil.example/", "/"),
     ("//evil.example/", "/"), ("/\\evil.example", "/"), ("javascript:alert(1)", "/"), ("/nothing", "/"), ("", "/"),
     ("/login/factors", "/login/factors"), ("http://[", "/"), ("/User_Management#x", "/User_Management"),
     ("//a" + "\u0344" * 5200 + "\u0316" * 5200, "/"), ("/User_Management?q=é", "/"), ("/?" + "x" * 3000, "/"),
     ("/ ", "/"), ("/%2f?x=1", "/"), ("///User_Management", "/"), ("/?profile=3", "/?profile=3")],
)  # fmt: skip
def test_login_leads_to_pages_of_the_app_only(wanted: str, there: str) -> None:
    assert next_page(wanted, PAGES) == there


def test_form_shows_what_it_is_given_as_text(door: Door) -> None:
    named = door.settings.model_copy(update={"oidc_metadata_url": "https://id.example", "oidc_name": "<img src=x>"})
    door.settings.__dict__.update(named.__dict__)
    with door.client() as client:
        page = client.get("/login", params={"next": '/User_Management?"><script>'})
    assert "<img" not in page.text
    assert "<script>" not in page.text
    assert "&lt;img src=x&gt;" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert page.headers["x-frame-options"] == "DENY"


def test_page_says_how_to_get_the_first_login(door: Door) -> None:
    with door.client() as client:
        assert "--reset-admin" not in client.get("/login").text
        with door.pool.transaction() as tx:
            execute(tx, "DELETE FROM accounts")
        assert "--reset-admin" in client.get("/login").text


def test_proof_of_who_it_is_needs_the_password_of_the_same_account(door: Door) -> None:
    login = door.login()
    with door.pool.transaction() as tx:
        execute(tx, "UPDATE logins SET confirmed_at = now() - interval '1 day'")

    def fresh() -> bool:
        with door.pool.transaction() as tx:
            return logins.is_confirmed(tx, login.login.login_id, 60)

    assert post(door, "/login/confirm", {"password": "wrong"}, door.client(login)).status_code == 401
    assert post(door, "/login/confirm", {"password": PASSWORD}).status_code == 401, "nobody is logged in"
    assert not fresh()
    assert post(door, "/login/confirm", {"password": PASSWORD}, door.client(login)).status_code == 200
    assert fresh()
    app, _ = app_of(door)
    with door.pool.transaction() as tx:
        execute(tx, "UPDATE logins SET confirmed_at = now() - interval '1 day'")
    assert post(door, "/login/confirm", {"password": PASSWORD}, door.client(login)).status_code == 401
    assert not fresh()
    sent = {"password": PASSWORD, "code": app.now()}
    assert post(door, "/login/confirm", sent, door.client(login)).status_code == 200
    assert fresh()


def test_proof_of_who_it_is_takes_no_turn_of_the_login_form(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    login, go_on, begun, really = door.login(), threading.Event(), threading.Event(), passwords.verify_password

    def slow(stored: str | None, password: str) -> tuple[bool, str | None]:
        if password == "slowly":
            begun.set()
            go_on.wait(60)
        return really(stored, password)

    def confirm() -> httpx.Response:
        return post(door, "/login/confirm", {"password": "slowly"}, door.client(login))

    monkeypatch.setattr(passwords, "verify_password", slow)
    first = threading.Thread(target=confirm)
    first.start()
    try:
        assert begun.wait(30)
        second = confirm()
        assert (second.status_code, second.json()["detail"]) == (401, passwords.ONE_AT_ONCE)
        with pytest.raises(LoginError, match="Try again"), passwords.INSIDE.turn(door.account_id + 1, 0.01):
            pytest.fail("a second one of those who are logged in was looked at")
        assert post(door, "/login", {"login": LOGIN, "password": PASSWORD}).status_code == 200
    finally:
        go_on.set()
        first.join(60)


def test_app_is_added_and_removed_with_a_fresh_proof_only(door: Door) -> None:
    login = door.login()

    def do(path: str, body: dict[str, Any]) -> httpx.Response:
        return post(door, f"/login/factors/{path}", body, door.client(login))

    begun = do("app/begin", {}).json()
    assert begun["picture"].startswith("data:image/svg+xml")
    assert do("app/add", {"handle": begun["handle"], "code": "000000"}).status_code == 401
    with door.pool.transaction() as tx:
        execute(tx, "UPDATE logins SET confirmed_at = now() - interval '1 day'")
    refused = do("app/add", {"handle": begun["handle"], "code": pyotp.TOTP(begun["secret"]).now()})
    assert (refused.status_code, "onfirm" in refused.json()["detail"]) == (401, True)
    for path in ("app/begin", "app/remove", "passkey/remove"):
        assert do(path, {"id": 1}).status_code == 401, path
    with door.pool.transaction() as tx:
        assert second_factors.find_totp(tx, door.account_id) is None
        logins.update_confirmed(tx, login.login.login_id)
    added = do("app/add", {"handle": begun["handle"], "code": pyotp.TOTP(begun["secret"]).now()})
    assert len(added.json()["recovery_codes"]) == totp.RECOVERY_CODES
    listed = do("list", {}).json()
    assert (listed["has_app"], listed["recovery_codes"]) == (True, totp.RECOVERY_CODES)
    with door.pool.transaction() as tx:
        stored = second_factors.find_totp(tx, door.account_id)
    assert stored is not None
    assert begun["secret"].encode() not in stored
    assert do("app/remove", {}).status_code == 200
    assert actions(door)[:2] == ["factor.removed", "factor.added"]
    with door.pool.transaction() as tx:
        assert second_factors.find_totp(tx, door.account_id) is None


def test_login_is_made_while_another_one_ends_and_the_password_is_changed(door: Door) -> None:
    """Both take the account's row first: neither waits for what the other has."""
    old = door.login()
    with door.pool.transaction() as tx:
        execute(tx, "UPDATE logins SET expires_at = now() - interval '1 s' WHERE login_id = %s", (old.login.login_id,))
    begun, done = threading.Event(), []

    def change() -> None:
        with door.pool.transaction() as tx:
            execute(tx, "SELECT 1 FROM accounts WHERE account_id = %s FOR UPDATE", (door.account_id,))
            begun.set()
            time.sleep(0.2)  # the other one is at the account's row by now, and has nothing that this needs
            accounts.update_password(tx, door.account_id, hash_password("another long password"))
        done.append("changed")

    changing = threading.Thread(target=change)
    changing.start()
    assert begun.wait(10)
    assert door.login().token
    changing.join(20)
    assert done == ["changed"]


def test_cookie_alone_does_not_tell_who_is_logged_in(door: Door) -> None:
    login = door.login()
    for path in ("/login", "/login/confirm", "/login/factors", "/"):
        with door.client(None, Cookie=f"semg_login={login.token}") as client:
            page = client.get(path)
            assert page.status_code == 200
            assert f">{LOGIN}<" not in page.text
            assert f'"{LOGIN}"' not in page.text


def test_cookie_alone_does_not_tell_by_what_an_account_logs_in(door: Door) -> None:
    login, pages = door.login(), []
    with door.pool.transaction() as tx:
        eve = accounts.insert_account(tx, "eve", "")
    by_provider = new_login(door.pool, eve)
    for shown in (login, by_provider):
        with door.client(None, Cookie=f"semg_login={shown.token}") as client:
            pages.append(client.get("/login/confirm").text)
    app_of(door)
    with door.client(None, Cookie=f"semg_login={login.token}") as client:
        pages.append(client.get("/login/confirm").text)
        assert client.post("/login/factors/list", json={}, headers={"Origin": door.url}).status_code == 401
    assert len(set(pages)) == 1


def test_many_tries_of_one_hold_nobody_else_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries wait in threads of their own, and not without end: pages open meanwhile, and others log in."""
    trusted = door.settings.model_copy(update={"trusted_proxies": "127.0.0.0/8"})
    door.settings.__dict__.update(trusted.__dict__)
    go_on, answers, really = threading.Event(), [], forms.verify_login

    def slow(pool: Pool, login: str, *rest: Any, **more: Any) -> Account:
        if login == LOGIN:
            go_on.wait(60)
        return really(pool, login, *rest, **more)

    def attempt() -> None:
        answers.append(post(door, "/login", {"login": LOGIN, "password": PASSWORD}).json())

    with door.pool.transaction() as tx:
        accounts.insert_account(tx, "eve", hash_password(PASSWORD), "viewer")
    monkeypatch.setattr(forms, "verify_login", slow)
    monkeypatch.setattr(turns, "WAITING_OF_ONE", 2)
    tries = [threading.Thread(target=attempt) for _ in range(5)]
    for each in tries:
        each.start()
    try:
        wait_for(lambda: answers == [{"detail": passwords.BUSY}] * 3)
        with door.client(door.login()) as client:
            assert client.get("/").status_code == 200
        elsewhere = door.client(None, **{"X-Forwarded-For": "192.0.2.7"})
        assert post(door, "/login", {"login": "eve", "password": PASSWORD}, elsewhere).status_code == 200
    finally:
        go_on.set()
        for each in tries:
            each.join(60)
    assert [one.keys() for one in answers[3:]] == [{"binding"}] * 2, "its own right ones are taken, one after the other"


def test_link_from_elsewhere_logs_nobody_out(door: Door) -> None:
    """It comes without the cookie; the page must not make the browser forget it."""
    login = door.login()
    with door.client(None, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}) as client:
        assert "set-cookie" not in client.get("/login").headers
    with door.client(login) as client:
        assert "set-cookie" not in client.get("/login").headers
        with door.pool.transaction() as tx:
            logins.delete_logins(tx, door.account_id)
        assert 'semg_login=""' in client.get("/login").headers["set-cookie"], "of a login that has ended"


def test_one_address_begins_few_steps(door: Door) -> None:
    at_localhost = replace(door, url=door.url.replace("127.0.0.1", "localhost"))
    codes = [post(at_localhost, "/login/passkey/options", {}).status_code for _ in range(20)]
    assert codes[:15] == [200] * 15
    assert 401 in codes[15:]
