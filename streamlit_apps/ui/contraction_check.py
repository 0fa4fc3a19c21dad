"""A check before a capture: does a strong contraction show on the channels? It advises, and stops nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from semg import clock
from semg.domain import REST, CapturePlan, Gesture, Model, PlanStep, Profile, us_from_utc
from semg.languages import sentence
from semg.signals.contraction import Answer, ContractionCheck, check_contraction
from semg.signals.model.classifier import Classifier, columns_of
from semg.signals.model.donning import find_turn
from semg.signals.quality import Level
from semg.store import blocks, models, profiles
from semg.store.pool import Transaction
from semg.words import counted
from ui import acts, errors, palette, times
from ui.capture_prompt import prompt_plan, send_pictures
from ui.fragments import live_fragment
from ui.runtime import App
from ui.text import Markup, joined, markup, md

BEGIN_AFTER_S, REST_S, STRONG_S = 1.5, 3.5, 3.5
REACT_S = 0.9
"""Left out after each prompt: nobody relaxes or contracts at once."""
STORED_AFTER_S = 1.2
_SIGNS: dict[Answer, tuple[str, str]] = {
    "clear": ("●", palette.GOOD),
    "weak": ("▲", palette.FAIR),
    "none": ("○", "#51606c"),
    "loose": ("■", palette.BAD),
}
_WORDS: dict[Answer, str] = {"clear": "responds", "weak": "responds weakly", "none": "as at rest", "loose": ""}


_Placement: TypeAlias = tuple[Level | None, str]
"""How the band lies: a level, None where that cannot be told, and a sentence."""


@dataclass(frozen=True, slots=True)
class Running:
    """A check that is prompted."""

    started_at: datetime
    gesture: str


@dataclass(frozen=True, slots=True)
class _Result:
    at: datetime
    check: ContractionCheck
    placement: _Placement | None = None


def check_button(user_id: int, gesture: str) -> None:
    """Show the button that begins a check with a gesture."""
    running = isinstance(st.session_state.get(_key(user_id)), Running)
    if st.button(
        "Check contraction",
        icon=":material/front_hand:",
        key=acts.key("contraction", user_id),
        disabled=running,
        help="Eight seconds: rest, then one strong contraction. Nothing is labelled.",
    ):
        begin = clock.utc_now() + timedelta(seconds=BEGIN_AFTER_S)
        st.session_state[_key(user_id)] = Running(begin, gesture)
        st.rerun()


def show_check(app: App, profile: Profile, bank: list[Gesture]) -> None:
    """Show the check that runs, or the result of the last one of this person in this tab."""
    state = st.session_state.get(_key(profile.user_id))
    if isinstance(state, Running):
        send_pictures(app, bank)
        _run(app, profile.user_id, bank, state)
    elif isinstance(state, _Result):
        _show(state)


@live_fragment(0.5)
def _run(app: App, user_id: int, bank: list[Gesture], state: Running) -> None:
    """Prompt the check; when it is over, read the stream and judge it."""
    now = clock.utc_now()
    steps = (PlanStep(REST, 1, 0.0, REST_S), PlanStep(state.gesture, 1, REST_S, REST_S + STRONG_S))
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
    prompt_plan(
        f"check-{user_id}-{state.started_at.timestamp():.3f}",
        CapturePlan(steps),
        state.started_at,
        bank,
        profile.language,
        now,
        perform=sentence(profile.language, "capture.check_strong"),
        last_labels=sentence(profile.language, "capture.check_done"),
    )
    if now < state.started_at + timedelta(seconds=REST_S + STRONG_S + STORED_AFTER_S):
        return
    with app.pool.transaction() as tx:
        rest = _samples(tx, profile, state.started_at, REACT_S, REST_S)
        strong = _samples(tx, profile, state.started_at, REST_S + REACT_S, REST_S + STRONG_S)
        active = models.find_active_artifact(tx, user_id)
    check = check_contraction(rest, strong, profile.device)
    placement = None
    if active is not None and check.level != "bad":
        with errors.attempt():
            placement = _placement(profile, active, rest, strong, state.gesture)
    st.session_state[_key(user_id)] = _Result(now, check, placement)
    st.rerun()


def _placement(
    profile: Profile,
    active: tuple[Model, bytes],
    rest: NDArray[np.float32],
    strong: NDArray[np.float32],
    gesture: str,
) -> _Placement | None:
    """Return how the band lies against the active version's sessions, as a sentence; None where nothing is known."""
    model, artifact = active
    classifier = Classifier.from_bytes(artifact)
    if not set(classifier.channels) <= set(profile.device.channels):
        return None
    found = find_turn(classifier, columns_of(classifier.channels, profile.device), rest, strong, gesture)
    if found is None:
        return None
    of = f"in the sessions of version {model.version}"
    if not found.is_clear:
        return None, f"This does not tell whether the band lies as {of}."
    if not found.is_turned:
        return "good", f"The band lies as {of}."
    now, then = classifier.channels[found.rotation[0]], classifier.channels[0]
    if found.mirrored:
        return "fair", f"The band seems to be worn the other way round than {of}. Turn it over, then check again."
    return "fair", (
        f"The band seems turned by about {counted(found.steps, 'electrode')}: {now} lies where {then} lay {of}. "
        "Turn it back, then check again; or record a calibration."
    )


def _samples(tx: Transaction, profile: Profile, begin: datetime, from_s: float, to_s: float) -> NDArray[np.float32]:
    """Return the stored samples of a part of the check, float32 ``(n, n_channels)``."""
    since, until = begin + timedelta(seconds=from_s), begin + timedelta(seconds=to_s)
    n_channels = profile.device.n_channels
    found = [np.zeros((0, n_channels), np.float32)]
    for block in blocks.list_blocks(tx, profile.user_id, since, until):
        if not block.late and block.samples.shape[1] == n_channels:
            inside = (block.server_us >= us_from_utc(since)) & (block.server_us < us_from_utc(until))
            found.append(block.samples[inside])
    return np.concatenate(found)


def _show(result: _Result) -> None:
    check = result.check
    channels = joined(
        markup(
            '<span style="display:inline-block;margin-right:1em"><i style="color:{colour};font-style:normal">{sign}</i>'
            " <b>{name}</b> {said}</span> ",
            colour=_SIGNS[one.answer][1],
            sign=_SIGNS[one.answer][0],
            name=one.channel,
            said=one.reason if one.answer == "loose" else f"{_WORDS[one.answer]} ({one.times:.1f} ×)",
        )
        for one in check.channels
    )
    st.html(
        markup(
            '<div role="status" data-contraction="{level}" style="border:1px solid #d5dde3;'
            "border-left:8px solid {colour};"
            'border-radius:.4rem;padding:.4rem .8rem;font-size:.92rem"><b style="color:{colour}">{sign}</b> {said}'
            '<div style="font-size:.85rem;line-height:1.6;color:#33424e;margin-top:.25rem">{channels}</div>{placement}'
            "</div>",
            level=check.level,
            colour=palette.LEVEL_COLOURS[check.level],
            sign=palette.LEVEL_SIGNS[check.level],
            said=check.sentence,
            channels=channels,
            placement=_placed(result.placement),
        )
    )
    st.caption(md("Checked at {time}; strength in units of rest.", time=times.clock(result.at)))


def _placed(placement: _Placement | None) -> Markup:
    if placement is None:
        return Markup("")
    level, said = placement
    colour, sign = ("#51606c", "○") if level is None else (palette.LEVEL_COLOURS[level], palette.LEVEL_SIGNS[level])
    return markup(
        '<div data-placement="{level}" style="margin-top:.25rem"><b style="color:{colour}">{sign}</b> {said}</div>',
        level=level or "unknown",
        colour=colour,
        sign=sign,
        said=said,
    )


def _key(user_id: int) -> str:
    return f"contraction-{user_id}"
