"""Files that browsers send to the app: to a page of their own login, under an alias, and not without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string
from websockets.asyncio.client import ClientConnection, connect

from semg.security.login import NewLogin, end_login
from semg.settings import Settings
from semg.store import accounts
from semg.store.pool import Pool
from testing.kits.new_logins import new_login
from testing.running_system import running
from testing.tests.conftest import Servers

pytestmark = pytest.mark.servers
MB = 1 << 20
LIMIT_MB = 64


@dataclass
class Page:
    """A page that is open in a browser."""

    settings: Settings
    socket: ClientConnection
    session_id: str
    xsrf: str
    login: NewLogin

    async def address(self) -> str:
        """Ask where a file is to be sent, as a file chooser does."""
        asked = BackMsg()
        asked.file_urls_request.request_id = "request"
        asked.file_urls_request.file_names.append("recording.csv")
        asked.file_urls_request.session_id = self.session_id
        await self.socket.send(asked.SerializeToString())
        async with asyncio.timeout(60):
            async for data in self.socket:
                message = ForwardMsg.FromString(data)
                if message.WhichOneof("type") == "file_urls_response":
                    return message.file_urls_response.file_urls[0].upload_url
        raise AssertionError("no address came")

    async def put(self, client: httpx.AsyncClient, size: int, login: NewLogin | None = None) -> int:
        """Send a file, and give the status of the answer."""
        shown = login or self.login
        address = await self.address()
        assert self.session_id not in address, "proxies write addresses into their logs"
        answer = await client.put(
            f"{self.settings.internal_app_url}{address}",
            files={"file": ("recording.csv", bytes(size))},
            headers={
                "X-Xsrftoken": self.xsrf,
                "X-Semg-Binding": shown.binding,
                "Origin": self.settings.internal_app_url,
                "Cookie": f"_streamlit_xsrf={self.xsrf}; semg_login={shown.token}",
            },
        )
        return answer.status_code


@asynccontextmanager
async def opened(settings: Settings, login: NewLogin) -> AsyncIterator[Page]:
    """Open the overview in a login, and wait until it is drawn."""
    xsrf = generate_xsrf_token_string()
    headers = {"Cookie": f"_streamlit_xsrf={xsrf}; semg_login={login.token}", "Origin": settings.internal_app_url}
    url = settings.internal_app_url.replace("http", "ws", 1) + "/_stcore/stream"
    protocols = ["streamlit", xsrf, f"semg.binding.{login.binding}"]
    async with connect(url, additional_headers=headers, subprotocols=protocols, max_size=None) as socket:
        asked = BackMsg()
        asked.rerun_script.query_string = ""
        await socket.send(asked.SerializeToString())
        session_id = ""
        async with asyncio.timeout(60):
            async for data in socket:
                message = ForwardMsg.FromString(data)
                if message.WhichOneof("type") == "new_session":
                    session_id = message.new_session.initialize.session_id
                elif message.WhichOneof("type") == "script_finished":
                    break
        yield Page(settings, socket, session_id, xsrf, login)


async def test_only_a_page_with_a_login_may_upload_and_not_without_end(
    servers: Servers, pool: Pool, tmp_path: Path
) -> None:
    settings = servers.settings
    with pool.transaction() as tx:
        ada, eve = accounts.insert_account(tx, "ada", ""), accounts.insert_account(tx, "eve", "")
    login = new_login(pool, ada)
    with running(settings, tmp_path, ("streamlit",)):
        async with (
            httpx.AsyncClient(timeout=60) as client,
            opened(settings, login) as page,
            opened(settings, login) as another,
        ):
            assert await page.put(client, 1, new_login(pool, eve)) == 403
            assert await page.put(client, 1, NewLogin(login.login, login.token, "none")) == 403
            assert await page.put(client, 1) == 204
            assert await page.put(client, (LIMIT_MB + 1) * MB) == 413
            assert await page.put(client, (LIMIT_MB - 1) * MB) == 204
            assert await another.put(client, (LIMIT_MB - 1) * MB) == 204
            assert await another.put(client, 4 * MB) == 413, "of one account, in all of its pages"
            address = await page.address()
            with pool.transaction() as tx:
                end_login(tx, login.login)
            shown = {"Cookie": f"semg_login={login.token}", "X-Semg-Binding": login.binding}
            answer = await client.put(
                f"{settings.internal_app_url}{address}",
                files={"file": ("a", b"x")},
                headers=shown | {"Origin": settings.internal_app_url},
            )
            assert answer.status_code == 403
