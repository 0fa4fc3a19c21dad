"""A person's consent: the text, what is agreed to, the history, and its withdrawal."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import streamlit as st

from semg.consent_types import SCOPES, Consent, ConsentScope, ConsentText, NewConsent, agrees
from semg.domain import Profile
from semg.languages import sentence
from semg.privacy import consent
from semg.store import audit, consents
from semg.store.audit import Actor
from ui import acts, errors, times
from ui.page import flash
from ui.runtime import App
from ui.text import Markdown, cells, md, plain

_SHORT: dict[ConsentScope, str] = {
    "recording": "recording",
    "video": "video",
    "shared_models": "shared models",
    "shared_data": "shared data",
}


def shown(given: Consent | None) -> str:
    """Return a consent in a few words."""
    if given is None:
        return "none"
    if not given.scopes:
        return f"withdrawn {times.shown(given.agreed_at)}"
    return ", ".join(_SHORT[scope] for scope in given.scopes)


def show_text(text: ConsentText, language: str) -> None:
    """Show the text that people agree to, to be unfolded."""
    with st.expander(plain(sentence(language, "consent.text", version=text.version)), icon=":material/contract:"):
        st.markdown(_own(text))


def _own(text: ConsentText) -> Markdown:
    """Return the consent text as Markdown: it is the project's or the administrator's file, who may format it."""
    return Markdown(text.content)


def consent_fields(given: Consent | None, key: str, language: str) -> tuple[tuple[ConsentScope, ...], datetime]:
    """Draw what can be agreed to, in the person's language; give what is ticked, and when the person said so."""
    st.markdown(md("**{agrees}**", agrees=sentence(language, "consent.agrees")))
    agreed = given.scopes if given else ()
    boxes, said_on = st.columns([3, 1])  # one below the other: side by side, their labels are cut
    ticked = [
        scope
        for scope in SCOPES
        if boxes.checkbox(plain(sentence(language, f"consent.{scope}")), scope in agreed, key=f"{key}-{scope}")
    ]
    today = datetime.now(times.viewer_zone()).date()
    day: date = said_on.date_input("Consent date", today, max_value=today, key=f"{key}-day")
    at = datetime.now(UTC) if day == today else times.from_viewer(day, time(12))
    return tuple(ticked), at


def warn(profile: Profile) -> None:
    """Say at once, when a person has not agreed to being recorded, that nothing is."""
    # In a slot of its own, empty or not: what stands below keeps its place, and what is unfolded there stays so.
    with st.container():
        if not agrees(profile.consent, "recording"):
            without = "Nothing is recorded for {name} without consent: data from the device is discarded."
            st.warning(md(without, name=profile.name), icon=":material/block:")


def manage(app: App, profile: Profile) -> None:
    """Show a profile's consent, and let it be recorded, changed or withdrawn."""
    now = f"agrees to: {shown(profile.consent)}" if agrees(profile.consent, "recording") else shown(profile.consent)
    unfolded = not agrees(profile.consent, "recording")
    with st.expander(md("Consent — {now}", now=now), icon=":material/contract:", expanded=unfolded):
        text = consent.read_text(app.settings, profile.language)
        read = plain(sentence(profile.language, "consent.read", version=text.version))
        with st.popover(read, icon=":material/description:"):
            st.markdown(_own(text))
        if not app.may_work:
            _history(app, profile)
            return
        with st.form(f"consent-{profile.user_id}", border=False):
            scopes, at = consent_fields(profile.consent, f"consent-{profile.user_id}", profile.language)
            label = md("Record {name}'s consent", name=profile.name)
            if st.form_submit_button(label, key=acts.key("consent", profile.user_id)):
                _record(app, profile, scopes, text, at)
        if agrees(profile.consent, "recording"):
            st.caption("Withdrawing consent stops a running recording and cancels waiting training jobs immediately.")
            label = md("Withdraw all of {name}'s consent", name=profile.name)
            if st.button(label, icon=":material/block:", key=acts.key("withdraw", profile.user_id)):
                _record(app, profile, consent.WITHDRAWN, text, datetime.now(UTC))
        elif profile.consent is not None:
            st.info(
                "Earlier recordings are still stored. If the person wishes, delete them with “Delete this profile” "
                "below, or single sessions on the Review page.",
                icon=":material/delete:",
            )
        _history(app, profile)


def _record(app: App, profile: Profile, scopes: tuple[ConsentScope, ...], text: ConsentText, at: datetime) -> None:
    with errors.attempt():
        with app.pool.transaction() as tx:
            app.require(tx, profile.user_id, "work")
            consent.change(tx, profile.user_id, NewConsent(scopes, text, at, app.login))
            audit.record(tx, Actor(app.login), "consent.changed", profile.user_id, scopes=len(scopes))
        for scope in SCOPES:  # the boxes show what is stored, not what was ticked before
            st.session_state.pop(f"consent-{profile.user_id}-{scope}", None)
        given = ", ".join(_SHORT[one] for one in scopes) if scopes else "withdrawn"
        flash(md("Consent of {name}: {given}", name=profile.name, given=given))
        st.rerun()


def _history(app: App, profile: Profile) -> None:
    with app.pool.transaction() as tx:
        history = consents.list_consents(tx, profile.user_id)
    if history:
        st.dataframe(
            cells(
                {
                    "Agreed to": ", ".join(_SHORT[scope] for scope in one.scopes) or "nothing: withdrawn",
                    "Consent date": times.shown(one.agreed_at),
                    "Text": one.text_version,
                    "Entered": times.shown(one.recorded_at),
                    "By": one.recorded_by or "—",
                }
                for one in history
            ),
            hide_index=True,
            width="stretch",
        )
