"""Data archives for the people concerned: built in the background, stored encrypted, and deleted soon."""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from semg.errors import ConflictError, SemgError
from semg.privacy.data_archive import write_archive
from semg.security.encrypted_files import EncryptedReader, Vault
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.store import profiles
from semg.store.pool import Pool

logger = logging.getLogger(__name__)
KEPT_S = 3600.0
AT_ONCE = 2
"""Archives that are made at the same time, of all accounts; each reads all samples of a person."""
LONGEST_S = 3600.0
"""Of making one: whoever waits for its turn knows that it ends."""
AN_HOUR = 10
"""Archives that one account may begin in an hour, those that failed too; each is kept as long."""
BEING_MADE = "An archive of this person is being created; wait until it is complete."
OWN_BEING_MADE = "Your account is creating an archive already; wait until it is complete, then create the next one."
_NAME = re.compile(r"(\d{1,18})-[0-9a-f]{32}")


def folder_of(settings: Settings) -> Path:
    """Return the folder of archives that have not been fetched yet."""
    return settings.data_dir / "exports"


def open_export(settings: Settings, name: str) -> EncryptedReader | None:
    """Open a finished archive, or return None when there is none of this name.

    Raises
    ------
    SealError
        It was modified.
    """
    path = folder_of(settings) / name
    if _NAME.fullmatch(name) is None or not path.is_file():
        return None
    return Vault(ring_of(settings)).open(path, f"export {name}")


def list_exports(settings: Settings) -> list[Path]:
    """Return the files of archives, unfinished ones too."""
    return [path for path in folder_of(settings).glob("*-*") if path.is_file()]


def user_of(name: str) -> int:
    """Return the profile of an archive's name."""
    return int(name.partition("-")[0])


def remove_exports(settings: Settings, pool: Pool) -> None:
    """Remove archives that are old, and those of erased profiles.

    Raises
    ------
    StoreError, OSError
        The database is away, or a file cannot be removed.
    """
    files = list_exports(settings)
    if not files:
        return
    with pool.transaction() as tx:
        known = {profile.user_id for profile in profiles.list_chosen(tx, {user_of(path.name) for path in files})}
    for path in files:
        if time.time() - path.stat().st_mtime > KEPT_S or user_of(path.name) not in known:
            path.unlink(missing_ok=True)


class Export:
    """One archive that is being built in a separate thread.

    Attributes
    ----------
    share
        Progress, 0 to 1.
    problem
        Why it failed; otherwise empty.
    name
        Name of the complete archive; empty before.
    with_name
        Whether it contains the name behind a pseudonym.
    replaces
        Archives to be removed when this one is complete.
    """

    def __init__(
        self, pool: Pool, settings: Settings, user_id: int, *, with_name: bool = False, replaces: Sequence[Export] = ()
    ) -> None:
        self._replaces = tuple(replaces)
        self.share, self.problem, self.name = 0.0, "", ""
        self._pool, self._settings, self.user_id, self.with_name = pool, settings, user_id, with_name
        self._thread = threading.Thread(target=self._make, name="export", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it is complete, or has failed."""
        return bool(self.name or self.problem)

    def join(self, timeout_s: float) -> None:
        """Wait until it is finished."""
        self._thread.join(timeout_s)

    def _make(self) -> None:
        name = f"{self.user_id}-{secrets.token_hex(16)}"
        folder = folder_of(self._settings)
        path = folder / f"{name}.making"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            vault = Vault(ring_of(self._settings))
            with vault.create(path, f"export {name}") as file:
                out: BinaryIO = file  # type: ignore[assignment]
                write_archive(
                    self._pool,
                    self._settings,
                    self.user_id,
                    out,
                    self._set_share,
                    with_name=self.with_name,
                    longest_s=LONGEST_S,
                )
            path.rename(folder / name)
            for older in self._replaces:
                if older.name:
                    (folder / older.name).unlink(missing_ok=True)
            self.name = name
        except (SemgError, OSError) as exc:
            path.unlink(missing_ok=True)
            self.problem = str(exc)
            logger.warning("an archive was not made: %s", type(exc).__name__, extra={"user_id": self.user_id})
        except Exception:
            path.unlink(missing_ok=True)
            self.problem = "an unexpected error; the app's log has the details"
            logger.exception("an archive was not made", extra={"user_id": self.user_id})

    def _set_share(self, share: float) -> None:
        self.share = share


@dataclass(frozen=True, slots=True)
class _Begun:
    account_id: int
    at_s: float
    export: Export


@dataclass(slots=True)
class ArchiveDownloads:
    """Limits the number of archives of this process, for all browsers together.

    Parameters
    ----------
    at_once, an_hour
        As ``AT_ONCE`` and ``AN_HOUR``.
    """

    at_once: int = AT_ONCE
    an_hour: int = AN_HOUR
    _begun: list[_Begun] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(
        self, pool: Pool, settings: Settings, user_id: int, account_id: int, *, with_name: bool = False
    ) -> Export:
        """Begin an archive, which replaces those that the account has made of this profile.

        Raises
        ------
        ConflictError
            One of this profile or of this account is being made, or too many are of all, or were in this hour.
        """
        with self._lock:
            now_s = time.monotonic()
            self._begun = [one for one in self._begun if not one.export.done or now_s - one.at_s < KEPT_S]
            making = [one.export for one in self._begun if not one.export.done]
            if any(export.user_id == user_id for export in making):
                raise ConflictError(BEING_MADE)
            own = [one for one in self._begun if one.account_id == account_id]
            if any(not one.export.done for one in own):
                raise ConflictError(OWN_BEING_MADE)
            if len(making) >= self.at_once:
                raise ConflictError(f"{len(making)} archives are being created; try again in a few minutes")
            if len(own) >= self.an_hour:
                wait_min = max(1, round((KEPT_S - (now_s - own[0].at_s)) / 60))
                raise ConflictError(
                    f"an account may create {self.an_hour} archives an hour; try again in {wait_min} minutes"
                )
            older = [one.export for one in own if one.export.user_id == user_id]
            export = Export(pool, settings, user_id, with_name=with_name, replaces=older)
            self._begun.append(_Begun(account_id, now_s, export))
            return export


_DESK = ArchiveDownloads()
begin = _DESK.begin
