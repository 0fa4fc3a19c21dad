"""The documents that browsers load: Streamlit's, with what binds it to its origin, and the gate's own.

Each goes out with a Content-Security-Policy: scripts come from the app only, pictures from the app or as data, and the
page talks to the app and the API only.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, Response

from gate.requests import Visit
from semg.security.origins import Address
from semg.settings import Settings

HERE = Path(__file__).parent
_INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_HEAD = '<head>\n    <script src="/gate/binding.js"></script>'
ASSETS = {
    "binding.js": "text/javascript",
    "login.js": "text/javascript",
    "factors.js": "text/javascript",
    "login.css": "text/css",
}
_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), publickey-credentials-get=(self), "
    "publickey-credentials-create=(self)",
}


def harden(headers: MutableHeaders, policy: str, frames: str = "DENY") -> None:
    """Add the headers that every answer gets, unless it has its own."""
    for name, value in {**_COMMON, "X-Frame-Options": frames, "Content-Security-Policy": policy}.items():
        headers.setdefault(name, value)


@lru_cache(maxsize=1)
def app_document() -> str:
    """Return Streamlit's page; what binds a login to this origin runs before Streamlit's own scripts."""
    text = _INDEX.read_text(encoding="utf-8")
    if text.count("<head>") != 1:
        raise RuntimeError(f"{_INDEX}: expected one <head>; this version of Streamlit is not known")
    return text.replace("<head>", _HEAD)


@lru_cache(maxsize=16)
def app_policy(address: Address, api_url: str) -> str:
    """Return the Content-Security-Policy of the app at an address.

    Where the API has an origin of its own, pictures and videos of people come from there.

    ``style-src`` needs ``unsafe-inline``: Streamlit's styles are written by its scripts. ``blob:`` in ``script-src`` is
    how it loads the scripts of components that stand in the pages' code.
    """
    digests = [hashlib.sha256(text.encode()).digest() for text in _INLINE.findall(app_document())]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    parts = urlsplit(api_url)
    api = f"{parts.scheme}://{parts.netloc}"
    sockets = [f"{_socket_scheme(one.scheme)}://{one.netloc}" for one in (address, Address(parts.scheme, parts.netloc))]
    elsewhere = "" if api == address.origin else f" {api}"
    connect = " ".join(dict.fromkeys(["'self'", *([api] if elsewhere else []), *sockets]))
    return "; ".join([
        "default-src 'none'",
        f"script-src 'self' blob: {hashes}",
        "style-src 'self' 'unsafe-inline'",
        f"img-src 'self' data: blob:{elsewhere}",
        "font-src 'self' data:",
        f"media-src 'self' blob:{elsewhere}",
        f"connect-src {connect}",
        "worker-src 'self' blob:",
        "frame-src 'none'",
        "manifest-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ])  # fmt: skip


FORM_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def _socket_scheme(scheme: str) -> str:
    return "wss" if scheme == "https" else "ws"


def app_response(visit: Visit) -> Response:
    """Return the app's document."""
    response = HTMLResponse(app_document(), headers={"Cache-Control": "no-store"})
    harden(response.headers, policy_of(visit.settings, visit.address), "SAMEORIGIN")
    return response


def policy_of(settings: Settings, address: Address) -> str:
    """Return the policy of the app's answers at an address."""
    return app_policy(address, settings.api_url)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)


def form_response(name: str, values: Mapping[str, Any], status: int = 200) -> Response:
    """Return a page of the gate's own; values are written as text, never as HTML."""
    text = _templates().get_template(name).render(values)
    response = HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
    harden(response.headers, FORM_POLICY)
    return response


def asset_response(name: str) -> Response | None:
    """Return a script or style of the gate's pages, or None."""
    kind = ASSETS.get(name)
    if kind is None:
        return None
    response = Response((HERE / "assets" / name).read_bytes(), media_type=kind)
    response.headers["Cache-Control"] = "no-cache"
    harden(response.headers, FORM_POLICY)
    return response
