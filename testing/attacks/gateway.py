"""The front door as an open proxy: whatever is no request of a page for this system goes nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from testing.attacks.canary import SECRET
from testing.attacks.findings import Finding, judged
from testing.attacks.target import STREAM, Target

TITLE = "the front door as an open proxy"
UPGRADE = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
CLOSE = b"\x88"
"""How the frame begins that closes a WebSocket."""
TARGETS = (
    "GET *@CANARY/x", "GET *@CANARY", "GET *", "GET @CANARY/x", "GET CANARY", "GET http://CANARY/x",
    "GET http://HOST@CANARY/x", "GET HTTP://CANARY/x", "GET https://CANARY/x", "GET ftp://CANARY/x", "CONNECT CANARY",
    "CONNECT HOST", "POST http://CANARY/x", "OPTIONS http://CANARY/x", "OPTIONS *@CANARY/", "GET .CANARY/x", "GET x",
    "GET ?x", "PRI *", "POST *",
)  # fmt: skip
"""No path: CANARY stands for a server on another port, HOST for the system."""
PATHS = (
    "GET //CANARY/x", "GET ///CANARY/x", "GET /\\CANARY/x", "GET /@CANARY/x", "GET /http://CANARY/x",
    "GET /%2f%2fCANARY/x", "GET /api/@CANARY/x", "GET /api//CANARY/x", "GET /api/http://CANARY/x",
    "GET /login?next=//CANARY/x", "GET /login?next=http://CANARY/", "GET /login/provider?next=//CANARY/x",
)  # fmt: skip
"""Paths that something on the way may take for another address."""
UNNEEDED = (
    "/_stcore/metrics", "/_stcore/metrics/", "/_stcore/%6detrics", "/_stcore/x/../metrics", "/_stcore/agent/mcp",
    "/_stcore/agent/interact", "/_stcore/agent/openapi.json", "/_stcore/script-health-check", "/api/metrics",
    "/api/metrics/", "/api/%6detrics", "/component/x/y.html", "/varz", "/connz?auth=1", "/api/../varz",
    "/.env", "/../.env",
)  # fmt: skip
"""What no page needs, and what a browser does not normalise before it asks."""


def attack(target: Target) -> Iterator[Finding]:
    """Try to reach other servers, and other parts of this one, through the front door."""
    for line in TARGETS:
        for more, said in ((b"", ""), (UPGRADE, ", Upgrade: websocket")):
            yield _refused(target, line, more, said)
    for line in PATHS:
        yield _goes_nowhere(target, line)
    yield _options(target)
    for host in (f"127.0.0.1:{target.canary.port}", "evil.example"):
        answer = target.say(_request("GET /login", host))
        yield judged(_is_refusal(answer), f"GET /login of the host {_named(target, host)}", _told(target, answer))
    for path in UNNEEDED:
        answer = target.say(_request(f"GET {path}", target.netloc))
        is_shut = _is_refusal(answer) or 300 <= status_of(answer) < 400  # to the login, or to the path with no slash
        yield judged(is_shut, f"GET {path}", _told(target, answer))
    for path in ("/", "/api/predict", "/api/docs", "/api/ws/live/1", "/_stcore/health", STREAM):
        yield _upgrade(target, path)
    yield judged(not target.canary.seen, "all of these: what a server on another port saw", len(target.canary.seen))


def _refused(target: Target, line: str, more: bytes, said: str) -> Finding:
    before = len(target.canary.seen)
    answer = target.say(
        _request(_filled(target, line), target.netloc, more, "Upgrade" if more else "close"), wait_s=1.0
    )
    is_shut = _is_refusal(answer) and len(target.canary.seen) == before and SECRET.encode() not in answer
    return judged(is_shut, line + said, _told(target, answer))


def _goes_nowhere(target: Target, line: str) -> Finding:
    """Return whether a path stays one: no other server is asked, nor is the browser sent there."""
    before = len(target.canary.seen)
    answer = target.say(_request(_filled(target, line), target.netloc))
    head = answer.partition(b"\r\n\r\n")[0].lower()
    leads = next((row.partition(b":")[2].strip() for row in head.split(b"\r\n") if row.startswith(b"location:")), b"")
    away = leads.startswith((b"//", b"/\\")) or (b"://" in leads and not leads.startswith(target.url.lower().encode()))
    is_shut = 0 < status_of(answer) < 500 and not away and len(target.canary.seen) == before
    is_shut = is_shut and SECRET.encode() not in answer
    return judged(is_shut, line, _told(target, answer) + (f", to {leads.decode('latin-1')}" if leads else ""))


def _upgrade(target: Target, path: str) -> Finding:
    """Return whether a WebSocket without a login is not opened, or closed before anything was said."""
    answer = target.say(_request(f"GET {path}", target.netloc, UPGRADE, "Upgrade"))
    is_closed = answer.partition(b"\r\n\r\n")[2].startswith(CLOSE)
    is_shut = is_closed or (0 < status_of(answer) < 500 and status_of(answer) != 101)
    told = _told(target, answer) + (", and closed" if is_closed else "")
    return judged(is_shut, f"GET {path}, Upgrade: websocket, no login", told)


def _options(target: Target) -> Finding:
    """Return whether ``OPTIONS *``, which asks about the server itself, is answered by nobody behind it."""
    answer = target.say(_request("OPTIONS *", target.netloc))
    body = answer.partition(b"\r\n\r\n")[2]
    return judged(0 <= status_of(answer) < 500 and len(body) < 200, "OPTIONS *", _told(target, answer))


def _request(line: str, host: str, more: bytes = b"", connection: str = "close") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n".encode("latin-1") + more + b"\r\n"


def _filled(target: Target, line: str) -> str:
    return line.replace("CANARY", f"127.0.0.1:{target.canary.port}").replace("HOST", target.netloc)


def _named(target: Target, host: str) -> str:
    return host.replace(f"127.0.0.1:{target.canary.port}", "CANARY")


def _is_refusal(answer: bytes) -> bool:
    """Return whether it was refused as a bad or unknown request, or the connection was closed without a word."""
    return answer == b"" or 400 <= status_of(answer) < 500 or status_of(answer) in (501, 505)


def _told(target: Target, answer: bytes) -> str:
    first = answer.split(b"\r\n", 1)[0].decode("latin-1") or "closed"
    return f"{first} (the canary's answer)" if SECRET.encode() in answer else first


def status_of(answer: bytes) -> int:
    """Return the status of an answer as bytes; 0 when there is none."""
    parts = answer.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[0].startswith(b"HTTP/") and parts[1].isdigit() else 0
