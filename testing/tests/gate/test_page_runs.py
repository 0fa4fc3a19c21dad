"""How much the pages of one account may have done at a time."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner_utils.script_run_context import SCRIPT_RUN_CONTEXT_ATTR_NAME

from gate import page_runs
from gate.page_runs import RUNS_AT_ONCE, SCRIPT_THREAD, Bucket, PageRuns, Runs, ScriptThreads

WAIT_S = 30.0


def rerun(fragment_id: str = "") -> BackMsg:
    message = BackMsg()
    message.rerun_script.fragment_id = fragment_id
    return message


def page_of(runs: Runs, account_id: int, name: str) -> PageRuns:
    page, message = PageRuns(runs, account_id), ForwardMsg()
    message.new_session.initialize.session_id = name
    page.said(message.SerializeToString())
    return page


def test_few_pages_of_an_account_run_at_a_time_and_the_next_one_when_one_has_ended() -> None:
    alive: Counter[str] = Counter()

    async def run() -> None:
        runs = Runs(lambda name, is_now: alive[name])
        names = [f"page {number}" for number in range(RUNS_AT_ONCE + 2)]
        began: asyncio.Queue[str] = asyncio.Queue()

        async def begin(name: str, account_id: int = 1) -> None:
            await page_of(runs, account_id, name).begin(rerun())
            alive[name] = 1
            began.put_nowait(name)

        waiting = [asyncio.create_task(begin(name)) for name in names]
        first = [await asyncio.wait_for(began.get(), WAIT_S) for _ in range(RUNS_AT_ONCE)]
        assert first == names[:RUNS_AT_ONCE]
        await asyncio.wait_for(begin("of somebody else", 2), WAIT_S)
        assert await began.get() == "of somebody else"
        assert began.empty()
        for name, following in zip(first, names[RUNS_AT_ONCE:], strict=False):
            alive[name] = 0
            assert await asyncio.wait_for(began.get(), WAIT_S) == following
        alive.clear()
        await asyncio.wait_for(asyncio.gather(*waiting, *runs.under_way), WAIT_S)
        assert not runs.under_way

    asyncio.run(run())


def test_page_that_runs_takes_no_second_turn_and_has_few_threads() -> None:
    alive = Counter({"page": 1})

    async def run() -> None:
        runs = Runs(lambda name, is_now: alive[name])
        page = page_of(runs, 1, "page")
        for _ in range(RUNS_AT_ONCE + 2):
            await asyncio.wait_for(page.begin(rerun()), WAIT_S)
        assert len(runs.under_way) == 1
        stop = BackMsg()
        stop.stop_script = True
        for asked in (rerun(), rerun("a part"), rerun("a part that redraws itself")):
            alive["page"] = page_runs.THREADS_OF_PAGE
            await asyncio.wait_for(page.begin(stop), WAIT_S)
            again = asyncio.create_task(page.begin(asked))
            await asyncio.sleep(3 * page_runs.LOOK_S)
            assert not again.done(), "the run before it has not come to its end"
            alive["page"] = 0
            await asyncio.wait_for(again, WAIT_S)
        await asyncio.wait_for(asyncio.gather(*runs.under_way), WAIT_S)

    asyncio.run(run())


def test_page_that_comes_back_to_its_session_counts_the_threads_that_still_run_there() -> None:
    alive = Counter({"page": page_runs.THREADS_OF_PAGE})

    async def run() -> None:
        page = PageRuns(Runs(lambda name, is_now: alive[name]), 1, "page")
        first = asyncio.create_task(page.begin(rerun("a part")))
        await asyncio.sleep(3 * page_runs.LOOK_S)
        assert not first.done(), "no message has told yet which session it is"
        message = ForwardMsg()
        message.new_session.initialize.session_id = "another"  # that one was gone
        page.said(ForwardMsg().SerializeToString())
        page.said(message.SerializeToString())
        await asyncio.wait_for(first, WAIT_S)

    asyncio.run(run())


def test_run_that_hangs_or_never_begins_does_not_count_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_runs, "MAX_RUN_S", 0.2)
    monkeypatch.setattr(page_runs, "BEGIN_S", 0.1)

    async def run() -> None:
        runs = Runs(lambda name, is_now: int(name == "hangs"))
        for _ in range(RUNS_AT_ONCE + 1):
            await asyncio.wait_for(page_of(runs, 1, "hangs").begin(rerun()), WAIT_S)
            await asyncio.wait_for(PageRuns(runs, 1).begin(rerun()), WAIT_S)
        await asyncio.wait_for(asyncio.gather(*runs.under_way), WAIT_S)

    asyncio.run(run())


def test_threads_of_streamlit_are_counted_by_their_session() -> None:
    class Context:
        session_id = "ada"

    go_on = threading.Event()
    threads = [threading.Thread(target=go_on.wait, args=(60,), name=SCRIPT_THREAD) for _ in range(3)]
    for each in threads:
        each.start()
    count = ScriptThreads()
    assert count("ada", True) == 3, "those that do not say yet whose they are may be anybody's"
    for each in threads[:2]:
        setattr(each, SCRIPT_RUN_CONTEXT_ATTR_NAME, Context)
    assert (count("ada", True), count("eve", True), count("", True)) == (3, 1, 0)
    go_on.set()
    for each in threads:
        each.join(60)
    assert count("ada", True) == 0


def test_what_is_too_much_in_a_second_waits_and_is_paid_off() -> None:
    now = [0.0]
    bucket = Bucket(10.0, 40.0, lambda: now[0])
    assert [bucket.take(10.0) for _ in range(6)] == [0, 0, 0, 0, 1.0, 2.0]
    now[0] = 2.0
    assert bucket.take(1.0) == 0.1
    now[0] = 1000.0
    assert [bucket.take(40.0), bucket.take(1.0)] == [0, 0.1]
