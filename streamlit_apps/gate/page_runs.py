"""How much work the pages of one account may ask for: few runs at a time, and not too much in a second.

What is too much waits: the page's next message is not read until the one before it is passed on, and nothing is
dropped. So whoever redraws pages in a loop holds up the own pages, and nobody else's.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner_utils.script_run_context import SCRIPT_RUN_CONTEXT_ATTR_NAME

RUNS_AT_ONCE = 2
"""Pages of one account that run at the same time. All runs share one interpreter: each slows down every other one."""
THREADS_OF_PAGE = 2
"""Streamlit begins a new run while the one before comes to its end, by a run of the whole page, and by one of a part of
it after the page's script was told to stop; a page may have so many."""
LOOK_S = 0.05
"""How often it is looked whether a run has ended."""
MAX_RUN_S = 120.0
"""A run that takes longer does not count any more, so that nobody is shut out for good by runs that hang."""
BEGIN_S = 30.0
"""A page whose first run has not begun by then will not run."""
WORK_PER_S, WORK_BURST = 20.0, 160.0
PAGE_WORK, BYTES_OF_WORK = 3.0, 16e3
"""What the run of a whole page counts for; a part of one that redraws itself, and any other message, counts for 1; and
so do so many bytes."""
BYTES_PER_S, BYTES_BURST = 512e3, 4e6
SCRIPT_THREAD = "ScriptRunner.scriptThread"


class ScriptThreads:
    """Counts Streamlit's threads by the session that they run for, anew every ``LOOK_S / 2`` at most."""

    def __init__(self) -> None:
        self._counted_at = -1.0
        self._of: Counter[str] = Counter()

    def __call__(self, session_id: str, is_now: bool = False) -> int:
        """Return how many threads of a session are alive; those that do not say yet whose they are count for each.

        Parameters
        ----------
        is_now
            Count anew in any case.
        """
        now = time.monotonic()
        if is_now or now - self._counted_at > LOOK_S / 2:
            self._counted_at = now
            self._of = Counter(_session_of(each) for each in threading.enumerate() if each.name == SCRIPT_THREAD)
        return self._of[session_id] + self._of[""] if session_id else 0


def _session_of(thread: threading.Thread) -> str:
    return str(getattr(getattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, None), "session_id", ""))


class Bucket:
    """A token bucket whose callers go into debt, and wait until it is paid."""

    def __init__(self, per_s: float, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most, self._clock = per_s, most, clock
        self._left, self._at = most, clock()

    def take(self, cost: float) -> float:
        """Take a cost, and return how long to wait before what it pays for, s."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s) - cost
        self._at = now
        return max(0.0, -self._left / self._per_s)


class _Account:
    """What the pages of one account have in common."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(RUNS_AT_ONCE)
        self.work = Bucket(WORK_PER_S, WORK_BURST)
        self.bytes = Bucket(BYTES_PER_S, BYTES_BURST)


class Runs:
    """The runs of all pages. For one event loop.

    Parameters
    ----------
    count
        Gives how many threads run for a session.
    """

    def __init__(self, count: Callable[[str, bool], int] | None = None) -> None:
        self.count = ScriptThreads() if count is None else count
        self.under_way: set[asyncio.Task[None]] = set()
        self._accounts: dict[int, _Account] = {}

    def of(self, account_id: int) -> _Account:
        """Return what the pages of an account have in common; there are as many as accounts that opened a page."""
        return self._accounts.setdefault(account_id, _Account())


class PageRuns:
    """The runs of one open page.

    Parameters
    ----------
    session_id
        Which of Streamlit's sessions the page wants to go on with. The first message that it is sent tells which it is.
    """

    def __init__(self, runs: Runs, account_id: int, session_id: str = "") -> None:
        self._runs, self._account, self._session_id = runs, runs.of(account_id), session_id
        self._is_told = False
        self._follower: asyncio.Task[None] | None = None
        self._passed_at = 0.0

    async def pay(self, size: int) -> None:
        """Wait until the account has left what a message of so many bytes costs, before anything is made of it."""
        account = self._account
        wait_s = max(account.work.take(1.0 + size / BYTES_OF_WORK), account.bytes.take(size))
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def begin(self, message: BackMsg) -> None:
        """Wait until the run that a message asks for may begin; it counts from then on until it has ended."""
        if message.WhichOneof("type") != "rerun_script":
            return
        if not message.rerun_script.fragment_id:
            wait_s = self._account.work.take(PAGE_WORK - 1.0)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
        while self._runs.count(self._session_id, True) >= THREADS_OF_PAGE:  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(LOOK_S)
        if self._follower is None:
            await self._account.turns.acquire()
            self._follower = asyncio.create_task(self._follow())
            self._runs.under_way.add(self._follower)
            self._follower.add_done_callback(self._runs.under_way.discard)
        self._passed_at = time.monotonic()

    def said(self, data: bytes) -> None:
        """Look at what Streamlit sends to the page, until it tells which session it is."""
        if not self._is_told:
            told = ForwardMsg.FromString(data).new_session.initialize.session_id
            if told:
                self._session_id, self._is_told = told, True

    async def _follow(self) -> None:
        """Return the turn when the run has ended; the page may be closed by then."""
        begun_at = time.monotonic()
        try:
            while (now := time.monotonic()) - begun_at < MAX_RUN_S:
                await asyncio.sleep(LOOK_S)
                if not self._is_told:
                    if now - self._passed_at > BEGIN_S:
                        return
                elif now - self._passed_at > LOOK_S and not self._runs.count(self._session_id, False):
                    return
        finally:
            self._follower = None
            self._account.turns.release()
