"""pyproject.toml: the same packages as the pinned requirements, and a wheel that holds semg whole and nothing else."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from lock import normalise, read
from packaging.requirements import Requirement
from packaging.version import Version

from semg.settings import PROJECT_DIR

PROJECT: dict[str, Any] = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUNTIME = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *(line for extra, lines in EXTRAS.items() if extra not in ("dev", "formats") for line in lines),
]


def tracked(folder: str) -> set[str]:
    """Return the files of a folder that git knows, or those that are there where git is not."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", folder],
        cwd=PROJECT_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        return {name for name in listed.stdout.splitlines() if (PROJECT_DIR / name).exists()}
    paths = (path for path in (PROJECT_DIR / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(PROJECT_DIR)) for path in paths}


@pytest.mark.parametrize(
    ("pinned", "bounded"),
    [("requirements.txt", RUNTIME), ("testing/requirements.txt", EXTRAS["dev"] + EXTRAS["formats"])],
)
def test_bounds_and_pins_name_the_same_packages_each_once(pinned: str, bounded: list[str]) -> None:
    pins = {pin.name: pin for pin in read((PROJECT_DIR / pinned).read_text(encoding="utf-8"))}
    bounds = [Requirement(line) for line in bounded]
    assert sorted(normalise(one.name) for one in bounds) == sorted(pins)
    outside = [str(one) for one in bounds if not one.specifier.contains(Version(pins[normalise(one.name)].version))]
    assert outside == []
    without_bound = [str(one) for one in bounds if not str(one.specifier).startswith(">=")]
    assert without_bound == []
    markers = {normalise(one.name): str(one.marker or "") for one in bounds}
    assert markers == {name: pin.marker.replace("'", '"') for name, pin in pins.items()}


def test_what_semg_imports_at_the_top_of_a_module_is_a_dependency() -> None:
    names = set()
    for path in (PROJECT_DIR / "semg").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).partition(".")[0])
    names -= {*sys.stdlib_module_names, "semg"}
    known = packages_distributions()
    needed = {normalise(known[name][0]) for name in names if name in known}
    given = {normalise(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}
    assert len(needed) > 15
    assert needed - given == set()


def test_console_command_leads_to_a_function() -> None:
    (target,) = PROJECT["project"]["scripts"].values()
    module, _, function = target.partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.slow
def test_wheel_holds_semg_whole_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = {*tracked("semg"), "pyproject.toml", "README.md", "LICENSE"}
    for name in (*files, "testing/conftest.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((PROJECT_DIR / name).read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
         "--wheel-dir", str(tmp_path), str(source)],
        env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("semg-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.partition("/")[0].endswith(".dist-info")}
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
    assert held == tracked("semg")
    assert {"semg/py.typed", "semg/platform/python.sh", "semg/settings.py"} <= held
    assert f"Version: {PROJECT['project']['version']}" in text
    assert "License-Expression: MIT" in text
