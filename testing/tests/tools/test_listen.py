"""The example client prints what is decided, comes back after an outage, and says why it is not let in."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import pytest

from semg import bus
from semg.consent import TEST_PERSON
from semg.domain import Decision
from semg.settings import PROJECT_DIR, Settings
from semg.store import profiles
from semg.store.pool import Pool
from semg.wire import messages
from testing.tests.live.live_helpers import api_running

pytestmark = pytest.mark.servers
PATIENCE_S = 40.0


async def started(settings: Settings, user_id: int, token: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(PROJECT_DIR / "testing" / "listen.py"), str(user_id),
        f"ws://127.0.0.1:{settings.api_port}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "SEMG_API_TOKEN": token},
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
        await connection.publish(
            messages.decisions_subject(user_id), messages.DecisionMessage.from_decision(decision).to_bytes()
        )
        await connection.flush()
        await asyncio.sleep(0.05)
    await connection.close()
    return line.result().decode().strip()


async def test_decisions_are_printed_and_again_after_the_api_was_away(servers, pool: Pool) -> None:
    settings = servers.settings
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    client = await started(settings, user_id, settings.semg_api_token.get_secret_value())
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
