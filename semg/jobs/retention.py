"""Keeps samples and decisions for as long as the settings say, and no longer."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

from semg.errors import StoreError
from semg.settings import Settings
from semg.store import profiles, retention
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

EVERY_S = 3600.0
DECISIONS_AT_ONCE = 20_000
"""Deleted in one transaction: about 0.1 s, so that deciding workers do not wait."""


def keep_retention(settings: Settings, pool: Pool, stop: threading.Event) -> None:
    """Expire what is too old, now and every hour, until told to stop."""
    if not settings.keep_samples_days and not settings.keep_decisions_days:
        return
    while True:
        try:
            expire(settings, pool, datetime.now(UTC), stop)
        except StoreError as exc:
            logger.warning("what is too old is removed in the next round: %s", exc)
        if stop.wait(EVERY_S):
            return


def expire(settings: Settings, pool: Pool, now: datetime, stop: threading.Event) -> None:
    """Expire what is too old at a time, day by day; another runner that does so now leaves nothing to do.

    Raises
    ------
    StoreError
        A day is being read, or the store is away; the rest is left for the next round.
    """
    with pool.transaction() as guard:
        if not retention.try_lock(guard):
            return
        if settings.keep_samples_days:
            _expire_samples(settings, pool, now, stop)
        if settings.keep_decisions_days:
            _expire_decisions(settings, pool, now, stop)


def _expire_samples(settings: Settings, pool: Pool, now: datetime, stop: threading.Event) -> None:
    before = (now - timedelta(days=settings.keep_samples_days)).date()
    with pool.transaction() as tx:
        days = retention.list_sample_days(tx, before)
    for day in days:
        if stop.is_set():
            return
        with pool.transaction() as tx:
            if retention.expire_samples(tx, day, keep_sessions=settings.keep_labelled_samples):
                logger.info("samples of %s are removed", day)


def _expire_decisions(settings: Settings, pool: Pool, now: datetime, stop: threading.Event) -> None:
    before = now - timedelta(days=settings.keep_decisions_days)
    with pool.transaction() as tx:
        user_ids = [profile.user_id for profile in profiles.list_profiles(tx)]
    for user_id in user_ids:
        n_deleted = DECISIONS_AT_ONCE
        while n_deleted == DECISIONS_AT_ONCE and not stop.is_set():
            with pool.transaction() as tx:
                n_deleted = retention.delete_old_decisions(tx, user_id, before, DECISIONS_AT_ONCE)
