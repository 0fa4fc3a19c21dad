"""Files with unencrypted personal data: readable by this user only, and written atomically."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LEFT_S = 3600.0
"""No upload and no export takes so long: what is older was left by a process that was killed."""


def make_folder(folder: Path) -> None:
    """Create a folder that only this user may enter, and restrict an existing one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def write(path: Path, content: bytes) -> None:
    """Write a file atomically; until then its name ends in ``.partial``."""
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
    partial.rename(path)


def open_log(path: Path) -> BinaryIO:
    """Open a log for appending, unbuffered, that only its owner may read, whatever the umask and its earlier mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)
    if os.fstat(file.fileno()).st_mode & 0o077:
        os.fchmod(file.fileno(), 0o600)
    return file


def close_logs(folder: Path, names: Iterable[str]) -> None:
    """Close logs and their rotated copies that an earlier version left open to others; other files are left alone."""
    for name in names:
        for path in (folder / f"{name}.log", *folder.glob(f"{name}.log.*")):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o077:
                path.chmod(0o600)


def close_to_others(folder: Path) -> None:
    """Close a folder and the files in it that an earlier version left open to others."""
    if not folder.exists():
        return
    make_folder(folder)
    for path in folder.iterdir():
        if path.is_file() and path.stat().st_mode & 0o077:
            path.chmod(0o600)


@contextmanager
def scratch(data_dir: Path) -> Iterator[Path]:
    """Return an empty folder below ``DATA_DIR/tmp`` until the block ends."""
    make_folder(_scratch(data_dir))
    with tempfile.TemporaryDirectory(dir=_scratch(data_dir)) as name:
        yield Path(name)


def clear_scratch(data_dir: Path, older_than_s: float = 0.0) -> None:
    """Remove ``scratch`` folders left by killed processes."""
    if not _scratch(data_dir).exists():
        return
    for path in _scratch(data_dir).iterdir():
        if time.time() - path.stat().st_mtime >= older_than_s:
            shutil.rmtree(path)


def _scratch(data_dir: Path) -> Path:
    return data_dir / "tmp"
