"""Skipped layers: listed at the end of a run, and under ``REQUIRE_ALL=1`` failures, those of ``_OPTIONAL`` excepted."""

from __future__ import annotations

import os
from typing import Any

import pytest

_OPTIONAL = ("recordings", "elsewhere")
"""Markers of what no run has to have."""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that had to be complete and is not."""
    if os.environ.get("REQUIRE_ALL") == "1" and session.exitstatus == 0 and _skipped(session.config, required=True):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name each reason for which something was skipped, once."""
    reasons: dict[str, int] = {}
    for report in _skipped(config, required=False):
        where_and_why = report.longrepr
        reason = str(where_and_why[2] if isinstance(where_and_why, tuple) else where_and_why)
        reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        terminalreporter.section("skipped layers")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} x {reason.removeprefix('Skipped: ')}")
    if os.environ.get("REQUIRE_ALL") == "1" and _skipped(config, required=True):
        terminalreporter.write_line("REQUIRE_ALL=1: a run with skipped tests fails.", red=True)


def _skipped(config: pytest.Config, *, required: bool) -> list[Any]:
    """Return the reports of skipped tests; with ``required`` without those of ``_OPTIONAL``."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = [] if reporter is None else reporter.stats.get("skipped", [])
    kept = [report for report in reports if not any(name in getattr(report, "keywords", ()) for name in _OPTIONAL)]
    return kept if required else reports
