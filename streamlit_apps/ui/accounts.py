"""Who logs in, in which role: for admins."""

from __future__ import annotations

import streamlit as st

from semg.security.passwords import generate_password, hash_password
from semg.store import accounts, api_tokens, second_factors
from semg.store.accounts import Account
from semg.store.audit import record
from semg.store.pool import Transaction
from ui import audit_view, confirm, errors, times
from ui.my_account import REVOKE_HELP
from ui.page import flash
from ui.runtime import App
from ui.text import cells, md, shown

_SHOW_ONCE = "account-password"
_ROLES = {
    "admin": "sees all profiles and manages accounts",
    "researcher": "works with their own profiles and those shared with them",
    "viewer": "views what is shared with them, and changes nothing",
}


def manage(app: App) -> None:
    """Show all accounts with what can be done to each, and the form of a new one."""
    _show_password_once()
    with app.pool.transaction() as tx:
        known = accounts.list_accounts(tx)
    st.dataframe(
        cells(
            {
                "Login": one.login,
                "Role": one.role,
                "State": f"disabled since {times.shown(one.disabled_at)}" if one.disabled_at else "active",
                "Logs in by": "password" if one.password_hash else "provider",
                "Password set": times.shown(one.password_changed_at) if one.password_hash else "—",
            }
            for one in known
        ),
        hide_index=True,
        width="stretch",
    )
    if not confirm.offer(app, "change accounts"):
        return
    for role, said in _ROLES.items():
        st.caption(md("**{role}** {said}.", role=role, said=said))
    by_id = {one.account_id: one for one in known}
    left, right = st.columns(2, gap="large")
    with left:
        chosen = st.selectbox(
            "Account", list(by_id), format_func=lambda one: shown(by_id[one].login), key="account-choice"
        )
        _change(app, by_id[chosen])
    with right:
        _create(app)


def _show_password_once() -> None:
    made = st.session_state.pop(_SHOW_ONCE, None)
    if made is None:
        return
    with st.container(border=True):
        st.markdown(
            md(
                ":material/key: Password of **{login}**. It is shown only once; do not share it with anyone else.",
                login=made[0],
            )
        )
        st.code(shown(made[1]), language=None)


def _change(app: App, account: Account) -> None:
    number = account.account_id
    with st.form(f"account-{number}"):
        roles = list(_ROLES)
        role = st.selectbox("Role", roles, roles.index(account.role), format_func=shown)
        disabled = st.toggle(
            "Disabled", account.disabled_at is not None, help="Ends its logins and disables its tokens."
        )
        if st.form_submit_button("Save", type="primary"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    _require_admin(app, tx)
                    accounts.update_account(tx, number, role=role, disabled=disabled)
                    if role != account.role:
                        record(tx, audit_view.actor(app), "account.role_changed", account=number,
                               before=accounts.ROLES.index(account.role), role=accounts.ROLES.index(role))  # fmt: skip
                    if disabled != (account.disabled_at is not None):
                        record(tx, audit_view.actor(app), "account.changed", account=number, disabled=int(disabled))
                flash(md("{login} saved", login=account.login))
                st.rerun()
    again, remove = st.columns(2)
    revoke = again.checkbox("Revoke its API tokens", value=True, key=f"revoke-{number}", help=REVOKE_HELP)
    lost = again.checkbox("Remove its second factors", key=f"factors-{number}", help="For someone who has lost them.")
    if again.button("New password", width="stretch", help="Ends every login made with the old one."):
        with errors.attempt():
            password, hashed = _make_password(app)
            with app.pool.transaction() as tx:
                _require_admin(app, tx)
                accounts.update_password(tx, number, hashed)
                record(tx, audit_view.actor(app), "account.password_changed", account=number)
                if revoke:
                    api_tokens.revoke_tokens(tx, number, audit_view.actor(app))
                if lost:
                    second_factors.delete_all(tx, number)
                    record(tx, audit_view.actor(app), "factor.removed", account=number)
            st.session_state[_SHOW_ONCE] = (account.login, password)
            st.rerun()
    sure = remove.checkbox("Yes, delete it", key=f"sure-{number}", help="Its profiles are kept, without an owner.")
    if remove.button("Delete account", width="stretch", disabled=not sure):
        with errors.attempt():
            with app.pool.transaction() as tx:
                _require_admin(app, tx)
                accounts.delete_account(tx, number)
                record(tx, audit_view.actor(app), "account.erased", account=number)
            flash(md("{login} was deleted", login=account.login))
            st.rerun()


def _create(app: App) -> None:
    with st.form("new-account", clear_on_submit=True):
        st.markdown("**New account**")
        login = st.text_input("Login of the new account", autocomplete="off")
        roles = list(_ROLES)
        role = st.selectbox("Role", roles, 1, format_func=shown, key="new-account-role")
        if st.form_submit_button("Add account", type="primary"):
            with errors.attempt():
                password, hashed = _make_password(app)
                with app.pool.transaction() as tx:
                    _require_admin(app, tx)
                    number = accounts.insert_account(tx, login, hashed, role)
                    made = {"account": number, "role": accounts.ROLES.index(role)}
                    record(tx, audit_view.actor(app), "account.created", **made)
                st.session_state[_SHOW_ONCE] = (login.strip(), password)
                st.rerun()


def _make_password(app: App) -> tuple[str, str]:
    """Return a new password and its hash. No connection is held while it is hashed."""
    with app.pool.transaction() as tx:
        _require_admin(app, tx)
    password = generate_password()
    return password, hash_password(password, inside=app.login_here.account_id)


def _require_admin(app: App, tx: Transaction) -> None:
    app.require_login(tx)
    app.require_admin()
    confirm.require(app, tx)
