"""Restart a command that was started with any Python with the one that the platform is installed into.

In a fresh terminal ``python`` is the system's, which has none of the packages; the commands of the README shall work
there. Nothing is imported here but what every Python has.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def use_own_python() -> None:
    """Restart the command with the Python in ``.venv`` when another one runs it; return when it is the right one.

    Where numpy is there, or there is no ``.venv``, the Python that runs is taken: it was chosen on purpose.
    """
    own = _ROOT / ".venv" / "bin" / "python"
    if Path(sys.prefix).resolve() == (_ROOT / ".venv").resolve() or _has_packages():
        return
    if not own.exists():
        sys.exit(
            f"{Path(sys.argv[0]).name}: the platform is not installed for {sys.executable}. Run ./start_all.sh in "
            f"{_ROOT} once; it installs into .venv."
        )
    os.execv(own, [str(own), *sys.argv])  # noqa: S606 - the same command line, without a shell


def _has_packages() -> bool:
    from importlib.util import find_spec

    return find_spec("numpy") is not None and find_spec("psycopg2") is not None
