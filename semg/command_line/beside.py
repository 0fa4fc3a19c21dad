"""What stands beside a session's samples in an export: what was recognised in its time, and its video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from semg.domain import Session, us_from_utc
from semg.formats import tab_separated
from semg.formats.registry import DECISIONS, VIDEO_TIMES
from semg.security.encrypted_files import Vault
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.store import archive, videos
from semg.store.pool import Pool
from semg.video.files import files_of

VIDEO = "video.mp4"
_COPY_BYTES = 1 << 20


def write_decisions(pool: Pool, session: Session, target: Path) -> tuple[Path, ...]:
    """Write what was recognised while a session was captured, times in µs as its samples have them; nothing if nothing.

    An imported session has none: its time is not the time at which anything was decided.
    """
    if session.origin == "import" or session.ended_at is None:
        return ()
    path = target.with_name(f"{target.name}{DECISIONS}")
    n = 0
    for found in archive.iterate_decisions(pool, session.user_id, session.started_at, session.ended_at):
        rows = (
            (str(us_from_utc(one.window_end_at)), str(us_from_utc(one.decided_at)), one.label or tab_separated.MISSING,
             f"{one.confidence:.6f}", str(one.model_version))
            for one in found
        )  # fmt: skip
        head = [("window_end_us", "decided_us", "label", "confidence", "model_version")] if not n else []
        with path.open("a" if n else "w", encoding="utf-8") as file:
            file.write(tab_separated.to_text([*head, *rows]))
        n += len(found)
    return (path,) if n else ()


def write_video(pool: Pool, settings: Settings, session: Session, target: Path) -> tuple[Path, ...]:
    """Write a session's video, decrypted, and the server's time of each frame; nothing where there is none.

    Raises
    ------
    EncryptedFileError
        A file was changed, or encrypted with a key that is not known.
    """
    with pool.transaction() as tx:
        video = videos.find_video(tx, session.session_id)
    if video is None or video.status != "ready":
        return ()
    files = files_of(settings.videos, session.session_id, Vault(ring_of(settings)))
    path, times_path = target.with_name(f"{target.name}{VIDEO}"), target.with_name(f"{target.name}{VIDEO_TIMES}")
    with files.open(files.video) as source, path.open("wb") as copy:
        while chunk := source.read(_COPY_BYTES):
            copy.write(chunk)
    with files.open(files.times) as times, times_path.open("w", encoding="utf-8") as table:
        table.write(tab_separated.to_text(_frames(np.frombuffer(times.read() or b"", "<i8").tolist())))
    return path, times_path


def _frames(times_us: list[int]) -> Iterator[tuple[str, str]]:
    yield "frame", "server_us"
    yield from ((str(number), str(at)) for number, at in enumerate(times_us))
