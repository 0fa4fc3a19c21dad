"""A process that may take so much memory gets an error of its own when it asks for more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from semg.process.memory import EXPENDABLE, machine_bytes

ASK = """
import numpy as np
import torch
from semg.process.memory import is_lack_of_memory, limit_own_memory
limit_own_memory(700 << 20)
for ask in (lambda: np.ones(1 << 30), lambda: torch.ones(1 << 30), lambda: bytearray(8 << 30)):
    try:
        ask()
    except Exception as exc:
        assert is_lack_of_memory(exc), exc
    else:
        raise SystemExit("8 GB were given")
print(open("/proc/self/oom_score_adj").read())
"""


@pytest.mark.slow
def test_more_is_refused_and_the_kernel_ends_it_first() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [str(EXPENDABLE)]


def test_the_machines_memory_is_known() -> None:
    assert machine_bytes() > 1 << 28
