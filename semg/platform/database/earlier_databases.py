"""Databases kept aside by a restore: they may hold data erased since, and expire like backups of that age."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta

from semg.settings import Settings
from semg.store.databases import Databases

logger = logging.getLogger(__name__)

STAMP = "%Y%m%dt%H%M%S"
UNFINISHED = timedelta(days=1)
"""A restore that was killed leaves its half-read database behind."""


def name_aside(database: str, now: datetime) -> str:
    """Return the name under which a restore keeps the former database."""
    return f"{database}_before_{now:{STAMP}}"


def name_fresh(database: str, now: datetime) -> str:
    """Return the name of the database that a restore reads into."""
    return f"{database}_restored_{now:{STAMP}}"


def remove_earlier(settings: Settings, now: datetime) -> list[str]:
    """Drop databases that were put aside more than ``KEEP_BACKUPS_DAYS`` ago, as their owner; return their names.

    Raises
    ------
    StoreError
        The server is away, or the owner may not drop one.
    """
    databases, name = Databases(settings), settings.postgres_db
    kept = {"restored": UNFINISHED}
    if settings.keep_backups_days:
        kept["before"] = timedelta(days=settings.keep_backups_days)
    gone = []
    for found in databases.list_beginning(f"{name}_"):
        named = re.fullmatch(r"(before|restored)_(\d{8}t\d{6})", found.removeprefix(f"{name}_"))
        if named is None or named[1] not in kept:
            continue
        if now - datetime.strptime(named[2], STAMP).replace(tzinfo=UTC) > kept[named[1]]:
            databases.drop(found)
            logger.info("database %s is removed: put aside longer than KEEP_BACKUPS_DAYS, or half restored", found)
            gone.append(found)
    return gone
