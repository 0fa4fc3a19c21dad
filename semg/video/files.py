"""Encrypted files of videos. Names are derived from session numbers alone, which are never reused."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

from semg.errors import EncryptedFileError
from semg.security.encrypted_files import EncryptedReader, EncryptedWriter, Vault, is_sealed

PART_SUFFIX, LOG_SUFFIX = ".mp4", ".log"
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFiles:
    """The files of one session's video.

    Attributes
    ----------
    video
        The finished MP4; its frames are as many 1/90,000 s after its first as they were on the server's clock.
    times
        Server time of each frame, int64 microseconds since the epoch, little-endian, in the order of the frames.
    parts
        Folder of the parts, one per connection to the webcam: an MP4 and its log each, until the video is finished.
    vault
        Encrypts and decrypts them.
    """

    video: Path
    times: Path
    parts: Path
    vault: Vault

    def part(self, number: int) -> tuple[Path, Path]:
        """Return the MP4 and the log of a part."""
        return self.parts / f"{number:04d}{PART_SUFFIX}", self.parts / f"{number:04d}{LOG_SUFFIX}"

    def create_part(self, number: int) -> tuple[EncryptedWriter, EncryptedWriter]:
        """Create the MP4 and the log of a part."""
        video, log = self.part(number)
        return self.create(video), self.create(log)

    def list_parts(self) -> list[tuple[Path, Path]]:
        """Return the parts that have both files, in the order in which they were begun."""
        videos = sorted(self.parts.glob(f"*{PART_SUFFIX}"))
        return [(video, log) for video in videos if (log := video.with_suffix(LOG_SUFFIX)).exists()]

    def next_number(self) -> int:
        """Return the number of the next part."""
        return 1 + max((int(path.stem) for path in self.parts.glob(f"*{PART_SUFFIX}")), default=0)

    def create(self, path: Path, final: Path | None = None) -> EncryptedWriter:
        """Create one of the files.

        Parameters
        ----------
        final
            Its name after completion.
        """
        return self.vault.create(path, self._purpose(final or path))

    def open(self, path: Path) -> EncryptedReader | RawIOBase:
        """Open one of the files for reading; one from before videos were encrypted is read unchanged.

        Raises
        ------
        SealError
            It was modified, or written with another SECRET_KEY.
        OSError
            It cannot be read.
        """
        return self.vault.open(path, self._purpose(path)) if is_sealed(path) else path.open("rb", buffering=0)

    def seal_old(self) -> bool:
        """Encrypt the unencrypted files of a finished video, and return whether there were any."""
        found = [path for path in (self.video, self.times) if path.exists() and not is_sealed(path)]
        for path in found:
            self._write_anew(path)
        return bool(found)

    def reseal(self) -> bool:
        """Re-encrypt the files of a finished video that have an old key, and return whether there were any.

        Raises
        ------
        SealError
            One of them cannot be read, or is truncated: it is not changed.
        OSError
            The disk is full, for instance.
        """
        found = [path for path in (self.video, self.times) if not self._is_current(path)]
        for path in found:
            self._write_anew(path)
        return bool(found)

    def is_current(self) -> bool:
        """Return whether all files, the parts included, are readable with the current key."""
        return all(self._is_current(path) for path in (self.video, self.times, *self.parts.glob("*")))

    def _is_current(self, path: Path) -> bool:
        try:
            return self.vault.is_current(path)
        except FileNotFoundError:  # erased, or joined, meanwhile
            return True

    def remove_parts(self) -> None:
        """Remove the parts, if any."""
        shutil.rmtree(self.parts, ignore_errors=True)

    def remove(self) -> None:
        """Remove all files, including unfinished ones."""
        self.remove_parts()
        for path in self.video.parent.glob(f"{self.video.stem}.*"):
            path.unlink(missing_ok=True)

    def _write_anew(self, path: Path) -> None:
        made = path.with_name(path.name + "-sealing")
        try:
            with self.open(path) as before, self.create(made, path) as encrypted:
                if isinstance(before, EncryptedReader) and not before.complete:
                    raise EncryptedFileError(f"{path.name} ends in the middle")
                shutil.copyfileobj(before, encrypted, _COPY_BYTES)
            os.replace(made, path)
        except BaseException:
            made.unlink(missing_ok=True)
            raise

    def _purpose(self, path: Path) -> str:
        return path.relative_to(self.video.parent).as_posix()


def files_of(folder: Path, session_id: int, vault: Vault) -> VideoFiles:
    """Return the files of a session's video below the folder of videos."""
    return VideoFiles(
        video=folder / f"{session_id}.mp4",
        times=folder / f"{session_id}.times",
        parts=folder / f"{session_id}.parts",
        vault=vault,
    )
