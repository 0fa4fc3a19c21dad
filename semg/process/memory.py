"""The memory that a process may take: a limit of its own, and whom the kernel ends first."""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path

logger = logging.getLogger(__name__)
EXPENDABLE = 700
"""Added to a process's share of the memory, in thousandths, when the kernel chooses whom to end."""
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_TORCH_WORDS = ("can't allocate memory", "not enough memory")


def machine_bytes() -> int:
    """Return the memory of this machine, or of the container that the process is in."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        try:
            found = min(found, int(path.read_text()))
        except (OSError, ValueError):  # another version, or no limit
            continue
    return found


def limit_own_memory(most_bytes: int) -> None:
    """Refuse this process, and what it starts, more private memory than this: what asks for more gets MemoryError.

    The kernel ends such a process before any other when the machine has no memory left.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [one for one in (most_bytes, soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        Path("/proc/self/oom_score_adj").write_text(str(EXPENDABLE))
    except OSError as exc:  # not Linux, or not allowed
        logger.info("the kernel's choice is not changed: %s", exc)


def is_lack_of_memory(exc: BaseException) -> bool:
    """Return whether an error means that no memory was left, in Python or in PyTorch, which has no own type for it."""
    if isinstance(exc, MemoryError):
        return True
    return isinstance(exc, RuntimeError) and any(words in str(exc) for words in _TORCH_WORDS)
