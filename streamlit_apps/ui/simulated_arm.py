"""The simulated arm on the pages: the button that starts one, and the panel that steers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semg.domain import REST, Gesture, Profile
from semg.security.keys import ring_of
from semg.simulation import arms
from semg.store import boards, services, simulated_arms
from semg.store.audit import record
from semg.store.running_captures import list_running
from semg.store.simulated_arms import SimulatedArm
from ui import acts, audit_view, errors
from ui.boards import lock_own
from ui.flashes import flash, warn
from ui.fragments import live_fragment
from ui.runtime import App
from ui.text import line, markup, md, plain

SERVICE = "simulator"
FOLLOWS, ATTACHED = "", -1
"""Choices of the panel that stand for None, which Streamlit takes for no choice."""
FIELD_PX = 210
"""Width of a field of the panel."""
SIMULATED = "simulated"
"""What stands beside whatever was recorded from a simulated arm."""


def show_mark(app: App, profile: Profile) -> None:
    """Show that what comes now is of a simulated arm, where one sends for the profile."""
    with app.pool.transaction() as tx:
        arm = simulated_arms.find_arm(tx, profile.user_id)
    # In a slot of its own, empty or not: what stands below keeps its place when the arm is stopped.
    with st.container():
        if arm is not None:
            st.html(
                markup(
                    '<div data-simulated="arm" style="display:inline-block;border:1px solid #5f4b8b;'
                    'border-radius:1rem;padding:.05rem .7rem;font-size:.86rem;color:#5f4b8b">Simulated arm</div> '
                    '<span style="font-size:.86rem;color:#51606c">No person’s muscles: what is recorded is marked as '
                    "simulated.</span>"
                )
            )


def offer(app: App, profile: Profile) -> None:
    """Show the button that lets a simulated arm send for a profile; while one does already, why nothing comes yet.

    Where a board is assigned to the profile, the button asks first. Nothing is shown to an account that may not work.
    """
    with app.pool.transaction() as tx:
        arm = simulated_arms.find_arm(tx, profile.user_id)
        names = [one.name for one in boards.list_boards(tx) if one.user_id == profile.user_id]
        runs = any(one.service == SERVICE for one in services.list_services(tx))
    if arm is not None:
        _show_starting(runs)
    elif app.may_work:
        _show_button(app, profile, names[0] if names else None)


def beside(app: App, user_id: int) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Return where a profile's signals and decisions stand, and where its arm is steered: seen at the same time."""
    with app.pool.transaction() as tx:
        is_used = simulated_arms.find_arm(tx, user_id) is not None
    with st.container(key="beside-arm"):
        if not is_used:
            return st.container(), st.container()
        view, panel = st.columns([1.9, 1], gap="medium")
        return view, panel


def steering(app: App, profile: Profile, bank: Sequence[Gesture], *, gestures_only: bool = False) -> None:
    """Show the panel that steers a profile's simulated arm, or its gestures only; nothing where there is none."""
    _panel(app, profile.user_id, profile, [one.name for one in bank], gestures_only)


def _show_starting(runs: bool) -> None:
    if runs:
        st.caption(":material/smart_toy: The simulated arm is starting; its signals come within seconds.")
    else:
        st.warning(
            "Start the service simulator with ./start_all.sh: a simulated arm is assigned, but nothing sends for it.",
            icon=":material/smart_toy:",
        )


def _show_button(app: App, profile: Profile, board_name: str | None) -> None:
    label = md("Use a simulated arm for {name}", name=profile.name)
    about = "No hardware needed: a virtual wearer sends signals, and performs what the plan prompts."
    if board_name is None:
        if st.button(label, key=acts.key("simulate", profile.user_id), icon=":material/smart_toy:", help=about):
            _start(app, profile)
        return
    with st.popover(label, icon=":material/smart_toy:", help=about):
        st.markdown(
            md(
                "**{board}** is assigned to {name}. It is set aside while the simulated arm is used, and assigned "
                "again when that stops.",
                board=board_name,
                name=profile.name,
            )
        )
        sure = md("Set {board} aside and use the simulated arm", board=board_name)
        if st.button(sure, key=acts.key("simulate-instead", profile.user_id), type="primary"):
            _start(app, profile)


@live_fragment(None)
def _panel(app: App, user_id: int, profile: Profile, names: Sequence[str], gestures_only: bool) -> None:
    with app.pool.transaction() as tx:
        arm = simulated_arms.find_arm(tx, user_id)
        if arm is not None and app.may_work:
            simulated_arms.touch_arm(tx, user_id)
    if arm is None:
        return
    with st.container(border=True, key=f"simulated-arm-{user_id}"):
        errors.show_early()
        head = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
        head.markdown(md(":material/smart_toy: **Simulated arm** of {name}", name=profile.name), width="content")
        if not app.may_work:
            st.caption("This account has read-only access: it can watch the arm, not steer it.")
            return
        label, key = "Stop the simulated arm", acts.key("stop-arm", user_id)
        if not gestures_only and head.button(label, key=key, icon=":material/stop:"):
            _stop(app, profile)
        _fields(app, profile, arm, names, gestures_only)


def _fields(app: App, profile: Profile, arm: SimulatedArm, names: Sequence[str], gestures_only: bool) -> None:
    user_id, now = arm.user_id, arm.steering
    with app.pool.transaction() as tx:
        is_recording = any(one.user_id == user_id for one in list_running(tx))

    def steer(field: str, nothing: object = None) -> dict[str, Any]:
        """Return a field's key, with what is stored put into it (another window may have changed it), and its act."""
        key, stored = f"arm-{field}-{user_id}", getattr(now, field)
        value = nothing if stored is None else stored
        if st.session_state.get(key) != value:  # what is put in again takes back what is being chosen in the browser
            st.session_state[key] = value
        return {"key": key, "on_change": _steer, "args": (app, user_id, field, nothing)}

    choices = [FOLLOWS, *(name for name in names if name != REST)]
    if now.gesture is not None and now.gesture not in choices:  # of a bank that was changed since
        choices.append(now.gesture)
    st.pills(
        "Gesture",
        choices,
        format_func=lambda one: "Follow the prompts, else rest" if one == FOLLOWS else plain(one),
        required=True,
        disabled=is_recording,
        **steer("gesture", FOLLOWS),
    )
    if is_recording:
        st.caption("A capture is running: the arm performs what it prompts, and nothing else.")
    if gestures_only:
        return
    # Beside the decision one below the other, on a tablet side by side: as many as fit in a row.
    with st.container(horizontal=True, gap="medium"):
        _slider(
            "Strength", 0.2, 2.0, 0.1, "%.1f ×", steer("strength"),
            "How firmly every gesture is held. Weak ones look like rest; the signals grow and shrink.",
        )  # fmt: skip
        _slider(
            "Packet loss", 0.0, 0.5, 0.01, "percent", steer("loss"),
            "Bad Wi-Fi: signals have gaps, and decisions come late or not at all.",
        )  # fmt: skip
        with st.container(width=FIELD_PX):
            channels = profile.device.channels
            st.selectbox(
                "Loose electrode",
                [ATTACHED, *range(len(channels))],
                format_func=lambda one: "none" if one == ATTACHED else line("{name}", name=channels[one]),
                help="Without skin contact a channel shows hum and noise only; with its wire off, a flat line.",
                **steer("loose_channel", ATTACHED),
            )
            st.toggle("Its wire is off", **steer("loose_flat"))
        _slider(
            "Rotation of the band", -2.0, 2.0, 0.25, "%.2f electrodes", steer("rotation"),
            "The band has turned since it was recorded: each muscle reaches other channels, gestures get mixed up.",
        )  # fmt: skip
        _slider(
            "Mains hum", 0.0, 1.0, 0.05, "percent", steer("hum"),
            "A bad ground: a steady wave of 50 or 60 Hz on all channels. The filter removes most of it.",
        )  # fmt: skip
        _slider(
            "Fatigue", 0.0, 1.0, 0.1, "percent", steer("fatigue"),
            "Gestures that are held for minutes become weaker, and recover at rest.",
        )  # fmt: skip
        _slider(
            "Mistaken trials", 0.0, 0.5, 0.01, "percent", steer("mistakes"),
            "In a capture, so many prompts are performed wrongly: another gesture, too weakly or too late.",
        )  # fmt: skip


def _slider(
    label: str, least: float, most: float, step: float, shown_as: str, steer: dict[str, Any], about: str
) -> None:
    with st.container(width=FIELD_PX):
        st.slider(plain(label), least, most, step=step, format=shown_as, help=plain(about), **steer)


def _steer(app: App, user_id: int, field: str, nothing: object) -> None:
    """Store what a field of the panel was changed to, ``nothing`` as None; before the page is drawn."""
    value: Any = st.session_state[f"arm-{field}-{user_id}"]
    value = None if nothing is not None and value == nothing else value
    with errors.attempt_early(), app.pool.transaction() as tx:
        app.require(tx, user_id, "work")
        arm = simulated_arms.find_arm(tx, user_id)
        # Streamlit also calls this for fields that are gone with the arm, and for values that are as they were.
        if arm is None or getattr(arm.steering, field) == value:
            return
        simulated_arms.update_steering(tx, user_id, replace(arm.steering, **{field: value}))
        record(tx, audit_view.actor(app), "arm.steered", user_id)


def _stop(app: App, profile: Profile) -> None:
    with errors.attempt():
        with app.pool.transaction() as tx:
            lock_own(app, tx, profile.user_id)
            stopped = arms.stop(tx, profile.user_id, audit_view.actor(app))
        if stopped is not None and stopped.withheld is not None:
            warn(
                md(
                    "{board} is assigned to nobody: its key was changed while it was set aside. On the page "
                    "Profiles, under Boards, make it a new key and assign it to {name} again.",
                    board=stopped.withheld.name,
                    name=profile.name,
                )
            )
        flash(md("The simulated arm of {name} was stopped", name=profile.name))
        st.rerun()


def _start(app: App, profile: Profile) -> None:
    with errors.attempt():
        with app.pool.transaction() as tx:
            lock_own(app, tx, profile.user_id)
            limits = arms.Limits(app.settings.simulated_arms_max, app.settings.simulated_arms_each)
            arms.start(tx, ring_of(app.settings), profile.user_id, audit_view.actor(app), limits)
        flash(md("A simulated arm now sends for {name}", name=profile.name))
        st.rerun()
