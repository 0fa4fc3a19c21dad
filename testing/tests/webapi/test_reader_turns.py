"""Turns at reading files: few at once, fair between accounts, and held until the thread is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.responses import StreamingResponse

from semg.errors import NotFoundError
from semg.privacy.file_exports import Content, Download, PromptFile, find_download
from webapi import downloads
from webapi.reader_turns import ReaderTurns

MALLORY, VICTIM = 1, 2
WAIT_S = 10.0


class Reads:
    """Reads that last until they are let go, in the order in which they began."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._gates: dict[str, threading.Event] = {}

    def of(self, name: str):
        gate = self._gates.setdefault(name, threading.Event())

        def read() -> str:
            self.begun.append(name)
            assert gate.wait(WAIT_S)
            return name

        return read

    def let_go(self, name: str) -> None:
        self._gates[name].set()

    def let_all_go(self) -> None:
        for gate in self._gates.values():
            gate.set()

    async def wait_for(self, n: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.begun) < n:
                await asyncio.sleep(0.001)


@pytest.fixture
def reads() -> Iterator[Reads]:
    made = Reads()
    yield made
    made.let_all_go()


async def test_who_comes_late_with_one_file_is_before_who_has_many(reads: Reads) -> None:
    turns = ReaderTurns(2)
    many = [asyncio.create_task(turns.run(MALLORY, reads.of(f"m{n}"))) for n in range(6)]
    await reads.wait_for(2)
    one = asyncio.create_task(turns.run(VICTIM, reads.of("v")))
    await asyncio.sleep(0)
    reads.let_go("m0")
    await reads.wait_for(3)
    assert reads.begun == ["m0", "m1", "v"]
    reads.let_go("m1")
    await reads.wait_for(4)
    assert reads.begun[3] == "m2", "the other turn is for who waits"
    reads.let_all_go()
    assert await one == "v"
    assert [await task for task in many] == [f"m{n}" for n in range(6)]


async def test_turn_of_who_left_ends_with_its_thread_and_a_place_in_the_queue_is_given_up(reads: Reads) -> None:
    turns = ReaderTurns(1)
    left = asyncio.create_task(turns.run(MALLORY, reads.of("left")))
    await reads.wait_for(1)
    waiting = asyncio.create_task(turns.run(MALLORY, reads.of("waiting")))
    following = asyncio.create_task(turns.run(VICTIM, reads.of("following")))
    await asyncio.sleep(0)
    for task in (left, waiting):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.05)
    assert reads.begun == ["left"], "its thread reads still"
    reads.let_all_go()
    assert await following == "following"
    assert reads.begun == ["left", "following"]


async def test_turn_whose_read_fails_is_given_on() -> None:
    turns = ReaderTurns(1)

    def fail() -> None:
        raise NotFoundError("gone")

    for _ in range(3):
        with pytest.raises(NotFoundError):
            await turns.run(MALLORY, fail)


async def test_pictures_take_no_turn(monkeypatch: pytest.MonkeyPatch, reads: Reads) -> None:
    class Services:
        readers = ReaderTurns(1)
        pool = None

    monkeypatch.setattr(PromptFile, "open", lambda self, pool: Content("image/png", "", iter([b"picture"])))
    taken = asyncio.create_task(Services.readers.run(MALLORY, reads.of("taken")))
    await reads.wait_for(1)
    answer = await asyncio.wait_for(downloads._sent(Services(), VICTIM, find("prompt-1")), WAIT_S)  # type: ignore[arg-type]
    assert (answer.body, answer.media_type, isinstance(answer, StreamingResponse)) == (b"picture", "image/png", False)
    for name in ("session-1.parquet", "model-1-1.json", "play-1.csv", "audit.csv"):
        assert find(name).takes_turns
    reads.let_all_go()
    await taken


def find(name: str) -> Download:
    found = find_download(name)
    assert found is not None
    return found


async def test_turns_that_are_all_taken_leave_the_loops_own_threads_free() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    turns, reads = ReaderTurns(2), Reads()
    held = [asyncio.create_task(turns.run(MALLORY, reads.of(name))) for name in "abcd"]
    async with asyncio.timeout(WAIT_S):
        while len(reads.begun) < 2:
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(lambda: "looked up") == "looked up"
    for name in "abcd":
        reads.of(name)
        reads.let_go(name)
    assert await asyncio.gather(*held) == list("abcd")
    turns.close()
