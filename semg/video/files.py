"""Where the files of videos lie. Names come from session numbers alone, which are never used again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

PART_SUFFIX, LOG_SUFFIX = ".mp4", ".log"


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """The files of one session's video.

    Attributes
    ----------
    video
        The finished MP4; its frames are as many 1/90,000 s after its first as they were on the server's clock.
    times
        Server time of each frame, int64 microseconds since the epoch, little-endian, in the order of the frames.
    parts
        Folder of what one connection to the webcam gave: an MP4 and its log each, until the video is finished.
    """

    video: Path
    times: Path
    parts: Path

    def part(self, number: int) -> tuple[Path, Path]:
        """Give the MP4 and the log of a part."""
        return self.parts / f"{number:04d}{PART_SUFFIX}", self.parts / f"{number:04d}{LOG_SUFFIX}"

    def list_parts(self) -> list[tuple[Path, Path]]:
        """Give the parts that have both files, in the order in which they were begun."""
        videos = sorted(self.parts.glob(f"*{PART_SUFFIX}"))
        return [(video, log) for video in videos if (log := video.with_suffix(LOG_SUFFIX)).exists()]

    def next_number(self) -> int:
        """Give the number of the next part."""
        return 1 + max((int(path.stem) for path in self.parts.glob(f"*{PART_SUFFIX}")), default=0)

    def remove_parts(self) -> None:
        """Remove the parts; what is not there is no error."""
        shutil.rmtree(self.parts, ignore_errors=True)

    def remove(self) -> None:
        """Remove all of them."""
        self.remove_parts()
        for path in (self.video, self.times):
            path.unlink(missing_ok=True)


def files_of(folder: Path, session_id: int) -> VideoFiles:
    """Give the files of a session's video below the folder of videos."""
    return VideoFiles(folder / f"{session_id}.mp4", folder / f"{session_id}.times", folder / f"{session_id}.parts")
