"""What is let through to Streamlit's uploads; the whole way is in ``system/test_uploads.py``."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from semg.wire.tokens import Login
from ui import uploads

URL = "/_stcore/upload_file/SESSION/file"


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """Somebody is logged in everywhere, and nothing is held; what is let through waits for this."""

    async def somebody(session_id: str) -> Login | None:
        return Login(1, 0.0) if session_id == "SESSION" else None

    monkeypatch.setattr(uploads, "_login_of", somebody)
    monkeypatch.setattr(uploads, "held_bytes", lambda account_id: 0)
    monkeypatch.setattr(uploads.st, "get_option", lambda name: 64)
    return asyncio.Semaphore(0)


@pytest.fixture
def client(passed: asyncio.Semaphore) -> httpx.AsyncClient:
    async def app(scope, receive, send) -> None:
        await passed.acquire()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return httpx.AsyncClient(transport=httpx.ASGITransport(uploads.Gate(app)), base_url="http://app")


async def test_account_uploads_a_few_files_at_once(client: httpx.AsyncClient, passed: asyncio.Semaphore) -> None:
    under_way = [asyncio.create_task(client.put(URL, content=b"x")) for _ in range(uploads.AT_ONCE)]
    await asyncio.sleep(0)
    while not all(task.done() for task in under_way):
        refused = await client.put(URL, content=b"x")
        if refused.status_code == 429:
            break
    assert refused.headers["retry-after"] == "5"
    for _ in under_way:
        passed.release()
    assert [(await task).status_code for task in under_way] == [204] * uploads.AT_ONCE
    passed.release()
    assert (await client.put(URL, content=b"x")).status_code == 204, "the turns were given back"


async def test_length_is_asked_for_and_bounded(client: httpx.AsyncClient, passed: asyncio.Semaphore) -> None:
    async def endless():
        yield b"x"

    assert (await client.put(URL, content=endless())).status_code == 411
    for length in ("9" * 4400, str(66 << 20), "-1", "²"):
        answer = await client.put(URL, headers={b"content-length": length.encode("latin-1")}, content=b"x")
        assert answer.status_code in (411, 413), length


async def test_other_requests_pass(client: httpx.AsyncClient, passed: asyncio.Semaphore) -> None:
    for _ in range(3):
        passed.release()
    assert (await client.get(URL)).status_code == 204
    assert (await client.delete(URL.replace("SESSION", "OTHER"))).status_code == 204
    assert (await client.put("/else", content=b"x")).status_code == 204
    assert (await client.put(URL.replace("SESSION", "OTHER"), content=b"x")).status_code == 403


def test_pages_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_PAGES", 3)
    pages = uploads.Pages()
    for number in range(10):
        pages.let("kept", Login(1, 0.0))
        pages.let(str(number), Login(number, 0.0))
    assert pages.find("kept") == Login(1, 0.0)
    assert [pages.find(str(number)) is None for number in range(10)] == [True] * 8 + [False] * 2
    assert pages.of(1) == ["kept"]
    pages.refuse("kept")
    assert pages.find("kept") is None
