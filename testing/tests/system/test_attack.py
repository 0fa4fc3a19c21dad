"""``testing/attack.py`` against a system of its own, as it is started by hand: nothing stands open."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from semg.settings import PROJECT_DIR
from testing.attacks.chromium import CHROMIUM
from testing.attacks.runner import CLEAR, GROUPS
from testing.tests.conftest import skip_or_fail

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
IN_A_BROWSER = "browser"


def attack(*groups: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "testing/attack.py", "--only", ",".join(groups)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIR)}
    return subprocess.run(
        command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, timeout=580, check=False
    )


def test_nothing_stands_open() -> None:
    groups = [name for name in GROUPS if name != IN_A_BROWSER]
    done = attack(*groups)
    assert (done.returncode, "OPEN" in done.stdout) == (CLEAR, False), f"{done.stdout}\n{done.stderr}"
    assert [name for name in groups if f"[{name}]" not in done.stdout] == []
    assert "\nAll clear: " in done.stdout


@pytest.mark.browser
def test_nothing_stands_open_to_a_page_in_a_browser() -> None:
    if not os.access(CHROMIUM, os.X_OK):
        skip_or_fail(f"{CHROMIUM} is not there: apt-get install chromium")
    done = attack(IN_A_BROWSER)
    assert (done.returncode, "OPEN" in done.stdout) == (CLEAR, False), f"{done.stdout}\n{done.stderr}"
    assert "\nAll clear: " in done.stdout
