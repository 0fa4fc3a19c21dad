"""Whose a profile is and whom it is shared with: for its owner and admins. Only admins see a list of accounts."""

from __future__ import annotations

import streamlit as st

from semg.domain import Profile
from semg.store import access, accounts, shares
from semg.store.accounts import Account
from semg.store.audit import record
from ui import acts, audit_view, errors
from ui.page import flash
from ui.runtime import App
from ui.text import line, md, shown

NOBODY = "no one (admins only)"


def share(app: App, profile: Profile) -> None:
    """Show whom a profile is shared with, and let its owner and admins change that."""
    account = app.account
    with app.pool.transaction() as tx:
        owner_id = access.find_owner(tx, profile.user_id)
        if account is None or not app.may_own(owner_id):
            return
        shared = [accounts.find_account_by_id(tx, one) for one in access.list_shares(tx, profile.user_id)]
    with st.expander("Share this profile", icon=":material/share:"):
        if app.is_admin:
            _give(app, profile, owner_id)
        with st.form(f"share-{profile.user_id}", clear_on_submit=True):
            login = st.text_input(
                "Login to share it with",
                autocomplete="off",
                help="Researchers can record and train, viewers can only view. Admins see every profile.",
            )
            label = md("Share {name}", name=profile.name)
            if st.form_submit_button(label, key=acts.key("share", profile.user_id)):
                with errors.attempt():
                    _share(app, account, profile, login)
        for one in shared:
            if one is not None:
                _shared_with(app, account, profile, one)


def _share(app: App, account: Account, profile: Profile, login: str) -> None:
    with app.pool.transaction() as tx:
        app.require(tx, profile.user_id, "own")
        found = shares.share_with(tx, account, profile.user_id, login)
    if found is None:  # after the commit: the try is counted
        st.error("Check the spelling: the profile cannot be shared with a login of that name.")
        return
    flash(md("{login} ({role}) can now see {name}", login=found.login, role=found.role, name=profile.name))
    st.rerun()


def _shared_with(app: App, account: Account, profile: Profile, other: Account) -> None:
    text, act = st.columns([4, 1], vertical_alignment="center")
    text.text(line("{login} ({role})", login=other.login, role=other.role))
    if act.button("Stop sharing", key=acts.key(f"unshare-{other.account_id}", profile.user_id), width="stretch"):
        with errors.attempt():
            with app.pool.transaction() as tx:
                app.require(tx, profile.user_id, "own")
                shares.end_share(tx, account, profile.user_id, other.account_id)
            flash(md("{login} can no longer see {name}", login=other.login, name=profile.name))
            st.rerun()


def _give(app: App, profile: Profile, owner_id: int | None) -> None:
    with app.pool.transaction() as tx:
        people = {one.account_id: one.login for one in accounts.list_accounts(tx)}
    owners = [None, *people]
    with st.form(f"give-{profile.user_id}"):
        owner = st.selectbox(
            "Owner",
            owners,
            owners.index(owner_id),
            format_func=lambda one: NOBODY if one is None else shown(people[one]),
        )
        label = md("Save {name}'s owner", name=profile.name)
        if st.form_submit_button(label, key=acts.key("give", profile.user_id)) and owner != owner_id:
            with errors.attempt():
                with app.pool.transaction() as tx:
                    app.require(tx, profile.user_id, "own")
                    app.require_admin()
                    access.set_owner(tx, profile.user_id, owner)
                    new_owner = {} if owner is None else {"account": owner}
                    record(tx, audit_view.actor(app), "profile.given", profile.user_id, **new_owner)
                flash(md("{name}'s owner saved", name=profile.name))
                st.rerun()
