"""Services, rates and senders as the overview shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from semg.ingest import stream_reports
from semg.store.services import ServiceStatus
from ui import palette, times
from ui.text import markup, md

EXPECTED = {
    "udpserver": "Receiving",
    "api": "Prediction",
    "nat_inference": "Live recognition",
    "job_runner": "Training, captures",
    "simulator": "Simulated arms",
}
_COUNTERS = (("udpserver", "accepted"), ("udpserver", "missing"), ("nat_inference", "decisions"))


def state_of(statuses: Sequence[ServiceStatus], service: str, now: datetime) -> tuple[str, str]:
    """Return ``ready``, ``late`` or ``missing`` and a sentence about the service's youngest sign of life."""
    mine = [status for status in statuses if status.service == service]
    if not mine:
        return "missing", "never seen"
    newest = max(mine, key=lambda status: status.seen_at)
    age_s = (now - newest.seen_at).total_seconds()
    if age_s > stream_reports.SERVICE_MISSING_S:
        return "missing", f"last seen {times.ago(newest.seen_at, now)}"
    if age_s > stream_reports.SERVICE_LATE_S:
        return "late", f"last heartbeat {times.ago(newest.seen_at, now)}"
    running = sum(1 for status in mine if (now - status.seen_at).total_seconds() <= stream_reports.SERVICE_LATE_S)
    several = f", {running} instances" if running > 1 else ""
    return "ready", f"running for {times.length((now - newest.started_at).total_seconds())}{several}"


def show_services(statuses: Sequence[ServiceStatus], now: datetime) -> None:
    """Show each service's state: colour, sign and word say the same."""
    levels = {"ready": "good", "late": "fair", "missing": "bad"}
    for column, (service, title) in zip(st.columns(len(EXPECTED)), EXPECTED.items(), strict=True):
        state, text = state_of(statuses, service, now)
        colour, sign = palette.LEVEL_COLOURS[levels[state]], palette.LEVEL_SIGNS[levels[state]]
        with column.container(border=True):
            st.html(
                markup(
                    '<div style="font-size:.86rem;color:#51606c" title="service {service}">{title}</div>'
                    '<div style="font-size:1.15rem;font-weight:600;color:{colour}">{sign} {state}</div>'
                    '<div style="font-size:.82rem;color:#51606c">{text}</div>',
                    service=service,
                    title=title,
                    colour=colour,
                    sign=sign,
                    state=state,
                    text=text,
                )
            )
    if any(state_of(statuses, service, now)[0] == "missing" for service in EXPECTED):
        st.caption(
            "Start a missing service with `./start_all.sh`; `./start_all.sh --status` and `logs/` have the details."
        )


def rates(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the growth per second of counters between two readings; None when they tell nothing.

    Parameters
    ----------
    before, after
        ``{"at": {service: epoch seconds}, "service.counter": value}``.
    """
    found: dict[str, float] = {}
    for service, counter in _COUNTERS:
        key = f"{service}.{counter}"
        seconds = after["at"].get(service, 0) - before["at"].get(service, 0)
        if key in before and key in after and seconds > 0:
            # A restarted service counts from zero again.
            found[key] = max(0.0, after[key] - before[key]) / seconds
    return found or None


def reading(statuses: Sequence[ServiceStatus]) -> dict[str, Any]:
    """Return the counters of all instances with the moment of the reading."""
    made: dict[str, Any] = {"at": {}}
    for service, counter in _COUNTERS:
        mine = [status for status in statuses if status.service == service and counter in status.metrics]
        if mine:
            made["at"][service] = max(status.seen_at for status in mine).timestamp()
            made[f"{service}.{counter}"] = sum(status.metrics[counter] for status in mine)
    return made


def show_rates(statuses: Sequence[ServiceStatus]) -> None:
    """Show how much comes in, is lost and is decided, since the last look."""
    now = reading(statuses)
    before = st.session_state.get("rates-before")
    if before is None or before["at"] != now["at"]:
        st.session_state["rates-before"] = now
        st.session_state["rates"] = rates(before, now) if before else None
    found: dict[str, float] = st.session_state.get("rates") or {}
    accepted, missing = found.get("udpserver.accepted"), found.get("udpserver.missing")
    decided = found.get("nat_inference.decisions")
    loss = None if accepted is None or missing is None else missing / max(1.0, accepted + missing)
    received, lost, decisions = st.columns(3)
    received.metric("Samples per second", "—" if accepted is None else md("{n:,.0f}", n=accepted), border=True)
    lost.metric("Lost in transit", "—" if loss is None else md("{n:.2f} %", n=100 * loss), border=True,
                help="Share of samples in the last few seconds that a device sent but that never arrived.")  # fmt: skip
    decisions.metric("Decisions per second", "—" if decided is None else md("{n:,.0f}", n=decided), border=True)
