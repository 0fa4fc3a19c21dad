"""The fields of a capture's plan."""

from __future__ import annotations

from typing import Any

import streamlit as st

from semg.capture import calibration_plan, make_plan, quick_plan
from semg.domain import REST, CapturePlan, Gesture
from ui import errors, runtime, times
from ui.text import md, shown

TRAINING, QUICK, CALIBRATION = "Training", "Quick", "Calibration"
_KEPT, _KIND = "plan", "plan-kind"
_ABOUT = {
    TRAINING: "Every gesture several times, to train a classifier.",
    QUICK: "Two minutes for up to five gestures: enough for a first model, and to see how it works.",
    CALIBRATION: "Ten seconds of rest and each gesture once: about a minute, after the band has been put on again.",
}


def prefer_quick() -> None:
    """Let the next plan that is shown be the quick one."""
    st.session_state.setdefault(_KEPT, {})["kind"] = QUICK
    st.session_state[_KIND] = QUICK


def is_quick() -> bool:
    """Return whether the plan that is shown is the quick one."""
    return st.session_state.get(_KEPT, {}).get("kind") == QUICK


def plan_fields(bank: list[Gesture], n_sessions: int, user_id: int) -> tuple[str, CapturePlan | None]:
    """Draw the fields of a plan; give the session's name and the plan, None while it makes no sense.

    Parameters
    ----------
    n_sessions
        Sessions that the profile has: the next name is offered.
    user_id
        The profile; a name that was typed for one is not another's.
    """
    # A running capture takes the fields off the page; the next plan begins with what the last one was.
    kept: dict[str, Any] = st.session_state.setdefault(_KEPT, {"kind": TRAINING})
    kinds = [TRAINING, QUICK, CALIBRATION]
    kind_column, name_column = st.columns([1.25, 1], vertical_alignment="bottom")
    kind = kind_column.segmented_control("Plan", kinds, default=kept["kind"], required=True, key=_KIND)
    kept["kind"] = kind
    prefix = "Calibration" if kind == CALIBRATION else "Session"
    name = name_column.text_input(
        "Session name", f"{prefix} {n_sessions + 1}", max_chars=200, key=f"name-{kind}-{n_sessions}-{user_id}"
    )
    st.caption(_ABOUT[kind])
    names = [one.name for one in bank if one.name != REST]
    left_out = [name for name in names if name in kept.get("left_out", [])]
    chosen = st.multiselect(
        "Gestures", names, [name for name in names if name not in left_out], format_func=shown, key="gestures"
    )
    kept["left_out"] = [name for name in names if name not in chosen]
    plan = None
    with errors.attempt():
        if kind == QUICK:
            plan = quick_plan(chosen, runtime.app().settings.quick_plan_s)
        else:
            plan = _training(kept, chosen) if kind == TRAINING else _calibration(kept, chosen)
        total = sum(1 for step in plan.steps if step.gesture not in (None, REST))
        st.caption(md("{n} repetitions, {length} in total.", n=total, length=times.length(plan.duration_s)))
    return name, plan


def _training(kept: dict[str, Any], chosen: list[str]) -> CapturePlan:
    repetitions, gesture_s, rest_s, prepare_s = st.columns(4)
    n = repetitions.number_input("Repetitions of each", 1, 100, kept.get("n", 6), key="repetitions")
    perform_s = gesture_s.number_input(
        "Seconds per gesture", 1.0, 60.0, kept.get("gesture_s", 4.0), 0.5, format="%g", key="gesture-s"
    )
    relax_s = rest_s.number_input("Seconds of rest", 1.0, 60.0, kept.get("rest_s", 3.0), 0.5, format="%g", key="rest-s")
    ready_s = prepare_s.number_input(
        "Preparation (s)", 0.0, 60.0, kept.get("prepare_s", 5.0), 1.0, format="%g", key="prepare-s"
    )
    order, seed = st.columns([3, 1])
    shuffled = order.radio(
        "Order",
        [True, False],
        index=0 if kept.get("shuffled", True) else 1,
        format_func=lambda one: "Shuffled (recommended)" if one else "Blocked: one gesture after the other",
        horizontal=True,
        key="shuffled",
        help="Shuffling prevents fatigue and drift from being mistaken for a gesture.",
    )
    number = seed.number_input("Seed for the order", 0, 2**31 - 1, kept.get("seed", 0), key="seed")
    kept |= {"n": n, "gesture_s": perform_s, "rest_s": relax_s, "prepare_s": ready_s}
    kept |= {"shuffled": shuffled, "seed": number}
    return make_plan(chosen, int(n), perform_s, relax_s, ready_s, shuffled, int(number))


def _calibration(kept: dict[str, Any], chosen: list[str]) -> CapturePlan:
    gesture_s, _ = st.columns([1, 3])
    perform_s = gesture_s.number_input(
        "Seconds per gesture", 1.0, 60.0, kept.get("calibration_s", 4.0), 0.5, format="%g", key="calibration-s"
    )
    kept["calibration_s"] = perform_s
    return calibration_plan(chosen, perform_s)
