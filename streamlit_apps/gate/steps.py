"""Logins that are under way: what the server remembers from one step to the next, for five minutes.

A step is named by a random handle that the page keeps; nothing of it is in a cookie.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from semg.errors import LoginError

Kind = Literal["code", "passkey", "provider", "new passkey", "new app"]
LIFE_S = 300.0
MOST_OF_STRANGERS, MOST_OF_ACCOUNTS, MOST_OF_ONE = 20_000, 2_000, 20
"""Steps that are remembered: of whoever opens the login page, of those who proved a password, of one of these."""
TRIES = 5
EXPIRED = "This took too long, or there were too many attempts. Start again."


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has to remember.

    Attributes
    ----------
    account_id, login_id
        Whose it is; 0 where that is not known yet.
    secret
        The challenge of a passkey, the secret of a new app, or what a provider's answer must fit (JSON).
    origin
        At which address of the app it began.
    """

    kind: Kind
    origin: str
    account_id: int = 0
    login_id: int = 0
    secret: bytes = b""


class Steps:
    """Remembers steps; the oldest is forgotten first, of an account before those of others. Safe to use from threads.

    Parameters
    ----------
    most
        Remembered at most.
    clock
        Seconds, rising.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._kept: OrderedDict[str, tuple[Step, float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, step: Step) -> str:
        """Remember a step, and return its handle."""
        handle = secrets.token_urlsafe(32)
        with self._lock:
            if step.account_id:
                own = [key for key, (kept, _, _) in self._kept.items() if kept.account_id == step.account_id]
                for key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
                    del self._kept[key]
            while self._kept and next(iter(self._kept.values()))[1] < self._clock():
                self._kept.popitem(last=False)
            self._kept[handle] = (step, self._clock() + LIFE_S, TRIES)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return handle

    def take(self, handle: str, kind: Kind, origin: str, *, again: bool = False) -> Step:
        """Return a step, which is forgotten with that.

        Parameters
        ----------
        again
            It may be taken ``TRIES`` times: a code is mistyped easily.

        Raises
        ------
        LoginError
            There is no such step (any more).
        """
        with self._lock:
            step, until, tries = self._kept.pop(handle, (None, 0.0, 0))
            if step is None or self._clock() >= until or (step.kind, step.origin) != (kind, origin):
                raise LoginError(EXPIRED)
            if again and tries > 1:
                self._kept[handle] = (step, until, tries - 1)
        return step

    def end(self, handle: str) -> None:
        """Forget a step that has succeeded."""
        with self._lock:
            self._kept.pop(handle, None)


class Flows:
    """The steps that whoever opens the login page begins, and those that somebody who has proved a password does.

    Apart, so that no number of the first pushes one of the second out.
    """

    def __init__(self) -> None:
        self.of_strangers = Steps(MOST_OF_STRANGERS)
        self.of_accounts = Steps(MOST_OF_ACCOUNTS)
