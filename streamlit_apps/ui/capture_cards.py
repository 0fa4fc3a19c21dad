"""A card for each repetition of a capture that has ended: its envelope, what looks odd, *Leave out* and *Redo*."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from semg import clock
from semg.capture import redo_ended, why_not_again
from semg.commands.label_changes import LabelChange, change_labels
from semg.domain import REST, ConditioningSpec, Profile, Repetition, Session
from semg.errors import TrainingError
from semg.recordings.session_data import load_repetition
from semg.signals.odd_repetitions import Oddity, Performance, find_odd, perform, thumbnail
from semg.store.audit import record
from semg.words import counted
from ui import acts, audit_view, errors, palette, times
from ui.capture_running import CAPTURED
from ui.page import flash
from ui.repetitions import DEFAULT_REASON
from ui.runtime import App
from ui.text import Markup, markup, md, plain

CARD_PX = 188
FIRST = 6
"""So many cards of repetitions that look right are shown at first; those that look odd are all shown."""
_SHAPES = "captured-shapes"
_STORED_AFTER = timedelta(seconds=30)
"""What of a repetition is not stored by then will not be: it was lost."""
_WHOLE = 0.9
_LONGEST = timedelta(seconds=60)
"""So much of a repetition is compared, from its start: as long as a plan's may be."""
MOST_VALUES = 24_000_000
"""So many values of samples are compared, 96 MB, in time order: 50 min of 8 channels at 1,000 Hz."""
_WIDTH, _HEIGHT = 190, 54


@dataclass(frozen=True, slots=True)
class Shapes:
    """Of one session's performances, by number: what is odd, and the envelope, in parts of the session's strongest.

    ``unread``: those beyond ``MOST_VALUES``.
    """

    odd: Mapping[int, Oddity]
    envelopes: Mapping[int, NDArray[np.float64]]
    unread: frozenset[int] = frozenset()


def show_cards(
    app: App, profile: Profile, session: Session, written: Sequence[Repetition], gesture_names: Sequence[str]
) -> None:
    """Show the performed repetitions of an ended capture, those that look odd first."""
    performed = [one for one in written if one.gesture != REST]
    if not performed:
        return
    audit_view.seen(app, "samples.seen", profile.user_id, session.session_id)
    shapes = _shapes(app, session, written)
    odd = [one for one in performed if one.repetition_id in shapes.odd and not one.excluded]
    others = [one for one in performed if one not in odd]
    if odd:
        st.markdown(
            md(
                ":material/help: **{n} of {all}**: does this look right?",
                n=counted(len(odd), "repetition"),
                all=len(performed),
            )
        )
    else:
        st.caption("No repetition looks odd: none is much weaker or later than the others, or unlike them.")
    everything = len(others) <= FIRST or st.toggle(
        md("Show all {n} repetitions", n=len(performed)), key=f"all-cards-{session.session_id}"
    )
    drawn = odd + (others if everything else [] if odd else others[:FIRST])
    now = clock.utc_now()
    with app.pool.transaction() as tx:
        refused = why_not_again(tx, session, now)
    colours = palette.gesture_colours(gesture_names)
    with st.container(horizontal=True, gap="small"):
        for one in drawn:
            with st.container(border=True, gap="xsmall", width=CARD_PX, key=f"card-{one.repetition_id}"):
                st.html(_picture(one, shapes, colours.get(one.gesture, palette.REST)))
                if app.may_work:
                    _acts(app, profile, one, shapes.odd.get(one.repetition_id), refused)
    if app.may_work:
        _redo(app, profile, session, drawn, refused)


def _shapes(app: App, session: Session, written: Sequence[Repetition]) -> Shapes:
    """Return what was computed for these labels before, or compute it."""
    labels = tuple((one.repetition_id, one.gesture, one.started_at, one.ended_at, one.excluded) for one in written)
    kept: tuple[object, Shapes] | None = st.session_state.get(_SHAPES)
    if kept is not None and kept[0] == labels:
        return kept[1]
    spec = ConditioningSpec(session.sensor, session.rate_hz, session.mains_hz)
    made: dict[int, Performance] = {}
    unread, left, is_whole = set(), MOST_VALUES, True
    for one in sorted(written, key=lambda label: label.started_at):
        if left <= 0:
            unread.add(one.repetition_id)
            continue
        try:
            with app.pool.transaction() as tx:
                raw = load_repetition(tx, session, one, written, _LONGEST)
        except TrainingError:
            return Shapes({}, {})
        left -= raw.size
        is_whole &= len(raw) >= _WHOLE * session.rate_hz * min(one.ended_at - one.started_at, _LONGEST).total_seconds()
        if len(raw):
            made[one.repetition_id] = perform(one.gesture, raw, spec, is_sibling=not one.excluded)
    envelopes = {n: thumbnail(one.envelope) for n, one in made.items() if one.gesture != REST}
    top = max((float(one.max()) for one in envelopes.values() if len(one)), default=0.0)
    held = {one.repetition_id for one in written if not one.dynamic}  # a short gesture is mostly rest
    odd = find_odd({n: one for n, one in made.items() if n in held})
    drawn = {n: one / max(top, 1e-9) for n, one in envelopes.items()}
    shapes = Shapes(odd, drawn, frozenset(unread))
    if is_whole or (session.ended_at is not None and clock.utc_now() - session.ended_at > _STORED_AFTER):
        st.session_state[_SHAPES] = (labels, shapes)
    return shapes


def _picture(one: Repetition, shapes: Shapes, colour: str) -> Markup:
    """Return a repetition's name, its envelope and what is said of it."""
    oddity = shapes.odd.get(one.repetition_id)
    if one.excluded:
        said, sign = f"Left out: {one.exclude_reason or DEFAULT_REASON}", ""
    elif oddity is not None:
        said, sign = f"Looks odd: {oddity.reason}", palette.LEVEL_SIGNS["fair"]
    elif one.repetition_id in shapes.unread:
        said, sign = "Not compared: the session is long", ""
    elif one.repetition_id not in shapes.envelopes:
        said, sign = "No samples are stored", palette.LEVEL_SIGNS["bad"]
    else:
        said, sign = "Like the others", palette.LEVEL_SIGNS["good"]
    return markup(
        '<div data-odd="{odd}" style="opacity:{opacity}"><b style="font-size:.92rem;overflow-wrap:anywhere">{gesture} '
        '{number}</b><img alt="Strength over time" src="data:image/svg+xml;base64,{drawn}" '
        'style="display:block;width:100%;height:{height}px">'
        '<div style="font-size:.82rem;line-height:1.3;min-height:2.6em;color:#33424e">{sign} {said}</div></div>',
        drawn=_drawn(shapes.envelopes.get(one.repetition_id, np.zeros(0)), colour),
        odd="" if oddity is None or one.excluded else oddity.kind,
        opacity="0.6" if one.excluded else "1",
        gesture=one.gesture,
        number=one.number,
        height=_HEIGHT,
        sign=sign,
        said=said,
    )


def _drawn(envelope: NDArray[np.float64], colour: str) -> str:
    """Return an envelope as an SVG in base64: the elements themselves do not pass what cleans a page's HTML."""
    xs = np.linspace(0, _WIDTH, len(envelope)) if len(envelope) else np.array([0.0, _WIDTH])
    ys = _HEIGHT - 2 - (_HEIGHT - 4) * (envelope if len(envelope) else np.zeros(2))
    line = " ".join(f"{x:.0f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    made = markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        '<polygon points="0,{height} {line} {width},{height}" fill="{colour}" stroke="#51606c"/></svg>',
        width=_WIDTH,
        height=_HEIGHT,
        line=line,
        colour=colour,
    )
    return base64.b64encode(made.encode()).decode()


def _acts(app: App, profile: Profile, one: Repetition, oddity: Oddity | None, refused: str) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    if one.excluded:
        if row.button("Use it", key=acts.key(f"use-{one.repetition_id}", profile.user_id)):
            _exclude(app, one, profile.user_id, "")
        return
    key = acts.key(f"leave-{one.repetition_id}", profile.user_id)
    if row.button("Leave out", key=key, help="Training will not use it. It stays stored."):
        reason = DEFAULT_REASON if oddity is None else f"looked odd: {oddity.reason}"
        _exclude(app, one, profile.user_id, reason)
    row.checkbox("Redo", key=_again(one), disabled=bool(refused), help=plain(refused) if refused else None)


def _again(one: Repetition) -> str:
    return f"again-{one.repetition_id}"


def _exclude(app: App, one: Repetition, user_id: int, reason: str) -> None:
    """Leave a repetition out for a reason, or take it in again without one."""
    with errors.attempt():
        with app.pool.transaction() as tx:
            change = LabelChange(repetition_id=one.repetition_id, excluded=bool(reason), reason=reason)
            change_labels(tx, app, one.session_id, [change])
        st.rerun()


def _redo(app: App, profile: Profile, session: Session, drawn: Sequence[Repetition], refused: str) -> None:
    """Show the button that lets the capture go on with the chosen repetitions."""
    chosen = [one for one in drawn if not one.excluded and st.session_state.get(_again(one))]
    if refused or not chosen:
        return
    seconds = sum((one.ended_at - one.started_at).total_seconds() for one in chosen)
    label = md(
        "Redo {n} of {name} now ({length} of gestures)",
        n=counted(len(chosen), "repetition"),
        name=profile.name,
        length=times.length(seconds),
    )
    key = acts.key("redo-chosen", profile.user_id)
    if st.button(label, key=key, icon=":material/replay:", type="primary"):
        with errors.attempt():
            with app.pool.transaction() as tx:
                app.require(tx, profile.user_id, "work")
                numbers = [one.repetition_id for one in chosen]
                redo_ended(tx, session.session_id, numbers, clock.utc_now(), app.login)
                record(tx, audit_view.actor(app), "capture.started", profile.user_id, session.session_id)
            st.session_state[CAPTURED] = session.session_id
            flash(md("{name} goes on with what is redone", name=session.name))
            st.rerun()
    st.caption("The capture goes on with these, as the same session; the earlier attempts are left out.")
