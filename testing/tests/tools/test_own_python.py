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
TOOLS = [
    "testing/udpsim.py", "testing/sampledataload.py", "testing/listen.py", "testing/simulate_arduinodata.py",
    "testing/test_inference.py", "testing/end_to_end.py", "db/view_dbs.py", "db/verify_audit.py",
]  # fmt: skip


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
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout


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
