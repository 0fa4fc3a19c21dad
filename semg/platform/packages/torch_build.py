"""Choose the build of PyTorch: the small one for CPUs where nothing is there that could use the large one."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Build = Literal["torch-cpu", "torch"]

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
ANSWER_S = 5.0
"""A connection and a pause of the CPU index may take this long; then the ordinary build is taken."""
MB = {"torch-cpu": 192, "torch": 2731}
"""Downloads on x86_64 Linux with CPython 3.11: the sizes of torch 2.13.0 and of what its lock adds to it."""
SOURCES = frozenset({"index-url", "extra-index-url", "find-links", "no-index", "constraint"})
"""pip's options that say where packages come from, or which ones may."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the choice depends on: ``sys.platform``, the processor, whether NVIDIA's driver is there."""

    system: str
    processor: str
    has_nvidia: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """The builds to try in order, the index to take the first from when pip is set up with none, and a sentence."""

    builds: tuple[Build, ...]
    index: str | None
    sentence: str


def this_machine(root: Path = Path("/")) -> Machine:
    """Return what this machine is; ``root`` is where its files are looked for."""
    found = (root / "proc/driver/nvidia").exists() or any((root / "dev").glob("nvidia*"))
    found = found or (root / "usr/lib/wsl/lib/libcuda.so.1").exists()  # Windows' driver, as WSL2 shows it
    return Machine(sys.platform, platform.machine(), found or shutil.which("nvidia-smi") is not None)


def choose(machine: Machine, own_sources: Sequence[str], answers: Callable[[], bool]) -> Choice:
    """Choose the build of PyTorch.

    Parameters
    ----------
    own_sources
        The options of ``SOURCES`` that pip is set up with; then no other index than theirs is asked.
    answers
        Asks the CPU index whether it has the locked build; called only if the answer matters.
    """
    if machine.system != "linux":
        return Choice(("torch",), None, "PyTorch: the ordinary build, the only one for this system.")
    large = f"about {MB['torch'] / 1000:.1f} GB with its CUDA libraries" if machine.processor == "x86_64" else "larger"
    small = f"about {MB['torch-cpu']} MB" if machine.processor == "x86_64" else "smaller"
    if own_sources:
        said = ", ".join(own_sources)
        return Choice(
            ("torch-cpu", "torch"), None,
            f"PyTorch: pip's own settings ({said}) say where packages come from; the CPU build ({small}) if it is "
            f"there, else the ordinary one ({large}).",
        )  # fmt: skip
    if machine.processor != "x86_64":
        return Choice(
            ("torch-cpu", "torch"), None,
            f"PyTorch: the CPU build if the package index has one for {machine.processor}, else the ordinary one.",
        )  # fmt: skip
    if machine.has_nvidia:
        return Choice(("torch",), None, f"PyTorch: the ordinary build ({large}), as NVIDIA's driver is installed.")
    host = CPU_INDEX.split("/")[2]
    if answers():
        return Choice(
            ("torch-cpu",), CPU_INDEX,
            f"PyTorch: the CPU build ({small}) from {host}, as there is no NVIDIA driver.",
        )  # fmt: skip
    return Choice(
        ("torch",), None,
        f"PyTorch: the ordinary build ({large}), as {host} does not answer or lacks the CPU build ({small}).",
    )  # fmt: skip


def own_sources(pip: Sequence[str]) -> tuple[str, ...]:
    """Return which options about sources pip is set up with, by its files or by the environment."""
    done = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    return sources_in(done.stdout)


def sources_in(config: str) -> tuple[str, ...]:
    """Return the options about sources that ``pip config list`` shows as set, each once."""
    named = re.findall(r"^[^=\s]*\.([\w-]+)=(?!['\"]{2}$)", config, re.MULTILINE)
    return tuple(dict.fromkeys(name for name in named if name in SOURCES))


def lists(pip: Sequence[str], index: str, requirement: str, answer_s: float = ANSWER_S) -> bool:
    """Return whether an index lists a version for this Python; pip asks, with its proxy and its certificates.

    Parameters
    ----------
    requirement
        As in a lock: ``torch==2.13.0+cpu``.
    answer_s
        Time-out of the connection and of every pause in the answer.
    """
    name, _, version = requirement.partition("==")
    timeout = str(max(1, round(answer_s)))
    asked = [*pip, "index", "versions", name, "--index-url", index, "--timeout", timeout, "--retries", "0"]
    try:
        done = subprocess.run(
            asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3 * answer_s + 5, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and version in re.split(r"[\s,()]+", done.stdout)


def locked(lock: str) -> str:
    """Return the requirement for torch in a lock's text, without marker and hashes."""
    found = re.search(r"^torch==[^\s;\\]+", lock, re.MULTILINE)
    if found is None:
        raise ValueError("the lock pins no torch")
    return found[0]
