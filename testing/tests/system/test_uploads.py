"""Files that browsers send to the app: only where somebody is logged in, and not without end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string
from websockets.asyncio.client import connect

from semg.accounts import end_login
from semg.settings import Settings
from semg.store import accounts
from semg.store.pool import Pool
from semg.wire import tokens
from testing.running_system import running
from testing.tests.conftest import Servers
from ui import cookie

pytestmark = pytest.mark.servers
MB = 1 << 20
LIMIT_MB = 64


@dataclass
class Page:
    """A page that is open in a browser."""

    settings: Settings
    session_id: str
    xsrf: str

    async def put(self, client: httpx.AsyncClient, size: int, name: str = "a") -> int:
        """Send a file, and give the status of the answer."""
        answer = await client.put(
            f"{self.settings.internal_app_url}/_stcore/upload_file/{self.session_id}/{name}",
            files={"file": (name, bytes(size))},
            headers={"X-Xsrftoken": self.xsrf, "Cookie": f"_streamlit_xsrf={self.xsrf}"},
        )
        return answer.status_code


@asynccontextmanager
async def opened(settings: Settings, login: str = "") -> AsyncIterator[Page]:
    """Open the overview, with the cookie of a login or without, and wait until it is drawn."""
    xsrf = generate_xsrf_token_string()
    headers = {"Cookie": f"_streamlit_xsrf={xsrf}" + (f"; {cookie.NAME}={login}" if login else "")}
    url = settings.internal_app_url.replace("http", "ws", 1) + "/_stcore/stream"
    async with connect(url, additional_headers=headers, subprotocols=["streamlit", xsrf], max_size=None) as socket:
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
        yield Page(settings, session_id, xsrf)


async def test_only_a_page_with_a_login_may_upload_and_not_without_end(
    servers: Servers, pool: Pool, tmp_path: Path
) -> None:
    settings = servers.settings
    with pool.transaction() as tx:
        account_id = accounts.insert_account(tx, "ada", "")
    login = tokens.Login(account_id, time.time() + 1)
    shown = tokens.make_token(settings.secret_key.get_secret_value(), tokens.LOGIN, "ada", 600, login.issued_s)
    with running(settings, tmp_path, ("streamlit",)):
        async with (
            httpx.AsyncClient(timeout=60) as client,
            opened(settings) as stranger,
            opened(settings, shown) as page,
            opened(settings, shown) as another,
        ):
            assert await stranger.put(client, 1) == 403
            assert await page.put(client, 1) == 204
            assert await page.put(client, (LIMIT_MB + 1) * MB, "large") == 413
            assert await page.put(client, (LIMIT_MB - 1) * MB, "b") == 204
            assert await another.put(client, (LIMIT_MB - 1) * MB, "c") == 204
            assert await another.put(client, 4 * MB, "d") == 413, "of one account, in all of its pages"
            with pool.transaction() as tx:
                end_login(tx, login, settings.login_s)
            assert await page.put(client, 1) == 403
