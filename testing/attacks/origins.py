"""Pages of another origin, another port of the same host too, and copies of a login's cookie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from testing.attacks.app_page import AppPage
from testing.attacks.findings import Finding, NotTried, judged
from testing.attacks.means import Entry
from testing.attacks.target import Target

TITLE = "origins and cookies"
UPLOAD = "/_stcore/upload_file/a/b"


def attack(target: Target) -> Iterator[Finding]:
    """Ask as pages of other origins would, and with a login's cookie and no more."""
    entry = target.log_in() if target.login else None
    yield from foreign_origins(target, entry)
    if entry is None:
        raise NotTried("cookies need a login: give --login and --password")
    yield from flags(target, entry)
    yield from cookie_alone(target, entry)
    yield from stolen(target, entry)


def foreign_origins(target: Target, entry: Entry | None) -> Iterator[Finding]:
    """Open the page's WebSocket, send a file and log in, from other origins; with a login where there is one."""
    host, port = target.address
    scheme, other = ("https", "http") if target.context else ("http", "https")
    for origin in (
        "http://evil.example", target.canary.origin, f"{other}://{host}:{port}", f"{scheme}://{host}",
        f"{scheme}://{host}:{port}.evil.example", f"{scheme}://localhost.evil.example:{port}", "null",
    ):  # fmt: skip
        named = origin.replace(str(target.canary.port), "ANOTHER").replace(str(port), "PORT")
        told = target.knock(entry, origin=origin)
        yield judged(told != "open", f"WebSocket of a page, Origin {named}", told)
        for method, path in (("PUT", UPLOAD), ("POST", "/login"), ("POST", "/login/confirm")):
            body = {"login": target.login or "nobody", "password": target.password or "x"}
            answer = target.ask(method, path, entry, body=body, origin=origin)
            is_shut = answer.status_code in (403, 405) and "set-cookie" not in answer.headers
            yield judged(is_shut, f"{method} {path}, Origin {named}", answer.status_code)
    for method, path in (("PUT", UPLOAD), ("POST", "/login")):
        answer = target.ask(method, path, entry, body={})
        yield judged(answer.status_code in (403, 405), f"{method} {path} without an Origin", answer.status_code)
    inside = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}
    for path in ("/", "/media/x.png", "/_stcore/host-config"):
        answer = target.ask("GET", path, entry, headers=inside)
        yield judged(answer.status_code in (401, 403), f"GET {path} as a picture of another port", answer.status_code)
    framing = target.ask("GET", "/login").headers.get("x-frame-options", "")
    yield judged(
        framing in ("DENY", "SAMEORIGIN"), "GET /login in a frame of elsewhere", framing or "no X-Frame-Options"
    )


def flags(target: Target, entry: Entry) -> Iterator[Finding]:
    """Check the flags of the login's cookie."""
    name, _, rest = entry.set_cookie.partition("=")
    said = {part.strip().lower() for part in rest.split(";")[1:]}
    wanted = {"httponly", "samesite=strict", "path=/"} | ({"secure"} if target.context else set())
    lacks = sorted(wanted - said) + [part for part in said if part.startswith("domain")]
    if target.context and not name.startswith("__Host-"):
        lacks.append("__Host-")
    yield judged(
        not lacks, f"flags of the cookie {name}", f"wrong or missing: {', '.join(lacks)}" if lacks else "all set"
    )


def cookie_alone(target: Target, entry: Entry) -> Iterator[Finding]:
    """Show the cookie without what only pages of the app's origin have."""
    other = target.log_in()
    for binding, said in (("", "no binding"), ("none", "a wrong binding"), (other.binding, "another login's binding")):
        half = replace(entry, binding=binding)
        told = target.knock(half)
        yield judged(told != "open", f"WebSocket of a page, the cookie with {said}", told)
        for method, path in (("GET", "/login/state"), ("POST", "/login/factors/list"), ("POST", "/login/confirm")):
            body = {"password": "x"} if method == "POST" else None
            answer = target.ask(method, path, half, body=body, origin=target.url)
            yield judged(answer.status_code == 401, f"{method} {path}, the cookie with {said}", answer.status_code)
    told = target.knock(replace(entry, cookie="a=b"))
    yield judged(told != "open", "WebSocket of a page, the binding without the cookie", told)
    twice = replace(entry, cookie=f"{entry.cookie}; {entry.cookie.partition('=')[0]}=slipped-in")
    told = target.knock(twice)
    yield judged(told != "open", "WebSocket of a page, two cookies of the name", told)


def stolen(target: Target, entry: Entry) -> Iterator[Finding]:
    """Keep cookie and binding, let their owner log out, and show both."""
    if (told := target.knock(entry)) != "open":
        raise NotTried(f"both secrets of a login do not open the app: {told}")
    with AppPage(target, entry) as page:
        page.log_out()
    for method, path in (("GET", "/login/state"), ("POST", "/login/factors/list")):
        body: object = {} if method == "POST" else None
        answer = target.ask(method, path, entry, body=body, origin=target.url)
        yield judged(answer.status_code == 401, f"{method} {path}, a stolen login after Log out", answer.status_code)
    told = target.knock(entry)
    yield judged(told != "open", "WebSocket of a page, a stolen login after Log out", told)
