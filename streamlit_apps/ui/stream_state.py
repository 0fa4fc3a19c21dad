"""How a profile's stream is: the one judgement as every page shows it, and a button that mends the device's fields."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from semg import clock
from semg.commands.profile_changes import change_profile
from semg.domain import Profile
from semg.ingest import stream_reports
from semg.ingest.stream_health import Fix, StreamHealth
from semg.ingest.stream_verdict import signal_verdict, stream_verdict
from semg.signals.held_samples import HeldSamples
from semg.store import profiles
from semg.verdicts import level_of
from ui import acts, errors, simulated_arm, verdict
from ui.fragments import live_fragment
from ui.page import flash
from ui.runtime import App
from ui.text import md, plain


def word(health: StreamHealth) -> str:
    """Return the judgement in a few words behind its sign."""
    return f"{verdict.sign(level_of(health.level))} {health.word}"


def show_fix(app: App, profile: Profile, fix: Fix, key: str) -> None:
    """Show a button that sets the device's fields so that the stream fits, for who may change them."""
    if not app.may_work:
        return
    label = md("{label} for {name}", label=fix.label, name=profile.name)
    if st.button(label, key=acts.key(f"{key}-{fix.kind}", profile.user_id), icon=":material/build:"):
        with errors.attempt():
            with app.pool.transaction() as tx:
                app.require(tx, profile.user_id, "work")  # before the stored device is told
                stored = profiles.get_profile(tx, profile.user_id)
                device = replace(stored.device, **dict(fix.values))  # type: ignore[arg-type]
                change_profile(tx, app, profile.user_id, device)
            flash(md("{name}'s device settings were changed", name=profile.name))
            st.rerun()


@live_fragment(2.0)
def stream_state(app: App, user_id: int) -> None:
    """Show how a profile's stream is, renewed every two seconds, and what would mend it."""
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
        # Somebody may hold a gesture all the time: noise at rest says nothing then, a loose electrode does.
        state = stream_reports.look(tx, profile, clock.utc_now(), has_quiet=False)
    if state.health is None:
        st.info(plain(state.problem), icon=":material/sensors_off:")
        simulated_arm.offer(app, profile)
        return
    verdict.show(
        signal_verdict(state.health, state.channels, state.held) if state.channels else stream_verdict(state.health)
    )
    if state.health.fix is not None:
        show_fix(app, profile, state.health.fix, "fix-live")


def show_health(health: StreamHealth, held: HeldSamples | None = None) -> None:
    """Show a judgement as the verdict that it is, with its figures one click away; with what was sent again, if any."""
    is_held = held is not None and held.level != "good"
    verdict.show(signal_verdict(health, (), held) if is_held else stream_verdict(health))
