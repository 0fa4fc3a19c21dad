"""Read from pip's lines which package it is at, and how much of it is here.

pip 24.1 and later report a download's bytes (``--progress-bar raw``: ``Progress 262144 of 16918164``); earlier ones
only its size when it begins, and what has arrived is measured in the folder that they download to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

Phase = Literal["starting", "looking", "downloading", "building", "installing"]

RAW_SINCE = (24, 1)
"""The first pip with ``--progress-bar raw``."""
PYPI = "pypi.org"
PYPI_FILES = "files.pythonhosted.org"
"""pip shows no address for files that lie there."""

_NAMED = re.compile(r"^(?:Collecting|Processing|Requirement already satisfied:|Obtaining) +(\S+)")
_FILE = re.compile(r"^ *(Downloading|Using cached) (\S+)(?: \(([\d.]+) (bytes|kB|MB|GB)\))?")
_BYTES = re.compile(r"^Progress (\d+) of (\d+)")
_BUILDING = re.compile(
    r"^ *(?:Building|Preparing metadata|Installing build dependencies|Getting requirements to build)"
)
_UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def has_raw(version: str) -> bool:
    """Return whether a version of pip reports a download's bytes."""
    numbers = re.findall(r"\d+", version)[:2]
    return tuple(int(each) for each in numbers) >= RAW_SINCE


def host_of(address: str) -> str:
    """Return the host of an address, with its port if one is named; empty for a file and a bare name."""
    parts = urlsplit(address)
    return "" if not parts.hostname else f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname


def _name(text: str) -> str:
    """Return the package's name from a requirement or from the name of a file."""
    return text.split("-")[0] if text.endswith((".whl", ".tar.gz")) else re.split(r"[=<>~!;\[]", text)[0]


@dataclass(slots=True)
class PipOutput:
    """How far pip is, from the lines that it has written.

    Attributes
    ----------
    packages
        How many it has begun with, of ``total``.
    name
        The package it is at.
    file
        The file that is being downloaded.
    phase
        What it does; ``installing`` unpacks all packages at the end.
    got_bytes
        What is here of everything so far, from the network or from pip's cache.
    """

    total: int
    packages: int = 0
    name: str = ""
    file: str = ""
    phase: Phase = "starting"
    indexes: list[str] = field(default_factory=lambda: [PYPI])
    _before: float = 0.0
    _now: float = 0.0
    _size: float = 0.0
    _file_host: str | None = None

    @property
    def got_bytes(self) -> float:
        """What is here of everything so far."""
        return self._before + self._now

    @property
    def hosts(self) -> list[str]:
        """The hosts that pip may be waiting for; none while it starts, builds or installs."""
        if self.phase == "downloading" and self._file_host:
            return [self._file_host]
        if self.phase != "looking":
            return []
        return [*self.indexes, *([PYPI_FILES] if PYPI in self.indexes else [])]

    def feed(self, line: str) -> None:
        """Take in one line of pip's output."""
        if found := _BYTES.match(line):
            self._now, self._size = float(found[1]), float(found[2])
        elif found := _NAMED.match(line):
            self._end_file()
            self.packages, self.phase = self.packages + 1, "looking"
            self.name = _name(found[1].rsplit("/", 1)[-1])
        elif found := _FILE.match(line):
            self._end_file()
            self._size = float(found[3]) * _UNITS[found[4]] if found[3] else 0.0
            if found[1] == "Downloading":
                self.phase, self.file = "downloading", unquote(found[2].rsplit("/", 1)[-1])
                self._file_host = host_of(found[2]) or PYPI_FILES
        elif line.startswith("Looking in indexes: "):
            hosts = [host_of(each.strip()) for each in line.partition(": ")[2].split(",")]
            self.indexes, self.phase = [host for host in hosts if host], "looking"
        elif line.startswith("Ignoring ") and "markers" in line:
            self.total -= 1
        elif line.startswith("Installing collected packages"):
            self._end_file()
            self.phase = "installing"
        elif _BUILDING.match(line):
            self._end_file()
            self.phase = "building"

    def measured(self, n_bytes: int) -> bool:
        """Take in what has arrived of the file that is being downloaded; return whether it is more than before."""
        if self.phase != "downloading" or n_bytes <= self._now:
            return False
        self._now = float(n_bytes)
        return True

    def _end_file(self) -> None:
        """Count the file before as here: pip goes on when it is."""
        self._before += max(self._size, self._now)
        self._now = self._size = 0.0
        self._file_host, self.file = None, ""
