"""docs/architecture.md names files and functions that are there, and its index of modules is current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from semg.settings import PROJECT_DIR
from testing import module_index

TEXT = module_index.DOCUMENT.read_text(encoding="utf-8")
PARTS = TEXT.partition(module_index.HEADING)[0]
ROOTS = ("", "semg", "streamlit_apps", "testing/tests", "semg/signals", "semg/ingest", "semg/ingest/text")
FILE = re.compile(r"`([\w./]+\.(?:py|js|h|sql|md))`")


def found(name: str) -> Path | None:
    """The file of a name, which may leave out the folder that the rest of its row names."""
    places = [PROJECT_DIR / root / name for root in ROOTS]
    places += PROJECT_DIR.glob(f"semg/**/{name}")
    places += PROJECT_DIR.glob(f"ml_model/**/{name}")
    places += PROJECT_DIR.glob(f"streamlit_apps/**/{name}")
    return next((path for path in places if path.is_file()), None)


def test_files_that_are_named_are_there() -> None:
    named = set(FILE.findall(PARTS))
    assert len(named) > 60
    assert [name for name in sorted(named) if found(name) is None] == []


@pytest.mark.parametrize("row", [line for line in PARTS.splitlines() if line.startswith("| ") and ".py`" in line])
def test_functions_of_a_row_stand_in_its_files(row: str) -> None:
    files = [path for name in FILE.findall(row) if (path := found(name)) is not None]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for name in re.findall(r"`([A-Za-z_][\w.]*)(?:\(\))?`", row):
        if name.endswith((".py", ".js", ".h", ".sql", ".md")) or name in ("COPY", "job_runner", "services", "profiles"):
            continue
        if name.startswith("semg.") or name.endswith("_responses"):
            continue
        last = name.rsplit(".", 1)[-1]
        assert re.search(rf"\b{last}\b", code), f"{last} is in none of {[path.name for path in files]}"


def test_index_of_modules_is_current() -> None:
    assert module_index.document() == TEXT, "run python testing/module_index.py"
