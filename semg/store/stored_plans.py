"""Plans of captures as they are stored: the bounds of every plan that is written, and reading them back."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from psycopg2.extras import Json

from semg.domain import CapturePlan, PlanStep
from semg.errors import InvalidValueError
from semg.store import checks

logger = logging.getLogger(__name__)

MAX_STEP_S = 3600.0
"""Of a labelled step, however it came about; a new plan's are shorter (``semg.capture.plan``)."""
MAX_TOTAL_S = 5 * 3600.0
"""Of a capture with its pauses, and with what is performed again after its end: a new plan has four hours at the most.
One that waits in a pause may be over later: pausing records nothing more, and a forgotten pause ends."""
MAX_STEPS = 8000
"""Of a plan with what was interrupted and performed again: the conductor reads it whole while it runs."""


def as_stored(plan: CapturePlan) -> Json:
    """Return a plan as a parameter for its column.

    Raises
    ------
    InvalidValueError
        A step or the whole is too long, or its times are not in order.
    """
    end_s = 0.0
    for step in plan.steps:
        if not (math.isfinite(step.end_s) and end_s <= step.start_s <= step.end_s):
            raise InvalidValueError("plan", "start another capture: the times of this plan are not in order")
        if step.gesture is not None and not step.dropped and step.end_s - step.start_s > MAX_STEP_S:
            raise InvalidValueError(
                "plan",
                f"perform each gesture for at most {MAX_STEP_S / 60:.0f} minutes "
                f"(now {(step.end_s - step.start_s) / 60:,.0f})",
            )
        end_s = step.end_s
    if plan.paused_s is None and end_s > MAX_TOTAL_S:
        raise InvalidValueError(
            "plan",
            f"end this capture early, and start another one: with its pauses it would last {end_s / 3600:,.1f} hours, "
            f"and a capture lasts at most {MAX_TOTAL_S / 3600:.0f}",
        )
    if len(plan.steps) > MAX_STEPS:
        raise InvalidValueError(
            "plan",
            f"end this capture early, and start another one: its plan would have {len(plan.steps):,} steps, and a plan "
            f"has at most {MAX_STEPS:,}",
        )
    return checks.as_json(asdict(plan))


def plan_of(session_id: int, stored: Any) -> CapturePlan | None:
    """Return a stored plan; None for one that cannot be read, which is logged once: the session can still be ended."""
    try:
        return CapturePlan(tuple(PlanStep(**step) for step in stored["steps"]), stored.get("paused_s"))
    except (TypeError, KeyError, AttributeError) as exc:
        _log_unreadable(session_id, repr(exc))
        return None


@lru_cache(maxsize=1000)
def _log_unreadable(session_id: int, why: str) -> None:
    logger.error("the plan of a session cannot be read: %s", why, extra={"session_id": session_id})
