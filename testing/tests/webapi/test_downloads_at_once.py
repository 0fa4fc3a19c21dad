"""Files that are being sent are counted, and the count goes down however an answer ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry, Counter
from starlette.types import Message

from webapi import under_way
from webapi.sending import send_counted
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


class Sending:
    """What counts, and answers that end in one way or another."""

    def __init__(self) -> None:
        cut = Counter("cut", "cut", ["why"], registry=CollectorRegistry())
        self.services: Any = SimpleNamespace(downloads=Downloads(), metrics=SimpleNamespace(files_cut=cut))

    @property
    def n_open(self) -> int:
        return self.services.downloads._of.total()

    def cut(self, why: str) -> float:
        return self.services.metrics.files_cut.labels(why)._value.get()

    async def send(self, pieces: AsyncIterator[bytes], *, is_taken: bool) -> None:
        async def make() -> Response:
            return StreamingResponse(pieces)

        async def receive() -> Message:
            return await asyncio.get_running_loop().create_future()

        async def send(_: Message) -> None:
            if not is_taken:
                await asyncio.get_running_loop().create_future()

        answer = await send_counted(self.services, 1, make)
        assert self.n_open == 1
        await asyncio.wait_for(answer({"type": "http", "path": "/files/x"}, receive, send), 30)


async def one_piece() -> AsyncIterator[bytes]:
    yield b"x"


async def broken() -> AsyncIterator[bytes]:
    yield b"x"
    raise ValueError("it was erased meanwhile")


def test_file_whose_reader_takes_nothing_is_cut_off_and_counted_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "MAX_SEND_S", 0.05)
    sending = Sending()
    asyncio.run(sending.send(one_piece(), is_taken=False))
    assert (sending.n_open, sending.cut("slow"), sending.cut("error")) == (0, 1, 0)


def test_file_that_cannot_be_sent_to_its_end_is_told_of_and_counted() -> None:
    sending = Sending()
    with pytest.raises(ValueError, match="erased"):
        asyncio.run(sending.send(broken(), is_taken=True))
    assert (sending.n_open, sending.cut("slow"), sending.cut("error")) == (0, 0, 1)
    asyncio.run(sending.send(one_piece(), is_taken=True))
    assert (sending.n_open, sending.cut("slow"), sending.cut("error")) == (0, 0, 1)


def test_file_that_cannot_be_opened_is_counted_no_more() -> None:
    sending = Sending()

    async def refused() -> Response:
        raise HTTPException(404)

    with pytest.raises(HTTPException):
        asyncio.run(send_counted(sending.services, 1, refused))
    assert sending.n_open == 0


def test_account_has_a_bounded_number_of_websockets() -> None:
    counted = Watchers()
    assert [counted.begin(1) for _ in range(MAX_WATCHING_OF_ONE + 2)] == [True] * MAX_WATCHING_OF_ONE + [False] * 2
    assert counted.begin(2)
    assert all(counted.begin(0) for _ in range(3 * MAX_WATCHING_OF_ONE)), "the services' own token"
    counted.end(1)
    assert counted.begin(1)
