"""The whole platform, started as an operator does: demo, end-to-end figures on synthetic recordings, stop."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from semg.environment import child_environment
from semg.platform.installation import identity
from semg.platform.servers import embedded
from semg.process.threads import thread_limits
from semg.settings import PROJECT_DIR
from semg.signals.synthesis import SyntheticArm, make_plan
from testing.kits.recording_kit import write_recording

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
GESTURES = ("rest", "fist", "open_hand", "flexion", "extension")


@dataclass(frozen=True)
class Installation:
    """A private installation: own settings file, data, logs and ports."""

    env_file: Path
    data: Path
    ports: tuple[int, ...]

    def run(self, *command: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        environment = child_environment(
            SEMG_ENV_FILE=str(self.env_file), PYTHONPATH=str(PROJECT_DIR), **thread_limits(1)
        )
        return subprocess.run(
            [sys.executable, *command], cwd=PROJECT_DIR, env=environment, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        found = identity.find_installation(self.data)
        return [] if found is None else identity.processes(found)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    ports = tuple(embedded.free_port() for _ in range(4))
    udp = embedded.free_port(kind=2)
    names = ("API_PORT", "STREAMLIT_PORT", "POSTGRES_PORT", "NATS_PORT")
    lines = [f"{name}={port}" for name, port in zip(names, ports, strict=True)]
    lines += [f"UDP_PORT={udp}", "UDP_HOST=127.0.0.1", f"DATA_DIR={folder}/data", f"LOG_DIR={folder}/logs"]
    lines += ["JOURNAL_MAX_BYTES=268435456"]
    (folder / ".env").write_text("\n".join(lines) + "\n")
    made = Installation(folder / ".env", folder / "data", ports)
    try:
        yield made
    finally:
        made.run("-m", "semg.platform", "stop")
    assert made.processes() == []


@pytest.fixture(scope="module")
def started(installation: Installation) -> subprocess.CompletedProcess[str]:
    done = installation.run("-m", "semg.platform", "start", "--demo")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two training sessions and a short test session of one synthetic person."""
    folder = tmp_path_factory.mktemp("recordings")
    arm = SyntheticArm(seed=11, gestures=GESTURES)
    paths = []
    for index, repetitions in ((1, 4), (2, 4), (3, 1)):
        session = arm.session(index, make_plan(GESTURES, repetitions, 3.0))
        path = folder / f"person-{index}.csv.gz"
        write_recording(path, session.samples, session.device_ms, session.gestures.tolist(), session.repetitions)
        paths.append(path)
    return paths


def test_demo_tells_addresses_login_and_honest_accuracy(started) -> None:
    for expected in ("App ", "API ", "password ", "Balanced accuracy", "had not seen", "First gesture recognised live"):
        assert expected in started.stdout


def test_every_sample_is_stored_once_and_decisions_are_right(installation, started, recordings) -> None:
    first, second, third = map(str, recordings)
    done = installation.run("testing/end_to_end.py", "--train", f"{first},{second}", "--test", third)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    sent = figures["packets"]["sent"]
    assert sent == 3000
    assert figures["packets"] == {"sent": sent, "stored": sent, "duplicated": 0, "missing": 0, "altered": 0}
    assert figures["decisions"] == 1 + (sent - 20 - 50) // 10  # settled 100 ms, a window of 250 ms, then every 50 ms
    assert figures["unscored"] < figures["decisions"] / 2
    assert set(figures["per_gesture"]) == set(GESTURES)
    assert figures["balanced_accuracy"] > 0.6 > 2 * figures["chance"]
    assert figures["decision_latency_ms"]["p50"] > 0
    assert np.isfinite(figures["train_s"])
    assert figures["model_bytes"] <= 1 << 20


def test_second_start_changes_nothing(installation, started) -> None:
    before = {process.pid for process in installation.processes()}
    done = installation.run("-m", "semg.platform", "start")
    assert done.returncode == 0, done.stderr
    assert "password" not in done.stdout
    assert {process.pid for process in installation.processes()} == before


def test_stored_samples_are_recognised_by_the_running_api(installation, started) -> None:
    users = installation.run("testing/sampledataload.py", "--name", "nobody trained", "--sessions", "1")
    fresh = json.loads(users.stdout)
    refused = installation.run("testing/test_inference.py", "--user-id", str(fresh["userid"]))
    assert refused.returncode == 2
    assert "no active model" in refused.stderr
    done = installation.run("testing/test_inference.py", "--user-id", "21")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] > 0.8


def test_stop_leaves_no_process_and_no_port(installation, started) -> None:
    assert installation.processes() != []
    done = installation.run("-m", "semg.platform", "stop")
    assert done.returncode == 0, done.stderr
    assert installation.processes() == []
    assert all(embedded.port_is_free("127.0.0.1", port) for port in installation.ports)
    assert installation.run("-m", "semg.platform", "status").returncode == 3
