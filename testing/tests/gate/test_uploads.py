"""How many files a page may send at once and how large; whose they are: ``test_gate.py``; the whole way: ``system``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from gate import uploads
from gate.sockets import SESSIONS
from semg.security.tokens import Login

HERE = Login(1, 7)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Semaphore]:
    """Somebody is logged in, and nothing is held; what is let through waits for this."""

    async def somebody(*_: Any) -> SimpleNamespace:
        return SimpleNamespace(account_id=HERE.account_id, login_id=HERE.login_id)

    monkeypatch.setattr(uploads, "find_login", somebody)
    monkeypatch.setattr(uploads, "HELD", uploads.Held())
    uploads.HELD.give("SESSION", ["file"])
    monkeypatch.setattr(uploads.st, "get_option", lambda name: 64)
    SESSIONS.let("SESSION", HERE)
    yield asyncio.Semaphore(0)
    SESSIONS.refuse("SESSION")


@pytest.fixture
def url() -> str:
    return f"{uploads.PATH}{SESSIONS.alias('SESSION')}/file"


@pytest.fixture
def client(passed: asyncio.Semaphore) -> httpx.AsyncClient:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await passed.acquire()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    served = uploads.Uploads(inner)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await served(SimpleNamespace(), scope, receive, send)  # type: ignore[arg-type]

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


async def test_account_uploads_a_few_files_at_once(
    client: httpx.AsyncClient, passed: asyncio.Semaphore, url: str
) -> None:
    under_way = [asyncio.create_task(client.put(url, content=b"x")) for _ in range(uploads.AT_ONCE)]
    await asyncio.sleep(0)
    while not all(task.done() for task in under_way):
        refused = await client.put(url, content=b"x")
        if refused.status_code == 429:
            break
    assert refused.headers["retry-after"] == "5"
    for _ in under_way:
        passed.release()
    assert [(await task).status_code for task in under_way] == [204] * uploads.AT_ONCE
    passed.release()
    assert (await client.put(url, content=b"x")).status_code == 204, "the turns were given back"


async def test_length_is_asked_for_and_bounded(client: httpx.AsyncClient, url: str) -> None:
    async def endless():
        yield b"x"

    assert (await client.put(url, content=endless())).status_code == 411
    for length in ("9" * 4400, str(66 << 20), "-1", "²"):
        answer = await client.put(url, headers={b"content-length": length.encode("latin-1")}, content=b"x")
        assert answer.status_code in (411, 413), length


async def test_page_removes_its_own_files_only(client: httpx.AsyncClient, passed: asyncio.Semaphore, url: str) -> None:
    passed.release()
    assert (await client.delete(url)).status_code == 204
    assert (await client.delete(url.replace(SESSIONS.alias("SESSION"), "0" * 32))).status_code == 403


async def test_file_comes_under_an_address_that_the_page_was_given(
    client: httpx.AsyncClient, passed: asyncio.Semaphore, url: str
) -> None:
    for other in ("another", "a" * 60_000, "file/more", ""):
        answer = await client.put(url.removesuffix("file") + other, content=b"x")
        assert answer.status_code == 404, other[:20]
    uploads.HELD.give("SESSION", [f"later {n}" for n in range(uploads.GIVEN)])
    assert (await client.put(url, content=b"x")).status_code == 404, "of those that were given, the last ones are known"


async def test_names_and_numbers_of_files_count_and_what_is_gone_does_not(
    client: httpx.AsyncClient, passed: asyncio.Semaphore
) -> None:
    manager = MemoryUploadedFileManager("/upload")
    uploads.watch(manager)

    async def put(session_id: str = "SESSION", name: str = "r.csv") -> int:
        """Send an empty file, as the file chooser of a page does."""
        (given,) = manager.get_upload_urls(session_id, [name])
        passed.release()
        path = uploads.PATH + given.upload_url.removeprefix("/upload/")
        status = (await client.put(path, content=b"")).status_code
        if status == 204:
            manager.add_file(session_id, UploadedFileRec(given.file_id, name, "text/csv", b""))
        return status

    assert [await put() for _ in range(uploads.FILES)] == [204] * uploads.FILES
    assert await put() == 413, "so many files are enough, empty ones too"
    n, held_bytes = uploads.HELD.of(HERE.account_id)
    assert (n, held_bytes > uploads.FILES * uploads.FILE_BYTES) == (uploads.FILES, True)
    manager.remove_file("SESSION", next(iter(manager.file_storage["SESSION"])))
    assert await put() == 204

    manager.remove_session_files("SESSION")
    assert uploads.HELD.of(HERE.account_id) == (0, 0)
    long = "n" * (uploads.HELD_FILES * ((64 << 20) + uploads.FORM_BYTES))
    assert await put(name=long) == 204
    assert await put() == 413, "a name takes memory as content does"

    manager.remove_session_files("SESSION")
    manager.add_file("SESSION", UploadedFileRec("late", "r.csv", "text/csv", b"x"))
    assert not manager.file_storage.get("SESSION"), "its page is gone, and nothing would remove it"
