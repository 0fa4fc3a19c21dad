"""The gate before an app of the tests' own that says what reaches it, and before the real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from gate.app import Gate
from semg.platform.servers import embedded
from semg.security.login import NewLogin
from semg.security.passwords import hash_password
from semg.settings import Settings
from semg.store import accounts
from semg.store.pool import Pool
from testing.kits.live_helpers import wait_for
from testing.kits.new_logins import new_login
from testing.tests.conftest import Servers

LOGIN, PASSWORD = "ada", "a long enough password"
PAGES = frozenset({"/", "/User_Management"})


@dataclass
class Inner:
    """Stands in the place of Streamlit: answers everything, and remembers what reached it."""

    seen: list[Scope] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.seen.append(scope)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
            while (message := await receive())["type"] != "websocket.disconnect":
                self.messages.append(message)
                await send({"type": "websocket.send", "text": "heard"})
            self.messages.append(message)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inner"})

    @property
    def paths(self) -> list[str]:
        return [scope["path"] for scope in self.seen]


@dataclass
class Door:
    """A gate that is served, what is behind it, and who may pass."""

    settings: Settings
    pool: Pool
    inner: Inner
    account_id: int
    url: str
    gate: Gate

    def login(self) -> NewLogin:
        return new_login(self.pool, self.account_id)

    def client(self, login: NewLogin | None = None, **headers: str) -> httpx.Client:
        """Return a client as a page of the app would be, with a login or without."""
        shown = {} if login is None else {"Cookie": f"semg_login={login.token}", "X-Semg-Binding": login.binding}
        return httpx.Client(base_url=self.url, headers=shown | headers, timeout=20, trust_env=False)


@pytest.fixture
def account_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        return accounts.insert_account(tx, LOGIN, hash_password(PASSWORD), "admin")


@pytest.fixture
def door(servers: Servers, pool: Pool, account_id: int) -> Iterator[Door]:
    """The gate, served by uvicorn on a free port."""
    settings = servers.settings.model_copy(update={"streamlit_port": embedded.free_port(), "public_app_url": ""})
    inner = Inner()
    served = Gate(inner, lambda: (settings, pool), PAGES)
    config = uvicorn.Config(served, "127.0.0.1", settings.streamlit_port, log_level="warning", ws="websockets-sansio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield Door(settings, pool, inner, account_id, f"http://127.0.0.1:{settings.streamlit_port}", served)
    server.should_exit = True
    thread.join(20)
