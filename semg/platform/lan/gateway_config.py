"""Build the configuration of the ``--lan`` gateway (Caddy) from the settings.

The upstreams are fixed. A request is matched by its raw target, as the client sent it, against the list of what pages
and programs need; whatever is not on the list gets 404, and a target that is not a plain path with a query gets 400.
Nothing that a proxy and a service could read differently is left to be read: no percent-encoding, no dot segment, no
empty segment, no authority in front of the path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from semg.settings import API_PREFIX, PROJECT_DIR, Settings

Json = dict[str, Any]

_SEGMENT = r"[A-Za-z0-9_~@+-][A-Za-z0-9._~@+-]*"
_BELOW = rf"{_SEGMENT}(?:/{_SEGMENT})*"
_QUERY = r"(?:\?[!-~]*)?"
PLAIN = rf"/(?:{_BELOW}/?)?"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")

APP_PATHS = (
    r"favicon\.png", r"manifest\.json", rf"static/{_BELOW}", rf"media/{_BELOW}",
    r"_stcore/health", r"_stcore/host-config", rf"_stcore/bidi-components/{_BELOW}",
    r"oauth2callback", rf"login(?:/{_BELOW})?", rf"gate/{_BELOW}",
)  # fmt: skip
"""Paths of the app besides its pages: Streamlit's front end requests the first seven, the login the rest."""
APP_UPLOADS = rf"_stcore/upload_file/{_BELOW}"
APP_WEBSOCKETS = r"_stcore/stream"
API_PATHS = (
    rf"docs(?:/{_BELOW})?", r"redoc", r"openapi\.json", r"healthz", r"readyz", r"predict", r"predict/windows",
    rf"videos/{_BELOW}", rf"exports/{_BELOW}", rf"files/{_BELOW}", rf"replay/{_SEGMENT}", rf"v1/{_BELOW}",
)  # fmt: skip
"""Of the API, below ``/api``. Not ``/metrics``: who reads those does so on this machine."""
API_UPLOADS = rf"v1/profiles/{_SEGMENT}/recordings"
API_WEBSOCKETS = rf"ws/live/{_SEGMENT}"
PATCHED = rf"{API_PREFIX}/v1/{_BELOW}"
"""Where something is changed in part."""
HEALTH_PATH = "/_gateway/health"

UPLOAD_BYTES = 65 << 20
"""App and API take files of 64 MB (``server.maxUploadSize``); the rest is the form around them."""
APP_BODY_BYTES = 1 << 20
OPEN_FILES = 4096
"""Each connection that is passed on has two: so many of them are served at once, and no more."""
IDLE_UPSTREAM = "2s"
"""uvicorn closes an idle connection after 5 s; a request must not meet that moment."""

HARDENED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
}
"""Sent where the service sends none. No HSTS: with it, no browser lets anybody accept our own certificate."""
AWAY = "The service does not answer at the moment. Try again in a few seconds."


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts of a client, in seconds.

    Attributes
    ----------
    head_s
        For the TLS handshake, and for a request's headers.
    idle_s
        Between two requests of a connection.
    request_s
        For a whole request with its body; the longest is a file of 64 MB for the app.
    """

    head_s: float = 15.0
    idle_s: float = 60.0
    request_s: float = 300.0


def page_names(folder: Path = PROJECT_DIR / "streamlit_apps" / "pages") -> list[str]:
    """Return the names of the app's pages as they occur in an address."""
    return sorted(re.sub(r"^\d+_", "", path.stem) for path in folder.glob("*.py"))


def configuration(settings: Settings, home: Path, timeouts: Timeouts | None = None) -> Json:
    """Return the configuration of the gateway.

    Parameters
    ----------
    settings
        Of a platform that serves the LAN.
    home
        Folder for what Caddy itself keeps.
    """
    limits = timeouts or Timeouts()
    cert, key = settings.lan_certificate
    server = {
        "listen": [_listen_address(settings)],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "tls_connection_policies": [{}],
        "read_header_timeout": _seconds(limits.head_s),
        "read_timeout": _seconds(limits.request_s),
        "idle_timeout": _seconds(limits.idle_s),
        "max_header_bytes": 64 << 10,
        "routes": [{"handle": _hardening()}, _end_with_a_body(), *_refusals(), *_routes(settings)],
        "errors": {"routes": _errors()},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(home)},
        "logging": {"logs": {"default": _log()}},
        "apps": {
            "http": {"servers": {"gateway": server}, "grace_period": "3s"},
            "tls": {"certificates": {"load_files": [{"certificate": str(cert), "key": str(key)}]}},
        },
    }


def _log() -> Json:
    """Log warnings only, and nothing of the request: queries contain tokens, and paths contain sessions."""
    return {
        "writer": {"output": "stderr"},
        "level": "WARN",
        "encoder": {"format": "filter", "wrap": {"format": "json"}, "fields": {"request": {"filter": "delete"}}},
        "sampling": {"interval": 1_000_000_000, "first": 10, "thereafter": 1000},
    }


def _end_with_a_body() -> Json:
    """Return the route that closes the connection after a request with a body.

    What is left of a body, when a service answers before it has read it, can then never be taken for the next request,
    whatever the proxy forgets to read: Caddy 2.11.7 does so (docs/decisions/gateway.md).
    """
    close = {"handler": "headers", "response": {"set": {"Connection": ["close"]}}}
    return {"match": [{"header": {name: ["*"]}} for name in ("Content-Length", "Transfer-Encoding")], "handle": [close]}


def _refusals() -> list[Json]:
    return [
        _refuse(400, {"not": [_target(PLAIN)]}),
        _refuse(405, {"not": [{"method": list(METHODS)}, {"method": ["PATCH"]} | _target(PATCHED)]}),
        {"match": [_target(HEALTH_PATH)], "handle": [{"handler": "static_response", "body": "ok"}], "terminal": True},
    ]


def _routes(settings: Settings) -> list[Json]:
    app, api = _proxy(settings.internal_app_url), _proxy(settings.internal_api_url)
    without_prefix = {"handler": "rewrite", "strip_path_prefix": API_PREFIX}
    upgrade = {"header_regexp": {"Upgrade": {"pattern": "(?i)^websocket$"}}, "method": ["GET"]}
    pages = "|".join(map(re.escape, page_names()))
    return [
        _route(_target(f"/{APP_WEBSOCKETS}") | upgrade, app),
        _route(_target(f"{API_PREFIX}/{API_WEBSOCKETS}") | upgrade, without_prefix, api),
        _refuse(400, {"header": {"Upgrade": ["*"]}}),
        _route(_target(f"/{APP_UPLOADS}"), _at_most(UPLOAD_BYTES), app),
        _route(_target(rf"/(?:(?:{pages})/?|{'|'.join(APP_PATHS)})?"), _at_most(APP_BODY_BYTES), app),
        _route(_target(f"{API_PREFIX}/{API_UPLOADS}"), _at_most(UPLOAD_BYTES), without_prefix, api),
        _route(
            _target(rf"{API_PREFIX}/(?:{'|'.join(API_PATHS)})"),
            _at_most(settings.api_max_body_bytes),
            without_prefix,
            api,
        ),
        _refuse(404),
    ]


def _at_most(body_bytes: int) -> Json:
    return {"handler": "request_body", "max_size": body_bytes}


def _proxy(url: str) -> Json:
    """Return the handler that passes a request on to a service.

    Caddy itself drops what belongs to the connection, and replaces what the client says of addresses before it
    (``X-Forwarded-…``), because no proxy before this one is trusted. ``Host`` and ``Origin`` stay the browser's.
    """
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": urlsplit(url).netloc}],
        "transport": {
            "protocol": "http",
            "dial_timeout": "5s",
            "compression": False,
            "keep_alive": {"idle_timeout": IDLE_UPSTREAM},
        },
        "flush_interval": -1,
        "headers": {
            "request": {"delete": ["Forwarded", "X-Real-IP", "X-Forwarded-Prefix", "X-Forwarded-Port", "Via"]},
        },
    }


def _hardening() -> list[Json]:
    """Return the handlers that set a header where the answer has none of that name, and hide the proxy."""
    changes: list[Json] = [
        {"require": {"headers": {name: None}}, "set": {name: [value]}} for name, value in HARDENED.items()
    ]
    changes.append({"delete": ["Server", "Via"]})
    return [{"handler": "headers", "response": {"deferred": True} | change} for change in changes]


def _errors() -> list[Json]:
    plain = {"Content-Type": ["text/plain; charset=utf-8"], "Cache-Control": ["no-store"]}
    say = {"handler": "static_response", "headers": plain}
    return [
        {"handle": _hardening()},
        _route({"vars_regexp": {"{http.error.status_code}": {"pattern": "^50[0-9]$"}}}, say | {"body": AWAY}),
        _route({}, say | {"body": "{http.error.status_code} {http.error.status_text}"}),
    ]


def _target(path: str) -> Json:
    """Return the matcher of a raw request target."""
    return {"vars_regexp": {"{http.request.orig_uri}": {"pattern": f"^(?:{path}){_QUERY}$"}}}


def _route(match: Json, *handlers: Json) -> Json:
    return {"match": [match], "handle": list(handlers), "terminal": True}


def _refuse(status: int, match: Json | None = None) -> Json:
    return _route(match or {}, {"handler": "error", "status_code": str(status)})


def _listen_address(settings: Settings) -> str:
    host = settings.lan_host
    return f"[{host}]:{settings.lan_port}" if ":" in host else f"{host}:{settings.lan_port}"


def _seconds(value: float) -> str:
    return f"{value:g}s"
