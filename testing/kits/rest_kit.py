"""One running API for the tests of ``/v1``: accounts with tokens, and a profile with everything that it shows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np

from semg.domain import Block, us_from_utc
from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import access, accounts, api_tokens, audit, blocks, gestures, profiles, sessions
from semg.store.audit import AuditEntry
from semg.store.pool import Pool
from testing.kits.live_helpers import api_running
from testing.kits.page_data import insert_models
from testing.kits.store_queries import set_shares

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CHANNELS = ("a0", "a1", "a2")
RATE_HZ = 200.0


@dataclass
class Rest:
    """A running API, its database, and ways to fill both."""

    client: httpx.Client
    pool: Pool
    settings: Settings
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def token(self, role: str, *shared: int, scopes: Sequence[str] = api_tokens.SCOPES) -> str:
        """A token of a new account that sees these profiles."""
        with self.pool.transaction() as tx:
            account_id = accounts.insert_account(tx, f"{role}-{next(self._numbers)}", "", role)
            for user_id in shared:
                set_shares(tx, user_id, [*access.list_shares(tx, user_id), account_id])
            return api_tokens.insert_token(tx, account_id, "test", scopes).text

    def ask(self, token: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask with a token."""
        headers = {"Authorization": f"Bearer {token}"} | more.pop("headers", {})
        return self.client.request(method, f"/v1{path}", headers=headers, **more)

    def get(self, token: str, path: str, **more: Any) -> httpx.Response:
        """Read with a token."""
        return self.ask(token, "GET", path, **more)

    def change(self, token: str, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        """Change what is there now."""
        tag = self.get(token, path).headers.get("ETag", "*")
        return self.ask(token, method, path, json=body, headers={"If-Match": tag})

    def profile(self) -> int:
        """A new profile with a session of 12 s and two versions."""
        with self.pool.transaction() as tx:
            user_id = profiles.insert_profile(
                tx, f"Ada {next(self._numbers)}", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON
            )
        self.session(user_id, START, 12.0)
        insert_models(self.pool, user_id, 2)
        return user_id

    def session(self, user_id: int, start: datetime, seconds: float, gap_s: tuple[float, float] | None = None) -> int:
        """A new session, half rest and half fist, whose samples are missing in a gap."""
        n = round(seconds * RATE_HZ)
        at_us = (np.arange(n) * round(1e6 / RATE_HZ)).astype(np.int64)
        values = np.random.default_rng(0).standard_normal((n, len(CHANNELS))).astype(np.float32)
        lacking = np.zeros(n, bool) if gap_s is None else (at_us >= gap_s[0] * 1e6) & (at_us < gap_s[1] * 1e6)
        start_us = us_from_utc(start)
        made = []
        for first in range(0, n, 100):
            kept = np.flatnonzero(~lacking[first : first + 100]) + first
            if len(kept):
                fresh = first == 0 or bool(lacking[kept[0] - 1])
                times = at_us[kept]
                made.append(Block(user_id, start_us, fresh, False, start_us, times, times + start_us, values[kept]))
        with self.pool.transaction() as tx:
            blocks.copy_blocks(tx, made)
            device, end = profiles.get_profile(tx, user_id).device, start + timedelta(seconds=seconds)
            name = f"Session {next(self._numbers)}"
            number = sessions.insert_session(
                tx, user_id, name, "capture", start, end, status="completed", device=device
            )
            ids = gestures.ensure_gestures(tx, user_id, ["rest", "fist"])
            for index, gesture in enumerate(("rest", "fist")):
                begin = start + index * timedelta(seconds=seconds / 2)
                sessions.insert_repetition(tx, number, ids[gesture], 1, begin, begin + timedelta(seconds=seconds / 2))
        return number

    def entries(self, user_id: int) -> list[AuditEntry]:
        """The audit log of a profile, oldest first."""
        with self.pool.transaction() as tx:
            return audit.list_entries(tx, user_id=user_id)[::-1]


@contextmanager
def rest_running(settings: Settings) -> Iterator[Rest]:
    """Serve the API, without a limit of requests."""
    pool = Pool(settings, name="test")
    try:
        with api_running(settings.model_copy(update={"api_requests_per_s": 10_000.0})) as client:
            del client.headers["Authorization"]
            yield Rest(client, pool, settings)
    finally:
        pool.close()
