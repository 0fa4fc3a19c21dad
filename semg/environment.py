"""Environment of processes, beside the settings: that of children, and values passed by the supervisor.

With ``semg.settings`` the only module that reads the environment.
"""

from __future__ import annotations

import os

from semg.settings import PROJECT_DIR


def is_in_environment(name: str) -> bool:
    """Return whether the environment itself, not ``.env``, holds a setting that is not empty."""
    return any(value for key, value in os.environ.items() if key.upper() == name.upper())


CLOCK_VARIABLE = "SEMG_CLOCK_OFFSET_NS"
"""Passes the platform's clock to a service, see ``semg.clock``; set by the supervisor."""


def clock_offset_ns() -> int | None:
    """Return the difference between UTC and the time since this machine's boot, as passed by the supervisor."""
    value = os.environ.get(CLOCK_VARIABLE, "")
    return int(value) if value.lstrip("-").isdigit() else None


def child_environment(**additions: str) -> dict[str, str]:
    """Return this process's environment with additions, for a child: it reads the same settings and the same code."""
    here = str(PROJECT_DIR)
    others = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder not in ("", here)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, *others]), **additions}
