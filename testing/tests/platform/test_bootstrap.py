"""The scripts and ``.venv``: with a copy of the scripts and requirements that need no network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from semg.platform import bootstrap
from semg.settings import PROJECT_DIR

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the scripts only, and requirements that are empty."""
    root = tmp_path / "checkout"
    (root / "semg" / "platform").mkdir(parents=True)
    for name in ("start_all.sh", "stop_all.sh", "semg/platform/bootstrap.py", "semg/platform/python.sh"):
        shutil.copy(PROJECT_DIR / name, root / name)
    for name in ("semg/__init__.py", "semg/platform/__init__.py"):
        shutil.copy(PROJECT_DIR / name, root / name)
    shutil.copytree(PROJECT_DIR / "semg/platform/packages", root / "semg/platform/packages")
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


def install(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "semg/platform/bootstrap.py")]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def shelf(tmp_path: Path):
    """Packages to install from, without a network: a function that makes one and gives the SHA-256 of its file."""
    folder = tmp_path / "shelf"
    folder.mkdir()

    def make(name: str, version: str, says: str = "first") -> str:
        path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            for member, text in {
                f"{name}.py": f"says = {says!r}\n",
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                f"{info}/RECORD": "",
            }.items():
                wheel.writestr(zipfile.ZipInfo(member), text)  # of 1980: equal content, equal hash
        return hashlib.sha256(path.read_bytes()).hexdigest()

    make.environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}
    return make


def says(checkout: Path, package: str) -> str:
    python = checkout / ".venv" / "bin" / "python"
    code = f"from importlib import metadata; import {package}; print({package}.says, metadata.version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


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


def test_file_that_is_not_the_locked_one_is_not_installed(checkout: Path, shelf) -> None:
    digest = shelf("tinypack", "1.0")
    (checkout / "requirements.txt").write_text("tinypack==1.0\n")
    (checkout / "requirements.lock").write_text(f"# made\ntinypack==1.0 \\\n    --hash=sha256:{digest}\n")
    shelf("tinypack", "1.0", "other code")
    refused = install(checkout, **shelf.environment)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "tinypack" in refused.stderr
    assert "is not the file that the lock names" in refused.stderr
    assert not list((checkout / ".venv" / "lib").rglob("tinypack*"))
    shelf("tinypack", "1.0")
    assert install(checkout, **shelf.environment).returncode == 0
    assert says(checkout, "tinypack") == "first 1.0"
    assert install(checkout).stdout == "", "done: no index is asked again"
    (checkout / "requirements.lock").write_text(
        f"tinypack==1.1 \\\n    --hash=sha256:{shelf('tinypack', '1.1', 'second')}\n"
    )
    assert "Installing" in install(checkout, **shelf.environment).stdout, "another lock is another installation"
    assert says(checkout, "tinypack") == "second 1.1"


def test_package_that_no_lock_names_is_not_installed(checkout: Path, shelf) -> None:
    shelf("tinypack", "1.0")
    (checkout / "requirements.txt").write_text("tinypack==1.0\n")
    (checkout / "requirements.lock").write_text("tinypack==1.0\n")
    assert install(checkout, **shelf.environment).returncode == 1
    assert not list((checkout / ".venv" / "lib").rglob("tinypack*"))


@pytest.mark.skipif(sys.platform != "linux", reason="torch has one build elsewhere")
def test_build_for_cpus_is_taken_where_there_is_one(checkout: Path, shelf) -> None:
    plain, small = shelf("torch", "9.0", "large"), shelf("torch", "9.0+cpu", "small")
    (checkout / "requirements.txt").write_text("torch==9.0\n")
    (checkout / "requirements.lock").write_text("# nothing else\n")
    (checkout / "requirements-torch.lock").write_text(f"torch==9.0 \\\n    --hash=sha256:{plain}\n")
    (checkout / "requirements-torch-cpu.lock").write_text(f"torch==9.0+cpu \\\n    --hash=sha256:{small}\n")
    assert install(checkout, **shelf.environment).returncode == 0
    assert says(checkout, "torch") == "small 9.0+cpu"
    shutil.rmtree(checkout / ".venv")
    shelf("torch", "9.0+cpu", "other code")
    assert install(checkout, **shelf.environment).returncode == 1
    assert not list((checkout / ".venv" / "lib").rglob("torch*"))
    (Path(shelf.environment["PIP_FIND_LINKS"]) / "torch-9.0+cpu-py3-none-any.whl").unlink()
    assert install(checkout, **shelf.environment).returncode == 0
    assert says(checkout, "torch") == "large 9.0"


def test_full_disk_is_told_from_a_missing_network(tmp_path: Path) -> None:
    log = tmp_path / "pip.log"
    log.write_text("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n")
    assert "the disk is full" in bootstrap._reason(log)
    log.write_text("WARNING: Retrying ... NewConnectionError('Network is unreachable')\nERROR: No matching\n")
    assert "network" in bootstrap._reason(log)
