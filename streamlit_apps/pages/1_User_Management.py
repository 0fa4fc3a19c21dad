"""Profiles: whose muscles are recorded, and with which sensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import streamlit as st

from semg.commands.profile_changes import change_profile
from semg.consent_types import NewConsent
from semg.domain import Profile
from semg.languages import LANGUAGES
from semg.privacy import pseudonyms
from semg.privacy.consent import read_text
from semg.security.keys import ring_of
from semg.store import access, profiles
from semg.store.audit import record
from semg.words import counted
from ui import (
    accounts,
    acts,
    archive,
    audit_view,
    boards,
    chosen,
    confirm,
    consent,
    errors,
    pick,
    real_name,
    share,
    times,
)
from ui.going import go
from ui.my_account import my_account
from ui.page import MY_ACCOUNT, flash, page
from ui.path_judgement import CONNECT
from ui.profile_form import PRESETS, device_fields, person_fields, show_placement
from ui.runtime import App
from ui.tables import show_table
from ui.text import md, plain, shown

SHOWN = 200
_CONSENT_LANGUAGE = "new-consent-language"


def list_and_edit(app: App, known: list[Profile], profile: Profile | None) -> None:
    """Show the profiles, and the chosen one for editing."""
    wanted = st.text_input("Search", placeholder="Part of a name or a note", key="search").strip().lower()
    noted: set[int] = set()
    if wanted:
        with app.pool.transaction() as tx:
            noted = profiles.find_noted(tx, [one.user_id for one in known], wanted)
    found = [one for one in known if wanted in one.name.lower() or one.user_id in noted]
    if not found:
        st.info(md("No profile matches “{wanted}”.", wanted=wanted))
        return
    show_table(
        "Profiles",
        [
            {
                "Name": one.name,
                "Number": one.user_id,
                "Sensor": f"{one.device.n_channels} × {one.device.sensor}, {one.device.rate_hz:g} Hz",
                "Handedness": one.handedness or "—",
                "Consent": consent.shown(one.consent),
                "Created": times.shown(one.created_at),
            }
            for one in found[:SHOWN]
        ],
        height_px=260,
    )
    if profile is None:
        st.info("Choose a profile in the field above to view and edit it.", icon=":material/person_search:")
        return
    st.subheader(plain(profile.name), anchor=False)
    consent.warn(profile)
    if app.may_work:
        edit(app, profile)
    consent.manage(app, profile)
    archive.offer(app, profile)
    real_name.manage(app, profile)
    share.share(app, profile)
    delete(app, profile)


def edit(app: App, profile: Profile) -> None:
    """Show a profile's fields for editing."""
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, profile.user_id)  # with its notes, which the list does not have
    with st.form(f"edit-{profile.user_id}"):
        st.caption(md("The device of this profile sends the userid **{number}**.", number=profile.user_id))
        person = person_fields(profile, f"p{profile.user_id}")
        device = device_fields(profile.device, f"d{profile.user_id}")
        label = md("Save {name}", name=profile.name)
        if st.form_submit_button(label, type="primary", key=acts.key("save", profile.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    change_profile(
                        tx,
                        app,
                        profile.user_id,
                        device,
                        name=person.name,
                        handedness=person.handedness,
                        language=person.language,
                        notes=person.notes,
                    )
                flash(md("{name} saved", name=person.name.strip()))
                st.rerun()


def delete(app: App, profile: Profile) -> None:
    """Offer who may do it to erase a profile; the name has to be typed."""
    with app.pool.transaction() as tx:
        owner_id = access.find_owner(tx, profile.user_id)
    if not app.may_own(owner_id):
        if app.may_work:
            st.caption("Only the profile's owner or an admin can share or delete it.")
        return
    with st.expander("Delete this profile", icon=":material/delete:"):
        if not st.toggle("Show what would be deleted", key=f"count-{profile.user_id}"):
            return
        with app.pool.transaction() as tx:
            counts = profiles.count_profile(tx, profile.user_id)
        st.markdown(md("This permanently deletes **{name}**, with", name=profile.name))
        st.markdown(
            md(
                "- {samples:,} samples\n"
                "- {sessions} with {repetitions}, and their videos\n"
                "- {models}, {jobs}\n"
                "- {decisions}\n"
                "- the gesture bank with its pictures, and the device settings\n\n"
                "Other profiles are not affected.",
                samples=counts.samples,
                sessions=counted(counts.sessions, "session"),
                repetitions=counted(counts.repetitions, "repetition"),
                models=counted(counts.models, "model"),
                jobs=counted(counts.jobs, "training job"),
                decisions=counted(counts.decisions, "decision"),
            )
        )
        if not confirm.offer(app, "delete the profile"):
            return
        typed = st.text_input("Type the name to confirm", key=f"confirm-{profile.user_id}")
        if st.button(
            md("Delete {name} permanently", name=profile.name),
            type="primary",
            disabled=typed.strip() != profile.name,
            icon=":material/delete:",
            key=acts.key("erase", profile.user_id),
        ):
            with errors.attempt(), st.spinner("Deleting …"):
                with app.pool.transaction() as tx:
                    app.require(tx, profile.user_id, "own")
                    confirm.require(app, tx)
                    gone = profiles.delete_profile(tx, profile.user_id)
                    record(tx, audit_view.actor(app), "profile.erased", profile.user_id, **asdict(gone))
                chosen.choose(None)
                flash(md("{name} was deleted", name=profile.name))
                st.rerun()


def _same_language() -> None:
    """Offer the language that a person reads the consent in as that of the prompts."""
    st.session_state["new-language"] = st.session_state[_CONSENT_LANGUAGE]


def create(app: App) -> None:
    """Show the form of a new profile."""
    labels = [preset.label for preset in PRESETS]
    label = st.selectbox(
        "Sensor",
        labels,
        format_func=shown,
        key="preset",
        help="Fills in the fields below; you can change them.",
    )
    index = labels.index(label)
    show_placement(PRESETS[index].device)
    codes = list(LANGUAGES)
    language = st.selectbox(
        "Language of the consent",
        codes,
        format_func=lambda code: shown(LANGUAGES[code]),
        key=_CONSENT_LANGUAGE,
        on_change=_same_language,
    )
    text = read_text(app.settings, language)
    consent.show_text(text, language)
    with st.form("new-profile", clear_on_submit=False):
        if app.settings.pseudonyms:
            st.caption(":material/badge: The profile is given a code; the name is stored separately, encrypted.")
        person = person_fields(None, "new")
        device = device_fields(PRESETS[index].device, f"new{index}")
        scopes, said_at = consent.consent_fields(None, "new-consent", language)
        if st.form_submit_button("Create profile", type="primary"):
            with errors.attempt():
                name = pseudonyms.make_pseudonym() if app.settings.pseudonyms else person.name
                with app.pool.transaction() as tx:
                    app.require_work(tx)
                    user_id = profiles.insert_profile(
                        tx,
                        name,
                        channels=device.channels,
                        rate_hz=device.rate_hz,
                        sensor=device.sensor,
                        adc_min=device.adc_min,
                        adc_max=device.adc_max,
                        mains_hz=device.mains_hz,
                        allow_v1=device.allow_v1,
                        handedness=person.handedness,
                        language=person.language,
                        notes=person.notes,
                        consent=NewConsent(scopes, text, said_at, app.login) if scopes else None,
                        owner_id=None if app.account is None else app.account.account_id,
                    )
                    if app.settings.pseudonyms:
                        pseudonyms.keep_name(tx, ring_of(app.settings), user_id, person.name)
                    record(tx, audit_view.actor(app), "profile.created", user_id, scopes=len(scopes))
                chosen.choose(user_id)
                st.session_state["created"] = (user_id, name.strip())
                # Without consent nothing is recorded: that comes first, and it is entered here.
                if scopes:
                    go(CONNECT)
                st.rerun()


with page("Profiles", "A profile is a person together with the sensor that person wears.") as app:
    with app.pool.transaction() as tx:
        known = app.people(tx)
    profile = pick.find_profile(app, known)
    made = st.session_state.pop("created", None)
    with st.container():  # what redraws by itself in the tabs below keeps its place when the note is gone
        if made is not None:
            with st.container(border=True):
                st.markdown(
                    md(
                        ":material/check_circle: **{name}** was created. Its device sends the userid **{number}**.",
                        name=made[1],
                        number=made[0],
                    )
                )
                for one in known:
                    if one.user_id == made[0]:
                        consent.warn(one)
    if not known:
        hint = "Create the first one here." if app.may_work else "None has been shared with you."
        st.info(md("No profile yet. {hint}", hint=hint))
    parts: dict[str, Callable[[], None]] = {}
    if known:
        parts["Profiles"] = lambda: list_and_edit(app, known, profile)
    if app.may_work:
        parts["New profile"] = lambda: create(app)
        parts["Boards"] = lambda: boards.manage(app, known)
    parts["My account"] = lambda: my_account(app)
    if app.is_admin:
        parts["Accounts"] = lambda: accounts.manage(app)
        parts["Audit log"] = lambda: audit_view.show_tab(app)
    opened = "My account" if st.query_params.get("tab") == MY_ACCOUNT else None
    for tab, show in zip(st.tabs([plain(name) for name in parts], default=opened), parts.values(), strict=True):
        with tab:
            show()
