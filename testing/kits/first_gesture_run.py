"""The newcomer's journey of ``testing/first_gesture.py``, begun with the run of the tests: it mostly waits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from semg.settings import PROJECT_DIR

Collect = Callable[[], dict[str, Any]]
FIXTURE = "first_gesture"
PLAN_S, PATIENCE_S = 105, 700
"""Of the quick plan: with less of it, the moments between gesture and rest are too large a share for 90 %."""


@pytest.fixture(scope="session", autouse=True)
def begun_journey(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str] | None]:
    """Begin the journey at the start of a run that has its test; what is left of it ends with the run."""
    if not any(FIXTURE in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    pictures = tmp_path_factory.mktemp("first-gesture")
    command = [sys.executable, "first_gesture.py", "--plan-seconds", str(PLAN_S), "--pictures", str(pictures)]
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR / "testing", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.wait(60)


@pytest.fixture
def first_gesture(begun_journey: subprocess.Popen[str] | None) -> Collect:
    """Return a function that waits for the journey, and gives what it printed."""
    assert begun_journey is not None

    def collect() -> dict[str, Any]:
        said, why = begun_journey.communicate(timeout=PATIENCE_S)
        assert begun_journey.returncode == 0, f"{said}\n{why[-6000:]}"
        result: dict[str, Any] = json.loads(said.splitlines()[-1])
        return result

    return collect
