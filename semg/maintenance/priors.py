"""Remove people from the stored population priors who were erased or withdrew their consent to that use."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from semg.errors import StoreError
from semg.privacy.archive_downloads import remove_exports
from semg.process.attempts import LOCK_S, Attempts, Failures
from semg.security import private_files
from semg.settings import Settings
from semg.store import erasing
from semg.store.pool import Pool

logger = logging.getLogger(__name__)
EVERY_S = 2.0
RETRY_S = 30.0
NOTED_S = 900.0
"""How long a removal stays pending: a prior that was being built at the erasure is stored within this time."""


class PriorKeeper:
    """Removes people from stored priors who were erased or withdrew their consent; one thread calls ``step``."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self._folder = folder
        self._pool = pool
        self._seen: object = None
        self._is_closed = False

    def step(self) -> None:
        """Rewrite each prior without them; one with fewer than two people left is removed.

        A removal stays pending for ``NOTED_S``, because a prior that was being built at an erasure is stored later.
        Unfinished files of killed processes are removed after that time too.

        Raises
        ------
        StoreError, OSError, ArtifactError
            The database is unreachable, or a file cannot be read or written; the next call retries.
        """
        self._tidy()
        with self._pool.transaction() as tx:
            gone = {str(user_id) for user_id in erasing.list_in_bases(tx)}
        if not gone:
            return
        noted_before = datetime.now(UTC) - timedelta(seconds=NOTED_S)
        self._write_without(gone)
        with self._pool.transaction() as tx:
            erasing.forget_in_bases(tx, noted_before)

    def _tidy(self) -> None:
        if not self._is_closed:
            private_files.close_to_others(self._folder)
            self._is_closed = True
        for path in self._folder.glob("base-*.partial"):
            if time.time() - path.stat().st_mtime > NOTED_S:
                path.unlink(missing_ok=True)

    def _write_without(self, gone: set[str]) -> None:
        files = sorted(self._folder.glob("base-*.safetensors"))
        state = (gone, [(path, path.stat().st_mtime_ns) for path in files])
        if not files or state == self._seen:
            return
        from semg.priors.building import load_base  # brings scipy, which no other thread of the runner needs

        for path in files:
            base = load_base(path)
            if not gone & {person.name for person in base.people}:
                continue
            left = base.without(names=gone)
            if len(left.people) < 2:
                path.unlink()
                logger.info("%s is removed: fewer than two people are left", path.name)
                continue
            private_files.write(path, replace(left, name=f"{len(left.people)} people").to_bytes())
            logger.info("%s is written anew without those who were erased", path.name)
        self._seen = (gone, [(path, path.stat().st_mtime_ns) for path in files if path.exists()])


def keep_bases(settings: Settings, pool: Pool, stop: threading.Event, failures: Failures | None = None) -> None:
    """Maintain the priors, and remove unfetched archives and leftovers of uploads, until stopped."""
    pool = pool.waiting_at_most(LOCK_S)
    keeper, attempts = PriorKeeper(pool, settings.data_dir / "bases"), Attempts(logger, "bases", failures)
    steps: dict[str, Callable[[], object]] = {
        "priors": keeper.step,
        "archives": partial(remove_exports, settings, pool),
        "leftovers": partial(private_files.clear_scratch, settings.data_dir, private_files.LEFT_S),
    }
    while not stop.wait(EVERY_S):
        went_well = [_attempted(attempts, name, step) for name, step in steps.items()]
        if not all(went_well):
            stop.wait(RETRY_S)


def _attempted(attempts: Attempts, name: str, step: Callable[[], object]) -> bool:
    try:
        return attempts.attempt(name, step)
    except StoreError as exc:  # the database is away; what needs none goes on
        attempts.note(name, exc)
        return False
