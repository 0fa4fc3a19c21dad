"""The README's commands in a fresh terminal: any Python, any folder, nothing in the environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from semg.settings import PROJECT_DIR

OWN = PROJECT_DIR / ".venv" / "bin" / "python"
BARE = [
    str(path)
    for path in (Path("/usr/bin/python3"), Path(sys.base_prefix) / "bin" / "python3")
    if path.exists() and subprocess.run([path, "-c", "import numpy"], capture_output=True, check=False).returncode
][:1]


def entries() -> dict[str, str]:
    """The text of every file that is started by its name from the folders that README names; not the benchmarks."""
    folders = ("db", "ml_model", "testing", "udpserver")
    found = (path for folder in folders for path in sorted((PROJECT_DIR / folder).glob("*.py")))
    texts = {str(path.relative_to(PROJECT_DIR)): path.read_text(encoding="utf-8") for path in found}
    return {name: text for name, text in texts.items() if 'if __name__ == "__main__":' in text}


TOOLS = [name for name, text in entries().items() if "ArgumentParser" in text or "import fire" in text]


def test_every_entry_goes_on_with_the_projects_own_python() -> None:
    assert [name for name, text in entries().items() if "use_own_python()" not in text] == []
    assert {"testing/udpsim.py", "testing/listen.py", "ml_model/TrainMLJob.py", "db/view_dbs.py"} <= set(TOOLS)


@pytest.mark.slow
@pytest.mark.skipif(not BARE or not OWN.exists(), reason="needs a Python without packages, and .venv")
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("where", ["its folder", "elsewhere"])
def test_tool_runs_with_any_python(tool: str, where: str, tmp_path: Path) -> None:
    path = PROJECT_DIR / tool
    command = [path.name] if where == "its folder" else [str(path)]
    done = subprocess.run(
        [*BARE, *command, "--help"],
        cwd=path.parent if where == "its folder" else tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "import fire" in path.read_text(encoding="utf-8"):
        assert "SYNOPSIS" in done.stdout + done.stderr  # fire's own, on standard error
        assert "Traceback" not in done.stderr
    else:
        assert (done.stderr, "usage:" in done.stdout) == ("", True)


@pytest.mark.skipif(not BARE, reason="needs a Python without packages")
def test_without_an_installation_it_is_said_what_to_do(tmp_path: Path) -> None:
    for name in ("testing/udpsim.py", "semg/__init__.py", "semg/platform/__init__.py", "semg/platform/own_python.py"):
        copied = tmp_path / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes((PROJECT_DIR / name).read_bytes())
    done = subprocess.run(
        [*BARE, "udpsim.py"], cwd=tmp_path / "testing", env={"PATH": "/usr/bin"}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Run ./start_all.sh" in done.stderr
    assert "Traceback" not in done.stderr
