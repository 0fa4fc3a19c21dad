"""What an attack has in hand: how much it may ask, a login, and what the owner of a system sees."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from semg.settings import Settings
from semg.store.pool import Pool
from testing.attacks.findings import NotTried

BINDING_HEADER = "X-Semg-Binding"


@dataclass
class Limits:
    """How much may be asked, and for how long."""

    requests: int = 3000
    seconds: float = 600.0
    begun: float = field(default_factory=time.monotonic)
    asked: int = 0

    def spend(self) -> None:
        """Count a request.

        Raises
        ------
        NotTried
            There were enough.
        """
        self.asked += 1
        if self.asked > self.requests:
            raise NotTried(f"more than {self.requests} requests (--requests)")
        if time.monotonic() - self.begun > self.seconds:
            raise NotTried(f"more than {self.seconds:g} s (--seconds)")


@dataclass(frozen=True, slots=True)
class Entry:
    """A login in a browser: its cookie, as the header says it, and what is stored for the app's origin."""

    cookie: str
    binding: str
    set_cookie: str = ""

    def headers(self) -> dict[str, str]:
        """Return what a page of the app sends."""
        return {"Cookie": self.cookie, BINDING_HEADER: self.binding}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the owner of a system sees.

    Attributes
    ----------
    folder
        Where its files and logs are.
    user_id, session_id
        A profile that is called a Markdown picture of the canary, and its session.
    accounts
        Passwords by login: an admin, a researcher who owns the profile, and a viewer who sees nothing.
    """

    settings: Settings
    pool: Pool
    folder: Path
    user_id: int
    session_id: int
    accounts: dict[str, str]
