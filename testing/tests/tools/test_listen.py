"""The example client prints what is decided, comes back after an outage, and says why it is not let in."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import pytest

from semg.domain import Decision
from semg.privacy.consent import TEST_PERSON
from semg.process import bus
from semg.settings import PROJECT_DIR, Settings
from semg.store import profiles
from semg.store.pool import Pool
from semg.wire import messages
from testing.kits.live_helpers import api_running

pytestmark = pytest.mark.servers
PATIENCE_S = 40.0


async def started(
    settings: Settings, user_id: int, token: str, script: str = "testing/listen.py", **more: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(PROJECT_DIR / script), str(user_id),
        f"ws://127.0.0.1:{settings.api_port}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "SEMG_API_TOKEN": token, "SEMG_ENV_FILE": os.devnull, **more},
    )  # fmt: skip


async def printed(settings: Settings, client: asyncio.subprocess.Process, user_id: int, label: str | None) -> str:
    """Publish a decision until the client has printed a line, and give that."""
    assert client.stdout is not None
    connection = await bus.connect(settings, "test", forever=False)
    line = asyncio.create_task(client.stdout.readline())
    deadline = time.monotonic() + PATIENCE_S
    while not line.done():
        assert time.monotonic() < deadline, "nothing was printed"
        now_us = time.time_ns() // 1000
        decision = Decision(user_id, label, 0.87, 3, now_us, now_us, now_us, now_us)
        await connection.publish(messages.decisions_subject(user_id), messages.DecisionMessage.encode(decision))
        await connection.flush()
        await asyncio.sleep(0.05)
    await connection.close()
    return line.result().decode().strip()


@pytest.mark.parametrize("script", ["testing/listen.py", "docs/examples/listen.py"])
async def test_decisions_are_printed_and_again_after_the_api_was_away(servers, pool: Pool, script: str) -> None:
    settings = servers.settings
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    client = await started(settings, user_id, settings.semg_api_token.get_secret_value(), script)
    try:
        with api_running(settings):
            assert await printed(settings, client, user_id, "fist") == "fist 0.87"
        with api_running(settings):
            # What was published before the outage may still stand in the pipe.
            async with asyncio.timeout(PATIENCE_S):
                while await printed(settings, client, user_id, None) != "unsure 0.87":
                    pass
        assert client.returncode is None
    finally:
        client.kill()
        await client.wait()


async def test_client_that_is_not_let_in_says_so_and_ends(servers, pool: Pool) -> None:
    with api_running(servers.settings):
        client = await started(servers.settings, 1, "wrong")
        async with asyncio.timeout(PATIENCE_S):
            _, said = await client.communicate()
    assert client.returncode == 1
    assert said.decode().strip() == "token or origin refused"


async def test_proxy_of_the_environment_is_not_asked_and_a_wrong_port_is_said(servers, pool: Pool) -> None:
    settings = servers.settings
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    token = settings.semg_api_token.get_secret_value()
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    client = await started(settings, user_id, token, **proxies)
    try:
        assert client.stderr is not None
        said = (await asyncio.wait_for(client.stderr.readline(), PATIENCE_S)).decode()
        assert f":{settings.api_port} does not answer" in said
        assert "Start the platform (./start_all.sh), or give its address" in said
        with api_running(settings):
            assert await printed(settings, client, user_id, "fist") == "fist 0.87"
    finally:
        client.terminate()
        await client.wait()


async def test_port_of_something_else_is_said_with_what_to_do(servers) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = await started(servers.settings.model_copy(update={"api_port": port}), 21, "x" * 40)
    _, said = await asyncio.wait_for(client.communicate(), PATIENCE_S)
    server.close()
    assert client.returncode == 1
    assert f"ws://127.0.0.1:{port} is not the platform's API" in said.decode()
    assert "Traceback" not in said.decode()
