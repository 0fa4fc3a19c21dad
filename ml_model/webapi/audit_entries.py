"""What programs saw of somebody by the API: entries of the audit log. The app writes down what browsers see."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from semg.store import audit
from semg.store.audit import SEEN_AGAIN_S, Action, Actor
from semg.store.pool import Pool

MOST = 10_000
SERVICE = Actor(service="SEMG_API_TOKEN")
"""Who called with the services' own token."""


class AuditEntries:
    """Writes down who sees what, once an hour; bounded. Used on the event loop."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._told: OrderedDict[tuple[Actor, Action, int | None, int | None], float] = OrderedDict()

    async def seen(self, actor: Actor, action: Action, user_id: int | None, session_id: int | None = None) -> None:
        """Write down that somebody sees something.

        Raises
        ------
        StoreError
            It cannot be written: nothing may be shown.
        """
        what, now = (actor, action, user_id, session_id), time.monotonic()
        if now - self._told.get(what, -SEEN_AGAIN_S) < SEEN_AGAIN_S:
            return
        await asyncio.to_thread(self._record, *what)
        self._told[what] = now
        self._told.move_to_end(what)
        while len(self._told) > MOST:
            self._told.popitem(last=False)

    def _record(self, actor: Actor, action: Action, user_id: int | None, session_id: int | None) -> None:
        with self._pool.transaction() as tx:
            audit.record(tx, actor, action, user_id, session_id)
