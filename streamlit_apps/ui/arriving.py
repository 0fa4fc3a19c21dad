"""What arrives from a profile's device: waited for, shown in figures, and mended where it does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from semg import clock
from semg.domain import Profile
from semg.ingest import stream_reports
from semg.ingest.stream_health import StreamHealth
from semg.signals.held_samples import HeldSamples
from semg.store import profiles, services
from semg.store.pool import Transaction
from semg.wire.stream_status import ReceivedStatus
from semg.words import counted
from ui import sources
from ui.fragments import live_fragment
from ui.path_judgement import is_streaming
from ui.runtime import App
from ui.stream_state import show_fix, show_health
from ui.text import joined, markup, md, plain

_SHOWN = "connect-shown"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What udpserver reports of a profile and of senders that are nobody's.

    Attributes
    ----------
    received
        None while no datagram has named the profile, or one of its boards.
    senders
        All that send to this machine.
    mine
        The senders whose samples are, or would be, stored for the profile, the most recent first.
    problem
        Why nothing comes, as a sentence.
    held
        What the device sent again in the last seconds; None where nothing is stored.
    """

    health: StreamHealth
    received: ReceivedStatus | None
    senders: tuple[Mapping[str, Any], ...]
    mine: tuple[Mapping[str, Any], ...]
    problem: str
    held: HeldSamples | None = None


def look(tx: Transaction, profile: Profile, known: sources.Known, now: datetime) -> Arrival:
    """Return what arrives for a profile now."""
    statuses = services.list_services(tx)
    reported = stream_reports.reported(statuses, now)
    health = reported.health(profile, active_at=None)
    senders = tuple(stream_reports.sources_of(statuses))
    mine = tuple(one for one in senders if known.owner(one) == profile)
    is_silent = health.level == "silent"
    state = stream_reports.look(tx, profile, now, with_channels=not is_silent, has_quiet=False)
    problem = state.problem if is_silent else ""
    return Arrival(health, reported.received.get(profile.user_id), senders, mine, problem, state.held)


@live_fragment(1.5)
def show_arriving(app: App, user_id: int) -> None:
    """Show what arrives for a profile; runs the whole page when the stream begins, ends, or fits at last."""
    now = clock.utc_now()
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
        known = sources.read_known(app, tx)
        arrival = look(tx, profile, known, now)
    state = (user_id, arrival.health.level == "silent", is_streaming(arrival.health))
    before = st.session_state.setdefault(_SHOWN, state)
    if before != state:
        st.session_state[_SHOWN] = state
        st.rerun()
    if arrival.health.level == "silent":
        _show_waiting(app, profile, arrival)
    else:
        show_health(arrival.health, arrival.held)
        _show_figures(profile, arrival)
        if arrival.health.fix is not None:
            show_fix(app, profile, arrival.health.fix, "fix-connect")
    unknown = [one for one in arrival.senders if not known.is_hidden(one)]
    sources.show_unreadable([one for one in unknown if known.owner(one) in (None, profile)], known)
    if app.may_work:
        for one in sources.assignable(unknown, known):
            sources.assign(app, one, known, profile)


def _show_waiting(app: App, profile: Profile, arrival: Arrival) -> None:
    with st.container(border=True):
        st.markdown(
            md(
                ":material/hourglass_empty: **Waiting for {name}'s first packet** on UDP port {port} of this machine.",
                name=profile.name,
                port=app.settings.udp_port,
            )
        )
        st.caption(plain(arrival.problem))


def _show_figures(profile: Profile, arrival: Arrival) -> None:
    """Show what comes beside what the profile's device says."""
    device, received = profile.device, arrival.received or ReceivedStatus()
    first = arrival.mine[0] if arrival.mine else {}
    is_signed = first.get("board_id") is not None
    seconds = max(received.seconds, 1e-3)
    sent_hz = received.samples / seconds if received.samples else float(first.get("rate_hz", 0))
    span = "—" if received.low is None else f"{received.low:g} to {received.high:g}"
    clock_ms = received.clock_error_ms
    rows: Sequence[tuple[str, str, str]] = (
        ("From", str(first.get("address") or received.address or "—"), _called(first)),
        ("Format", "binary, signed (v2)" if is_signed else "text (v1)", "" if is_signed else "without a signature"),
        ("Rate", f"{sent_hz:.0f} samples/s", f"{device.rate_hz:g} set"),
        ("Channels", str(received.channels or first.get("channels", 0)), f"{device.n_channels} set"),
        ("Values", span, f"{device.adc_min:g} to {device.adc_max:g} set"),
        ("Clock", "not known yet" if clock_ms is None else f"± {clock_ms:.1f} ms", "against this machine's"),
    )
    st.html(
        markup(
            '<dl class="semg-arriving">{rows}</dl>',
            rows=joined(
                markup(
                    "<div><dt>{name}</dt><dd>{value}</dd><dd>{beside}</dd></div>", name=name, value=value, beside=said
                )
                for name, value, said in rows
            ),
        )
    )


def _called(source: Mapping[str, Any]) -> str:
    if source.get("board_id") is not None:
        return f"board {source['board_id']}"
    return "" if source.get("user_id") is None else f"number {source['user_id']}"


def lost_pins(profile: Profile, pins: int) -> str:
    """Return what a sketch with so many inputs does to a device with more channels; empty when they suffice."""
    n = profile.device.n_channels
    if n <= pins:
        return ""
    return f"A board has at most {pins} inputs, so it sends {pins} channels; {counted(n, 'channel')} are set."
