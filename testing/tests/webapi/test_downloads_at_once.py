"""Files that are being sent are counted, and the count goes down however an answer ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import HTTPException
from starlette.types import Message

from webapi import under_way
from webapi.downloads import _Counted
from webapi.under_way import MAX_DOWNLOADS, MAX_DOWNLOADS_OF_ONE, MAX_WATCHING_OF_ONE, Downloads, Watchers


def test_one_account_and_all_together_send_so_many_at_once() -> None:
    counted = Downloads()
    for _ in range(MAX_DOWNLOADS_OF_ONE):
        counted.begin(1)
    with pytest.raises(HTTPException) as refused:
        counted.begin(1)
    assert refused.value.status_code == 429
    counted.end(1)
    counted.begin(1)
    others = 0
    with pytest.raises(HTTPException):
        while True:
            counted.begin(2 + others % 7)
            others += 1
    assert others == MAX_DOWNLOADS - MAX_DOWNLOADS_OF_ONE
    for number in range(others):
        counted.end(2 + number % 7)
    counted.begin(9)


def test_file_whose_reader_takes_nothing_is_cut_off_and_counted_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "MAX_SEND_S", 0.05)
    ended = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()

    async def send(_: Message) -> None:
        await asyncio.get_running_loop().create_future()

    async def run() -> None:
        sent = _Counted(pieces(), {}, "text/csv", lambda: ended.append(1))
        await asyncio.wait_for(sent({"type": "http", "path": "/files/x"}, receive, send), 30)

    asyncio.run(run())
    assert ended == [1]


def test_account_has_a_bounded_number_of_websockets() -> None:
    counted = Watchers()
    assert [counted.begin(1) for _ in range(MAX_WATCHING_OF_ONE + 2)] == [True] * MAX_WATCHING_OF_ONE + [False] * 2
    assert counted.begin(2)
    assert all(counted.begin(0) for _ in range(3 * MAX_WATCHING_OF_ONE)), "the services' own token"
    counted.end(1)
    assert counted.begin(1)
