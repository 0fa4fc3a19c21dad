"""Show how far an installation is: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from semg.platform.packages.pip_output import Phase, PipOutput

EVERY_S = 10.0
STEP = 0.05
"""Outside a terminal a line is written after so long, or after this share of the whole."""
AT_LEAST_S = 1.0
REDRAW_S = 0.2
_BAR = 24
_DOING: dict[Phase, str] = {
    "starting": "starting", "looking": "looking for", "downloading": "downloading", "building": "building",
    "installing": "unpacking",
}  # fmt: skip


class Progress:
    """The progress of one step of the installation.

    Parameters
    ----------
    label
        What is installed.
    about_mb
        What is downloaded in all, where that is known.
    """

    def __init__(
        self, label: str, about_mb: float | None, out: TextIO, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._label, self._about_mb, self._out, self._now = label, about_mb, out, now
        self._bar = out.isatty()
        self._began = self._shown_at = now()
        self._share = 0.0
        self._width = 0

    def update(self, at: PipOutput) -> None:
        """Show where pip is, unless that was shown just now."""
        share, since = self._share_of(at), self._now() - self._shown_at
        stepped = not self._bar and share - self._share >= STEP and since >= AT_LEAST_S
        if since < (REDRAW_S if self._bar else EVERY_S) and not stepped:
            return
        self._shown_at, self._share = self._now(), share
        if self._bar:
            self._draw(share, self.sentence(at))
        else:
            self._write(f"  {self.sentence(at)}\n")

    def say(self, sentence: str) -> None:
        """Write a sentence on a line of its own, above the bar."""
        self._clear()
        self._write(f"  {sentence}\n")

    def end(self, at: PipOutput) -> None:
        """Remove the bar and leave one line about what was installed."""
        self._clear()
        got_mb = at.got_bytes / 1e6
        fetched = f", {got_mb:.0f} MB" if got_mb >= 1 else ""
        named = f"{at.packages} packages" if at.packages != 1 else "1 package"
        self._write(f"  {self._label}: {named}{fetched} in {duration(self._now() - self._began)}.\n")

    def abandon(self) -> None:
        """Remove the bar."""
        self._clear()

    def sentence(self, at: PipOutput) -> str:
        """Return where pip is, in one line."""
        elapsed = duration(self._now() - self._began)
        packages = f"{at.packages} of {max(at.total, at.packages)} packages"
        if at.phase == "installing":
            return f"{self._label}: unpacking {packages}, {elapsed}"
        got_mb = at.got_bytes / 1e6
        of = f" of about {max(self._about_mb, got_mb):.0f}" if self._about_mb else ""
        fetched = f"{got_mb:.0f}{of} MB, " if of or got_mb >= 1 else ""
        doing = f"{_DOING[at.phase]} {at.name}".strip()
        return f"{self._label}: {fetched}{packages}, {doing}, {elapsed}"

    def _share_of(self, at: PipOutput) -> float:
        if at.phase == "installing":
            return 1.0
        if self._about_mb:
            return min(1.0, at.got_bytes / 1e6 / self._about_mb)
        return min(1.0, at.packages / max(1, at.total))

    def _draw(self, share: float, sentence: str) -> None:
        full = round(share * _BAR)
        line = f"  [{'█' * full}{'·' * (_BAR - full)}] {sentence}"[: shutil.get_terminal_size().columns - 1]
        self._write("\r" + line.ljust(self._width))
        self._width = len(line)

    def _clear(self) -> None:
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
        except UnicodeEncodeError:  # a terminal in the C locale
            self._out.write(text.replace("█", "#").replace("·", ".").encode("ascii", "replace").decode())
        self._out.flush()


def duration(seconds: float) -> str:
    """Return a duration as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} min"
