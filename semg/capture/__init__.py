"""Prompted captures.

``plan`` the timed prompts · ``schedule`` changes of a running plan · ``conducting`` storing performed repetitions ·
``again`` going on with an ended capture.
"""

from semg.capture.again import redo_ended, why_not_again
from semg.capture.conducting import (
    CaptureConductor,
    abort,
    conduct,
    is_paused,
    pause_capture,
    perform,
    performed_steps,
    plan_end,
    redo_last,
    resume_capture,
    seconds_of,
    step_interval,
)
from semg.capture.plan import calibration_plan, make_plan, quick_plan
from semg.capture.schedule import repeatable

__all__ = [
    "CaptureConductor",
    "abort",
    "calibration_plan",
    "conduct",
    "is_paused",
    "make_plan",
    "pause_capture",
    "perform",
    "performed_steps",
    "plan_end",
    "quick_plan",
    "redo_ended",
    "redo_last",
    "repeatable",
    "resume_capture",
    "seconds_of",
    "step_interval",
    "why_not_again",
]
