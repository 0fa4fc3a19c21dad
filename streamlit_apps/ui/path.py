"""The path from a person to live recognition, below the head of every page: its steps, and one next action."""

from __future__ import annotations

from pathlib import Path as File

import streamlit as st

from semg import clock
from semg.domain import Profile
from semg.ingest import stream_reports
from semg.store import blocks, services, simulated_arms
from semg.store.path_facts import read_path_facts
from semg.store.pool import Transaction
from semg.words import counted
from ui import acts, banks, capture_plan, chosen, errors, path_acts, times
from ui.flashes import flash
from ui.fragments import live_fragment
from ui.going import go
from ui.path_judgement import CAPTURE, JOBS, Facts, Next, Path, judge_path
from ui.runtime import App
from ui.text import md, plain, shown

RENEWED_S = 4.0
_FOLDER = File(__file__).parent
_component = st.components.v2.component(
    "semg_path",
    html='<div class="semg-path"></div>',
    css=(_FOLDER / "path.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "path.js").read_text(encoding="utf-8"),
)


def show_path(app: App, here: str) -> None:
    """Show the path of the chosen profile, renewed every few seconds, or what to do while nobody is chosen.

    Parameters
    ----------
    here
        The file of the page that is shown.
    """
    with app.pool.transaction() as tx:
        people = app.people(tx)
    profile = _chosen(people)
    with st.container(key="path", gap="xsmall"):
        if profile is None:
            _draw(app, judge_path(Facts(len(people))), None, here)
        else:
            _show_of(app, profile.user_id, here)


@live_fragment(RENEWED_S)
def _show_of(app: App, user_id: int, here: str) -> None:
    with app.pool.transaction() as tx:
        profile = next((one for one in app.people(tx) if one.user_id == user_id), None)
        facts = Facts(1) if profile is None else read_facts(tx, profile)
    _draw(app, judge_path(facts), profile, here)


def read_facts(tx: Transaction, profile: Profile) -> Facts:
    """Return what the path of a profile is judged by, as it is in one transaction."""
    now = clock.utc_now()
    stored = read_path_facts(tx, profile.user_id)
    reported = stream_reports.reported(services.list_services(tx), now)
    health = reported.health(profile, stored.active_at)
    last_at = blocks.last_sample_at(tx, profile.user_id) if health.level == "silent" else None
    seen = "" if last_at is None else times.ago(last_at, now)
    return Facts(1, profile, stored, health, seen, simulated_arms.find_arm(tx, profile.user_id) is not None)


def _chosen(people: list[Profile]) -> Profile | None:
    """Return the profile that the page is about to show."""
    if len(people) == 1 and not chosen.is_named():
        return people[0]
    wanted = chosen.wanted()
    return next((one for one in people if one.user_id == wanted), None)


def _draw(app: App, path: Path, profile: Profile | None, here: str) -> None:
    query = {} if profile is None else {chosen.PARAMETER: str(profile.user_id)}
    sent = _component(
        key="semg-path",
        data={
            "steps": [
                {
                    "key": step.key,
                    "label": step.label,
                    "state": step.state,
                    "said": shown(step.said),
                    "current": step.current,
                    "href": _address(step.page, query),
                }
                for step in path.steps
            ],
            "folded": path.next is None,
            "here": here,
        },
        on_go_change=lambda: None,
    )
    for step in path.steps:
        if sent.go == step.key:
            go(step.page, query)
    if path.next is not None:
        _show_next(app, path.next, profile, query, here)


def _show_next(app: App, follows: Next, profile: Profile | None, query: dict[str, str], here: str) -> None:
    with st.container(key="path-next", horizontal=True, vertical_alignment="center", gap="small"):
        is_there = profile is not None and follows.page == here and app.may_work
        if profile is not None and follows.act == "quick":
            is_there = is_there and capture_plan.is_quick(profile.user_id)
        said = follows.there if is_there and follows.there is not None else follows.missing
        st.markdown(plain(said), width="stretch")
        if not follows.label or not app.may_work:
            return
        if follows.act == "link" or profile is None:
            if follows.page != here:
                with st.container(key="path-link", width="content"):
                    st.page_link(follows.page, label=plain(follows.label), icon=":material/arrow_forward:",
                                 query_params=query, width="content")  # fmt: skip
            return
        if follows.act == "quick" and is_there:
            return
        label = md("{label} for {name}", label=follows.label, name=profile.name)
        if st.button(label, type="primary", icon=":material/arrow_forward:", width="content",
                     key=acts.key(f"path-{follows.act}", profile.user_id)):  # fmt: skip
            with errors.attempt():
                _act(app, follows, profile, query, here)


def _act(app: App, follows: Next, profile: Profile, query: dict[str, str], here: str) -> None:
    """Do what the button says, and go where it shows."""
    if follows.act == "bank":
        n = banks.add_bank(app, profile, banks.FIRST)
        flash(md("{n} added for {name}", n=counted(n, "gesture"), name=profile.name))
        st.rerun()
    if follows.act == "train":
        path_acts.train_now(app, profile)
        flash(md("Training of {name}'s model queued", name=profile.name))
        go(JOBS, query)
    capture_plan.prefer_quick(profile.user_id)
    if here == CAPTURE:
        st.rerun()
    go(CAPTURE, query)


def _address(page: str, query: dict[str, str]) -> str:
    """Return where a browser finds a page, for links that are opened in another tab."""
    return "/" + File(page).stem.partition("_")[2] + "".join(f"?{name}={value}" for name, value in query.items())
