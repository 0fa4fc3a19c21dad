"""Re-encrypt data of earlier keys with the current one, while everything runs.

A secret in the database is replaced only if it is still what was read; a video is replaced whole, under the lock that
its erasure waits for. A concurrent reader finds the one or the other, and has both keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from semg.errors import EncryptedFileError, SettingsError
from semg.privacy import archive_downloads, pseudonyms
from semg.security import board_keys as board_keys
from semg.security import field_encryption, totp
from semg.security.encrypted_files import Vault
from semg.security.keys import Secret, ring_of
from semg.settings import Settings
from semg.store import audit, boards, real_names, second_factors, videos
from semg.store.audit import Actor
from semg.store.pool import Pool, Transaction
from semg.video.files import files_of

ACTOR = Actor(service="reencrypt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reencrypted:
    """Counts of re-encrypted items, and sentences about what still needs another key."""

    boards: int
    names: int
    apps: int
    videos: int
    left: tuple[str, ...]


def reencrypt(pool: Pool, settings: Settings) -> Reencrypted:
    """Re-encrypt data of earlier keys with the current one, and record that in the audit log.

    Raises
    ------
    StoreError
        The database is away; what was done stays done.
    OSError
        A video cannot be written.
    """
    keys, left = ring_of(settings), list[str]()
    with pool.transaction() as tx:
        found = [(one.board_id, one.key_encrypted) for one in boards.list_boards(tx) if one.key_encrypted is not None]
        names = list(real_names.list_names(tx).items())
        apps = second_factors.list_totp(tx)
    n_boards = _each(pool, keys, found, board_keys.reencrypt_key, boards.replace_encrypted, left)
    n_names = _each(pool, keys, names, pseudonyms.reencrypt_name, real_names.replace_encrypted, left)
    n_apps = _each(pool, keys, apps, totp.reencrypt_secret, second_factors.replace_encrypted, left)
    n_videos = _videos(pool, settings, Vault(keys), left)
    n_archives = sum(not Vault(keys).is_current(path) for path in archive_downloads.list_exports(settings))
    if n_archives:
        left.append(f"{n_archives} archives of people's data: they go within an hour")
    if n_boards or n_names or n_apps or n_videos:
        with pool.transaction() as tx:
            audit.record(tx, ACTOR, "key.rotated", boards=n_boards, names=n_names, apps=n_apps, videos=n_videos)
    return Reencrypted(boards=n_boards, names=n_names, apps=n_apps, videos=n_videos, left=tuple(left))


def _each(
    pool: Pool,
    keys: Secret,
    found: list[tuple[int, bytes]],
    again: Callable[[Secret, int, bytes], bytes],
    replace: Callable[[Transaction, int, bytes, bytes], bool],
    left: list[str],
) -> int:
    """Re-encrypt secrets of the database, each in a separate transaction, and return their number."""
    n = 0
    for number, stored in found:
        if field_encryption.is_current(keys, stored):
            continue
        try:
            made = again(keys, number, stored)
        except SettingsError as exc:
            left.append(str(exc))
            continue
        with pool.transaction() as tx:  # what was changed or erased since it was read is of the current key, or gone
            n += replace(tx, number, stored, made)
    return n


def _videos(pool: Pool, settings: Settings, vault: Vault, left: list[str]) -> int:
    n = 0
    for session_id in _sessions(settings):
        files = files_of(settings.videos, session_id, vault)
        if files.is_current():
            continue
        try:
            with pool.transaction() as tx:
                n += videos.lock_ready(tx, session_id) and files.reseal()
        except EncryptedFileError as exc:
            left.append(f"video of session {session_id}: {exc}")
            continue
        if not files.is_current():
            left.append(f"video of session {session_id}: it is being recorded, finished or erased")
    return n


def _sessions(settings: Settings) -> Iterator[int]:
    """Iterate over the sessions that have files of a video."""
    found = {path.name.split(".")[0] for path in settings.videos.glob("*.*")}
    return (int(number) for number in sorted(found) if number.isdecimal())
