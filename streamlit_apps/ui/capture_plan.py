"""The fields of a capture's plan."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from semg.capture import calibration_plan, make_plan, quick_plan
from semg.domain import REST, CapturePlan, Gesture
from semg.store.capture_settings import CaptureSettings
from ui import errors, runtime, times
from ui.text import md, shown

TRAINING, QUICK, CALIBRATION = "Training", "Quick", "Calibration"
_ABOUT = {
    TRAINING: "Every gesture several times, to train a classifier.",
    QUICK: "Two minutes for up to five gestures: enough for a first model, and to see how it works.",
    CALIBRATION: "Ten seconds of rest and each gesture once: about a minute, after the band has been put on again.",
}


def prefer_quick(user_id: int) -> None:
    """Let the next plan that is shown of a profile be the quick one."""
    st.session_state[_preferred(user_id)] = QUICK


def is_quick(user_id: int) -> bool:
    """Return whether the plan of a profile that is shown is the quick one."""
    return QUICK in (st.session_state.get(_preferred(user_id)), st.session_state.get(_kind(user_id)))


def plan_fields(
    bank: list[Gesture], n_sessions: int, user_id: int, remembered: CaptureSettings
) -> tuple[str, CapturePlan | None, CaptureSettings]:
    """Draw the fields of a plan; give the session's name, the plan (None while it makes no sense) and its numbers.

    Parameters
    ----------
    n_sessions
        Sessions that the profile has: the next name is offered.
    user_id
        The profile; what was typed or chosen for one is not another's.
    remembered
        The numbers of the profile's last capture, with which the fields begin.
    """
    # A running capture takes the fields off the page; the next plan begins with what the last one was.
    kept: CaptureSettings = st.session_state.get(_kept(user_id), remembered)
    kinds = [TRAINING, QUICK, CALIBRATION]
    preferred = st.session_state.pop(_preferred(user_id), None)
    if preferred is not None:
        st.session_state[_kind(user_id)] = preferred
    if st.session_state.get(_kind(user_id)) not in kinds:
        st.session_state[_kind(user_id)] = kept.kind if kept.kind in kinds else TRAINING
    kind_column, name_column = st.columns([1.25, 1], vertical_alignment="bottom")
    kind = kind_column.segmented_control("Plan", kinds, required=True, key=_kind(user_id)) or TRAINING
    prefix = "Calibration" if kind == CALIBRATION else "Session"
    name = name_column.text_input(
        "Session name", f"{prefix} {n_sessions + 1}", max_chars=200, key=f"name-{kind}-{n_sessions}-{user_id}"
    )
    st.caption(_ABOUT[kind])
    names = [one.name for one in bank if one.name != REST]
    chosen = st.multiselect(
        "Gestures",
        names,
        [name for name in names if name not in kept.left_out],
        format_func=shown,
        key=f"gestures-{user_id}",
    )
    kept = replace(kept, kind=kind, left_out=tuple(name for name in names if name not in chosen))
    if kind == TRAINING:
        kept = _training_fields(kept, user_id)
    elif kind == CALIBRATION:
        kept = _calibration_fields(kept, user_id)
    st.session_state[_kept(user_id)] = kept
    plan = None
    with errors.attempt():
        plan = _plan(kept, chosen, {one.name for one in bank if one.kind == "dynamic"})
        total = sum(1 for step in plan.steps if step.gesture not in (None, REST))
        st.caption(md("{n} repetitions, {length} in total.", n=total, length=times.length(plan.duration_s)))
    return name, plan, kept


def _kept(user_id: int) -> str:
    return f"plan-{user_id}"


def _preferred(user_id: int) -> str:
    return f"plan-preferred-{user_id}"


def _kind(user_id: int) -> str:
    return f"plan-kind-{user_id}"


def _plan(kept: CaptureSettings, chosen: list[str], once: set[str]) -> CapturePlan:
    if kept.kind == QUICK:
        return quick_plan(chosen, runtime.app().settings.quick_plan_s, once=once)
    if kept.kind == CALIBRATION:
        return calibration_plan(chosen, kept.calibration_s, once=once)
    return make_plan(
        chosen, kept.repetitions, kept.gesture_s, kept.rest_s, kept.prepare_s, kept.shuffled, kept.seed, once=once
    )


def _training_fields(kept: CaptureSettings, user_id: int) -> CaptureSettings:
    repetitions, gesture_s, rest_s, prepare_s = st.columns(4)
    n = repetitions.number_input("Repetitions of each", 1, 100, kept.repetitions, key=f"repetitions-{user_id}")
    perform_s = gesture_s.number_input(
        "Seconds per gesture", 1.0, 60.0, kept.gesture_s, 0.5, format="%g", key=f"gesture-s-{user_id}"
    )
    relax_s = rest_s.number_input("Seconds of rest", 1.0, 60.0, kept.rest_s, 0.5, format="%g", key=f"rest-s-{user_id}")
    ready_s = prepare_s.number_input(
        "Preparation (s)", 0.0, 60.0, kept.prepare_s, 1.0, format="%g", key=f"prepare-s-{user_id}"
    )
    order, seed = st.columns([3, 1])
    shuffled = order.radio(
        "Order",
        [True, False],
        index=0 if kept.shuffled else 1,
        format_func=lambda one: "Shuffled (recommended)" if one else "Blocked: one gesture after the other",
        horizontal=True,
        key=f"shuffled-{user_id}",
        help="Shuffling prevents fatigue and drift from being mistaken for a gesture.",
    )
    number = seed.number_input("Seed for the order", 0, 2**31 - 1, kept.seed, key=f"seed-{user_id}")
    return replace(
        kept,
        repetitions=int(n),
        gesture_s=perform_s,
        rest_s=relax_s,
        prepare_s=ready_s,
        shuffled=shuffled,
        seed=int(number),
    )


def _calibration_fields(kept: CaptureSettings, user_id: int) -> CaptureSettings:
    gesture_s, _ = st.columns([1, 3])
    perform_s = gesture_s.number_input(
        "Seconds per gesture", 1.0, 60.0, kept.calibration_s, 0.5, format="%g", key=f"calibration-s-{user_id}"
    )
    return replace(kept, calibration_s=perform_s)
