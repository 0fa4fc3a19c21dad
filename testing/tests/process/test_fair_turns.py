"""Turns of threads: few at once, and fair between the accounts that wait."""

from __future__ import annotations

import threading

from semg.process.fair_turns import WAITING_EACH, FairTurns
from testing.kits.live_helpers import wait_for

MALLORY, VICTIM, EVE = 1, 2, 3
WAIT_S = 30.0


class Waiting:
    """Threads that wait for a turn each, in the order in which they got one."""

    def __init__(self, turns: FairTurns) -> None:
        self._turns = turns
        self.got: list[str] = []
        self._threads: list[threading.Thread] = []

    def begin(self, account_id: int, name: str) -> None:
        """Let somebody wait; return when it does."""

        def wait() -> None:
            assert self._turns.take(account_id, WAIT_S)
            self.got.append(name)

        before = self._turns._queue.n_waiting(account_id)
        self._threads.append(threading.Thread(target=wait))
        self._threads[-1].start()
        wait_for(lambda: self._turns._queue.n_waiting(account_id) > before)

    def next(self, account_id: int) -> str:
        """End a turn of an account, and return who gets it."""
        n = len(self.got)
        self._turns.give_back(account_id)
        wait_for(lambda: len(self.got) > n)
        return self.got[-1]

    def end(self) -> None:
        for each in self._threads:
            each.join(WAIT_S)


def test_who_asks_again_and_again_comes_behind_the_others() -> None:
    turns = FairTurns(1)
    waiting = Waiting(turns)
    assert turns.take(MALLORY, 0)
    for n in range(WAITING_EACH):
        waiting.begin(MALLORY, f"m{n}")
    waiting.begin(VICTIM, "v")
    waiting.begin(EVE, "e")
    assert [waiting.next(MALLORY), waiting.next(VICTIM), waiting.next(EVE)] == ["v", "e", "m0"]
    waiting.begin(VICTIM, "v again")
    assert [waiting.next(MALLORY), waiting.next(VICTIM), waiting.next(MALLORY)] == ["v again", "m1", "m2"]
    assert waiting.next(MALLORY) == "m3"
    turns.give_back(MALLORY)
    waiting.end()
    assert turns.take(EVE, 0)


def test_account_with_fewer_turns_is_first() -> None:
    turns = FairTurns(2)
    waiting = Waiting(turns)
    assert turns.take(MALLORY, 0)
    assert turns.take(EVE, 0)
    waiting.begin(MALLORY, "m")
    waiting.begin(VICTIM, "v")
    assert waiting.next(EVE) == "v"
    assert waiting.next(VICTIM) == "m"
    waiting.end()


def test_nobody_waits_for_ever_and_few_of_one_account_wait() -> None:
    turns = FairTurns(1)
    waiting = Waiting(turns)
    assert turns.take(MALLORY, 0)
    assert not turns.take(VICTIM, 0)
    assert not turns.take(VICTIM, 0.01)
    for n in range(WAITING_EACH):
        waiting.begin(MALLORY, f"m{n}")
    assert not turns.take(MALLORY, WAIT_S), "at once"
    assert [waiting.next(MALLORY) for _ in range(WAITING_EACH)] == [f"m{n}" for n in range(WAITING_EACH)], (
        "who has left is not waited for"
    )
    waiting.end()
