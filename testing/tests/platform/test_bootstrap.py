"""The scripts and ``.venv``: with a copy of the scripts and requirements that need no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from semg.platform import bootstrap
from semg.settings import PROJECT_DIR


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the scripts only, and requirements that are empty."""
    root = tmp_path / "checkout"
    (root / "semg" / "platform").mkdir(parents=True)
    for name in ("start_all.sh", "stop_all.sh", "semg/platform/bootstrap.py", "semg/platform/python.sh"):
        shutil.copy(PROJECT_DIR / name, root / name)
    (root / "requirements.txt").write_text("# nothing\n")
    return root


def run(checkout: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def install(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "semg/platform/bootstrap.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_scripts_are_thin() -> None:
    for name in ("start_all.sh", "stop_all.sh"):
        assert len((PROJECT_DIR / name).read_text().splitlines()) <= 60


def test_machine_without_a_fitting_python_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    started = run(checkout, "start_all.sh", PATH=str(tools))
    assert started.returncode != 0
    assert started.stderr.count("\n") == 1
    assert "Python 3.11 or later with venv is needed: install it" in started.stderr
    assert not (checkout / ".venv").exists()


def test_stop_without_an_installation_is_fine(checkout: Path) -> None:
    stopped = run(checkout, "stop_all.sh")
    assert (stopped.returncode, stopped.stdout) == (0, "Nothing runs.\n")


def test_requirements_are_installed_once_and_again_when_they_change(checkout: Path) -> None:
    assert "Installing" in install(checkout).stdout
    assert (checkout / ".venv" / "bin" / "python").exists()
    assert install(checkout).stdout == ""
    (checkout / "requirements.txt").write_text("# something else\n")
    assert "Installing" in install(checkout).stdout
    assert install(checkout).stdout == ""


def test_environment_that_was_cut_short_is_completed(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/nonexistent/python")
    done = install(checkout)
    assert done.returncode == 0, done.stderr
    python = checkout / ".venv" / "bin" / "python"
    assert subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def test_package_that_cannot_be_had_gives_one_sentence_and_the_next_start_tries_again(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("--no-index\nsemg-package-that-is-not-there\n")
    done = install(checkout)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "requirements.txt cannot be installed" in done.stderr
    assert "network" in done.stderr
    assert install(checkout).returncode == 1


def test_full_disk_is_told_from_a_missing_network(tmp_path: Path) -> None:
    log = tmp_path / "pip.log"
    log.write_text("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n")
    assert "the disk is full" in bootstrap._reason(log)
    log.write_text("WARNING: Retrying ... NewConnectionError('Network is unreachable')\nERROR: No matching\n")
    assert "network" in bootstrap._reason(log)
