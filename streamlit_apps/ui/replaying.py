"""What would have fired: the shown part of a session through any stored version, beside its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from semg.domain import Model, Profile, Session, us_from_utc, utc_from_us
from semg.process.fair_turns import FairTurns
from semg.recordings.replaying import MOST_S, ReplayRequest, SessionReplay, replay_session
from semg.signals.model.gesture_events import PAUSE_US
from semg.signals.model.replay import PARTS, Part, Replayed
from semg.store import models
from semg.store.decisions import DecisionRun
from semg.words import counted
from ui import acts, audit_view, errors
from ui.decision_fields import MAX_VOTES
from ui.review_view import Shown
from ui.runtime import App
from ui.text import cells, line, md
from ui.turns import turn

_KEPT = "replay"
_PARTS: dict[Part, str] = {
    "all": "All together, as live",
    "closed form": "Closed-form classifier alone",
    "network": "Convolutional network alone",
    "dense": "Dense network alone",
}
assert tuple(_PARTS) == PARTS


@dataclass(frozen=True, slots=True)
class _Kept:
    """The last replay of a browser tab: of which session, of which time, and through what; ``found`` without rows."""

    session_id: int
    since_us: int
    until_us: int
    through: str
    n: int
    runs: tuple[DecisionRun, ...]
    found: SessionReplay


def replayed_runs(session: Session | None) -> tuple[DecisionRun, ...] | None:
    """Return the runs of equal decisions of the session's last replay, for the picture; None without one."""
    kept = st.session_state.get(_KEPT)
    if session is None or not isinstance(kept, _Kept) or kept.session_id != session.session_id:
        return None
    return kept.runs


def runs_of(decisions: Replayed, since_us: int) -> tuple[DecisionRun, ...]:
    """Return runs of consecutive equal decisions, as ``decisions.list_runs`` gives those that were stored."""
    runs: list[DecisionRun] = []
    for label, at_us in zip(decisions.labels, decisions.ends_us.tolist(), strict=True):
        last = runs[-1] if runs else None
        is_joined = last is not None and at_us - last.end_us < PAUSE_US
        if last is not None and is_joined and label == last.label:
            runs[-1] = DecisionRun(label, last.begin_us, at_us)
        else:
            runs.append(DecisionRun(label, last.end_us if last and is_joined else max(since_us, at_us - 50_000), at_us))
    return tuple(runs)


def show_replay(app: App, profile: Profile, session: Session, shown: Shown) -> None:
    """Show the form of a replay, and what the last one of this session found."""
    with app.pool.transaction() as tx:
        versions = models.list_models(tx, profile.user_id)
    with st.expander("What would have fired", expanded=replayed_runs(session) is not None):
        if not versions:
            st.caption("No version has been trained yet.")
            return
        st.caption(
            "Replays the part of the session that the picture shows as the live path would have: the same windows, "
            "the same votes. Nothing is stored, and no decision of then is changed."
        )
        _form(app, profile, session, shown, versions)
        kept = st.session_state.get(_KEPT)
        if isinstance(kept, _Kept) and kept.session_id == session.session_id:
            _result(kept)


@st.cache_resource(show_spinner=False)
def _turns() -> FairTurns:
    """Return what one replay holds at a time: each uses a core for ten seconds, or more."""
    return FairTurns(1)


def _form(app: App, profile: Profile, session: Session, shown: Shown, versions: Sequence[Model]) -> None:
    by_version = {model.version: model for model in versions}
    active = next((model.version for model in versions if model.active), versions[0].version)
    key = f"replay-{profile.user_id}"
    with st.form(f"{key}-form", border=False):
        first, second, third = st.columns([1.2, 1.4, 1], gap="medium", vertical_alignment="bottom")
        version = first.selectbox(
            "Version", list(by_version), list(by_version).index(active), key=f"{key}-version",
            format_func=lambda number: line("{n}{active}", n=number, active=" (active)" if number == active else ""),
        )  # fmt: skip
        part = second.selectbox("Classifier", PARTS, format_func=_PARTS.__getitem__, key=f"{key}-part")
        follows = third.toggle("Follow the stream", True, key=f"{key}-follows", help="As the classifier does live")
        votes, confidence, hysteresis = st.columns(3, gap="medium")
        current = profile.decision
        vote_n = votes.slider("Votes (windows)", 1, max(MAX_VOTES, current.vote_n), current.vote_n, key=f"{key}-votes")
        least = confidence.slider(
            "Minimum confidence (%)", 0, 100, round(100 * current.min_confidence), key=f"{key}-confidence"
        )
        more = hysteresis.slider("Hysteresis (%)", 0, 100, round(100 * current.hysteresis), key=f"{key}-hysteresis")
        pressed = st.form_submit_button(
            md("Replay {name}'s signals", name=profile.name), key=acts.key("replay", profile.user_id)
        )
    if not pressed:
        return
    request = ReplayRequest(
        session_id=session.session_id,
        since=max(shown.since, session.started_at),
        until=min(shown.until, session.ended_at or shown.until),
        version=version,
        part=part,
        vote_n=None if vote_n == current.vote_n else vote_n,
        min_confidence=None if least == round(100 * current.min_confidence) else least / 100,
        hysteresis=None if more == round(100 * current.hysteresis) else more / 100,
        follows=follows,
    )
    with errors.attempt(), st.spinner("Replaying …"), turn(app, _turns(), "replay", "Replay"):
        with app.pool.transaction() as tx:
            app.require(tx, profile.user_id, "see")
        audit_view.seen(app, "samples.seen", profile.user_id, session.session_id)
        found = replay_session(app.pool, request)
        through = f"version {version}, {_PARTS[part].lower()}{'' if follows else ', without following'}"
        since_us, until_us = us_from_utc(request.since), us_from_utc(request.until)
        runs, rows = runs_of(found.decisions, since_us), found.decisions
        few = replace(found, decisions=rows.between(0, 0))  # a tab keeps runs, not thousands of rows
        st.session_state[_KEPT] = _Kept(session.session_id, since_us, until_us, through, len(rows), runs, few)
        st.rerun()


def _result(kept: _Kept) -> None:
    found, counts, score = kept.found, kept.found.counts, kept.found.score
    length_s = (utc_from_us(kept.until_us) - utc_from_us(kept.since_us)).total_seconds()
    st.markdown(
        md(
            "**{n}** on {length:.0f} s through {through}: {votes}, minimum confidence {least:.0f} %, hysteresis "
            "{more:.0f} %.",
            n=counted(kept.n, "decision"),
            length=length_s,
            through=kept.through,
            votes=counted(found.decision.vote_n, "vote"),
            least=100 * found.decision.min_confidence,
            more=100 * found.decision.hysteresis,
        )
    )
    compared = counts.agreeing + counts.other + counts.rejected
    share = max(1, compared)
    per_hour, latency = score.false_per_hour, score.median_latency_ms
    rows = [
        ("Agreeing", f"{counts.agreeing:,} ({counts.agreeing / share:.1%})", "decided as labelled"),
        ("Another gesture", f"{counts.other:,} ({counts.other / share:.1%})", "decided as something else"),
        ("Rejected", f"{counts.rejected:,} ({counts.rejected / share:.1%})", "too unsure to be decided"),
        ("Not compared", f"{counts.between:,}", "across an edge of a label, or on nothing labelled"),
        (
            "False on rest per hour",
            "—" if per_hour is None else f"{per_hour:.0f} ({score.false_on_rest} in {score.rest_s:.0f} s)",
            "gestures that were pressed on rest, by the event times of this profile",
        ),
        ("Missed gestures", f"{score.missed} of {score.prompts}", "labelled, and not pressed"),
        ("Latency", "—" if latency is None else f"{latency:.0f} ms", "median, from a label's begin"),
    ]
    st.dataframe(
        cells({"Figure": name, "Value": value, "Meaning": meaning} for name, value, meaning in rows),
        hide_index=True,
        width="stretch",
    )
    if not found.from_start:
        st.caption(
            md(
                "The replay began {minutes:.0f} minutes before the end of this part, not with the session: live, the "
                "classifier had followed it for longer.",
                minutes=MOST_S / 60,
            )
        )
