"""Writes the index of modules in docs/architecture.md: all modules by package, with their docstring's first line.

python testing/module_index.py             writes it anew
python testing/module_index.py --check     tells whether it is current, exit code 1 if not
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import ast
from collections import defaultdict
from collections.abc import Sequence

from semg.settings import PROJECT_DIR

DOCUMENT = PROJECT_DIR / "docs" / "architecture.md"
HEADING = "## Index of modules\n"
FOLDERS = ("semg", "udpserver", "ml_model", "streamlit_apps", "db", "testing/kits")


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".").replace("|", "\\|")


def index() -> str:
    """Return the index as Markdown: a heading for each package, a line for each module."""
    packages: dict[str, list[Path]] = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((PROJECT_DIR / folder).rglob("*.py")):
            packages[path.parent.relative_to(PROJECT_DIR).as_posix()].append(path)
    lines = [HEADING]
    for package in sorted(packages, key=lambda name: (FOLDERS.index(_top(name)), name)):
        said = first_line(PROJECT_DIR / package / "__init__.py") if "__init__.py" in _names(packages[package]) else ""
        lines.append(f"**`{package}/`**{': ' + said if said else ''}\n")
        lines += [f"- `{path.name}`: {first_line(path)}" for path in packages[package] if path.name != "__init__.py"]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def document() -> str:
    """Return the document with the index as it should be."""
    before = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)[0]
    return before + index()


def _top(package: str) -> str:
    return next(folder for folder in FOLDERS if package == folder or package.startswith(folder + "/"))


def _names(paths: Sequence[Path]) -> set[str]:
    return {path.name for path in paths}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the index, or tell whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    made = document()
    if options.check:
        is_current = made == DOCUMENT.read_text(encoding="utf-8")
        print("current" if is_current else "docs/architecture.md: run python testing/module_index.py")
        return 0 if is_current else 1
    DOCUMENT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
