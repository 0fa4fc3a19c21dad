"""The system that is attacked: what an attacker reaches of it and, when it is our own, what only its owner sees."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from testing.attacks.canary import Canary
from testing.attacks.findings import NotTried
from testing.attacks.means import Entry, Inside, Limits

BINDING_PROTOCOL = "semg.binding."
STREAM = "/_stcore/stream"
PATIENCE_S = 20.0
SILENCE = b"(silence)"
MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Target:
    """A system.

    Attributes
    ----------
    url
        Where browsers reach it: the gateway's address, or the app's.
    api_url
        Where browsers reach the API; the gateway's, it is below ``/api``.
    context
        How its certificate is checked; None for plain HTTP.
    login, password
        Who may log in; empty: nobody.
    """

    url: str
    api_url: str
    canary: Canary
    context: ssl.SSLContext | None = None
    login: str = ""
    password: str = ""
    limits: Limits = field(default_factory=Limits)
    inside: Inside | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def netloc(self) -> str:
        """Host and port as they stand in ``Host``."""
        return urlsplit(self.url).netloc

    @property
    def own(self) -> Inside:
        """The system from inside.

        Raises
        ------
        NotTried
            It is not our own.
        """
        if self.inside is None:
            raise NotTried("needs a system of its own: run without --url")
        return self.inside

    def client(self, entry: Entry | None = None) -> httpx.Client:
        """Return a client of the front door; it follows no redirect."""

        def count(_: httpx.Request) -> None:
            self.limits.spend()

        return httpx.Client(
            base_url=self.url,
            headers={} if entry is None else entry.headers(),
            verify=self.context or False,
            timeout=PATIENCE_S,
            trust_env=False,
            event_hooks={"request": [count]},
        )

    def ask(
        self,
        method: str,
        path: str,
        entry: Entry | None = None,
        *,
        body: object = None,
        origin: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request on a connection of its own; ``path`` may be a whole address. A dict goes as JSON."""
        shown = {**(headers or {}), **({"Origin": origin} if origin else {})}
        with self.client(entry) as client:
            if isinstance(body, bytes):
                return client.request(method, path, content=body, headers=shown)
            return client.request(method, path, json=body, headers=shown)

    def say(self, data: bytes, wait_s: float = 2.0) -> bytes:
        """Send bytes as they are, and return what comes until it is closed, or silent for ``wait_s`` after that.

        Returns
        -------
        bytes
            Empty: it was closed without a word. ``SILENCE``: it was not, and nothing came.
        """
        self.limits.spend()
        heard = b""
        try:
            with socket.create_connection(self.address, PATIENCE_S) as plain:
                with self._wrapped(plain) as connection:
                    connection.settimeout(PATIENCE_S)
                    connection.sendall(data)
                    while len(heard) < MOST_BYTES and (part := connection.recv(1 << 16)):
                        heard += part
                        connection.settimeout(wait_s)
        except TimeoutError:
            return heard or SILENCE
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            pass  # closed
        return heard

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        if self.context is None:
            return plain
        return self.context.wrap_socket(plain, server_hostname=self.address[0])

    def log_in(self, login: str = "", password: str = "", headers: Mapping[str, str] | None = None) -> Entry:
        """Log in by the form, as its page does.

        Raises
        ------
        NotTried
            No login was given, or it does not open the app by itself.
        """
        login, password = login or self.login, password or self.password
        if not login:
            raise NotTried("needs a login: give --login and --password")
        body = {"login": login, "password": password}
        answer = self.ask("POST", "/login", body=body, origin=self.url, headers=headers)
        said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        set_cookie = answer.headers.get("set-cookie", "")
        if answer.status_code != 200 or "binding" not in said or not set_cookie:
            raise NotTried(f"{login} cannot log in by a password alone: status {answer.status_code}")
        return Entry(set_cookie.partition(";")[0], str(said["binding"]), set_cookie)

    def socket(
        self,
        entry: Entry | None = None,
        *,
        origin: str = "",
        session: str = "",
        xsrf: str = "x",
        timeout_s: float = PATIENCE_S,
    ) -> ClientConnection:
        """Open a page's WebSocket as the app's page does, or with another origin, or naming a session.

        Raises
        ------
        InvalidStatus, InvalidHandshake, OSError
            It was refused.
        """
        self.limits.spend()
        protocols = ["streamlit", xsrf, *([session] if session else [])]
        headers = {}
        if entry is not None:
            protocols += [f"{BINDING_PROTOCOL}{entry.binding}"] if entry.binding else []
            headers["Cookie"] = f"_streamlit_xsrf={xsrf}; {entry.cookie}"
        return connect(
            self.url.replace("http", "ws", 1) + STREAM,
            origin=Origin(origin or self.url),
            subprotocols=[Subprotocol(one) for one in protocols],
            additional_headers=headers,
            ssl=self.context,
            open_timeout=timeout_s,
            close_timeout=2,
            max_size=None,
            proxy=None,
        )

    def knock(self, entry: Entry | None = None, **more: Any) -> str:
        """Return ``open``, or how a WebSocket was refused."""
        try:
            with self.socket(entry, **more):
                return "open"
        except InvalidStatus as refused:
            return str(refused.response.status_code)
        except (InvalidHandshake, OSError, TimeoutError) as refused:
            return type(refused).__name__
