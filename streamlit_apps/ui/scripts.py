"""Join the ES modules of a component into one script: Streamlit's components take a single one."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w./]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|function) )", re.MULTILINE)


@cache
def joined(entry: Path) -> str:
    """Return a module with what it imports, each once, before those that import it.

    ``export default`` stays as it is: it is the component itself. All names of the modules share one scope, as the
    tests of the modules do (``testing/javascript/scripts.mjs`` joins likewise).
    """
    made: dict[Path, str] = {}
    _add(entry.resolve(), made)
    return "".join(made.values())


def styles(folder: Path, *names: str) -> str:
    """Return the style sheets of a folder as one."""
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)


def _add(module: Path, made: dict[Path, str]) -> None:
    text = module.read_text(encoding="utf-8")
    for name in _IMPORT.findall(text):
        imported = (module.parent / name).resolve()
        if imported not in made:
            _add(imported, made)
    made[module] = _EXPORT.sub("", _IMPORT.sub("", text))
