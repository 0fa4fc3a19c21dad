"""Each command of the benchmarks still runs, in a small size: what it prints is checked for loss, never for speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from semg.settings import PROJECT_DIR

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def benchmark(tmp_path: Path, name: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark with servers of its own, and give what it wrote."""
    out = tmp_path / "figures.json"
    command = [sys.executable, str(PROJECT_DIR / "testing" / "benchmarks" / name), *arguments, "--out", str(out)]
    made = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})  # noqa: S603
    assert made.returncode == 0, made.stderr[-3000:]
    return dict(json.loads(out.read_text()))


@pytest.mark.parametrize(("kind", "per_s"), [("text", "1000"), ("binary", "10000")])
def test_ingest_runs_several_times_and_loses_nothing(tmp_path: Path, kind: str, per_s: str) -> None:
    small = ("--profiles", "5", "--per-s", per_s, "--seconds", "1", "--runs", "2")
    found = benchmark(tmp_path, "ingest.py", "--kind", kind, *small)
    assert len(found["runs"]) == 2
    for run in found["runs"]:
        assert {name: run[name] for name in ("lost", "duplicated", "wrong")} == dict.fromkeys(
            ("lost", "duplicated", "wrong"), 0
        )
    assert found["receive_limit"]["received_per_s"] > 0


def test_live_path_hears_a_decision_for_each_window_beside_a_flood(tmp_path: Path) -> None:
    small = ("--wearers", "3", "--rate-hz", "100", "--hop-ms", "100", "--seconds", "2", "--runs", "1")
    (run,) = benchmark(tmp_path, "live_path.py", *small, "--flood", "500")["runs"]
    assert run["decisions"] > 0
    assert (run["lost"], run["duplicated"], run["decisions_duplicated"]) == (0, 0, 0)
    assert run["flood"]["sent"] > 0


def test_several_of_every_service_lose_nothing_of_the_devices_that_stay(tmp_path: Path) -> None:
    found = benchmark(tmp_path, "scaling.py", "--wearers", "6", "--rate-hz", "50", "--phase-s", "5")
    assert found["lost_of_devices_that_stayed"] == 0
    assert found["decisions"] > 0
