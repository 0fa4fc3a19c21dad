"""Addresses of files: worth nothing without a token, with another's, after the login and for a disabled account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from semg.store import accounts
from testing.attacks.app_page import PAGES, AppPage
from testing.attacks.findings import Finding, NotTried, judged
from testing.attacks.means import Entry
from testing.attacks.target import Target

TITLE = "addresses of files, and Streamlit's media"
MEDIA = re.compile(rb"/media/[0-9a-f]{32,}")
REVIEW = "Sensor_Data_Review"


def attack(target: Target) -> Iterator[Finding]:
    """Collect the addresses that pages show, and ask for them when nobody should get anything."""
    for path in ("/media/" + "0" * 64 + ".csv", "/component/x/y", "/_stcore/bidi-components/x/y"):
        answer = target.ask("GET", path)
        yield judged(answer.status_code in (401, 403, 404), f"GET {path[:20]}… without a login", answer.status_code)
    entry = target.log_in()
    for name in PAGES:
        with AppPage(target, entry, name, _query(target)) as page:
            held = sorted(set(MEDIA.findall(page.heard)))
            yield from media_of(target, name or "Overview", [one.decode() for one in held])
    address = _address(target, entry)
    yield from guesses(target, address)
    yield from after_the_end(target, entry, address)
    if target.inside is not None:
        yield from disabled(target)


def media_of(target: Target, name: str, held: list[str]) -> Iterator[Finding]:
    """Check that nothing of a page lies at an address that asks nobody for a login."""
    open_ones = [one for one in held if target.ask("GET", one).status_code == 200]
    said = f"{len(held)} addresses, {len(open_ones)} open to everybody"
    yield judged(not held and not open_ones, f"/media/ addresses on {name}", said)


def guesses(target: Target, address: str) -> Iterator[Finding]:
    """Ask for a file with its token, which must work, and then with less."""
    bare, _, token = address.partition("?token=")
    right = target.ask("GET", address)
    if right.status_code != 200:
        raise NotTried(f"a page's own address of a file is answered {right.status_code}")
    name = bare.rpartition("/")[2]
    number = re.search(r"\d+", name)
    other = bare.replace(name, name.replace(number[0], str(int(number[0]) + 1))) if number else bare + "x"
    changed = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    unsigned = "eyJhbGciOiJub25lIn0." + token.split(".")[1] + "." if token.count(".") == 2 else "x"
    for asked, path in (
        ("without a token", bare),
        ("with an empty token", f"{bare}?token="),
        ("with a changed token", f"{bare}?token={changed}"),
        ("with a token without a signature", f"{bare}?token={unsigned}"),
        ("of another number, this one's token", f"{other}?token={token}"),
        ("that is the audit log, this one's token", f"{target.api_url}/files/audit.csv?token={token}"),
        ("that is a video, this one's token", f"{target.api_url}/videos/1?token={token}"),
        ("that is an archive, this one's token", f"{target.api_url}/exports/1-a?token={token}"),
    ):
        answer = target.ask("GET", path)
        yield judged(answer.status_code in (401, 404), f"a file {asked}", answer.status_code)


def after_the_end(target: Target, entry: Entry, address: str) -> Iterator[Finding]:
    """Ask with a token whose login was ended by its owner."""
    with AppPage(target, entry) as page:
        page.log_out()
    answer = target.ask("GET", address)
    yield judged(answer.status_code == 401, "a file with a token of a login that has ended", answer.status_code)


def disabled(target: Target) -> Iterator[Finding]:
    """Ask with a token of an account that an admin disables; it is enabled again afterwards."""
    entry, pool = target.log_in(), target.own.pool
    address = _address(target, entry)
    with pool.transaction() as tx:
        account = accounts.find_account(tx, target.login)
    assert account is not None
    for asked, is_disabled in (("before the account was disabled", False), ("after the account was disabled", True)):
        with pool.transaction() as tx:
            accounts.update_account(tx, account.account_id, role=account.role, disabled=is_disabled)
        status = target.ask("GET", address).status_code
        if is_disabled:
            yield judged(status == 401, f"a file {asked}", status)
        elif status != 200:
            raise NotTried(f"a page's own address of a file is answered {status}")
    told = target.knock(entry)
    yield judged(told != "open", "WebSocket of a page after the account was disabled", told)
    with pool.transaction() as tx:
        accounts.update_account(tx, account.account_id, role=account.role, disabled=False)


def _address(target: Target, entry: Entry) -> str:
    """Return the address of a session's file, as the page of reviews shows it."""
    with AppPage(target, entry, REVIEW, _query(target)) as page:
        found = [one.url for one in page.all("link_button") if "/files/session-" in one.url]
    if not found:
        raise NotTried(f"no session is there to be downloaded on {REVIEW}")
    return found[0] if urlsplit(found[0]).netloc else f"{target.url}{found[0]}"


def _query(target: Target) -> str:
    return "" if target.inside is None else f"profile={target.inside.user_id}"
