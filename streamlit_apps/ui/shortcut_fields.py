"""An account's keyboard shortcuts as fields: each key can be changed or taken away, and all of them switched off."""

from __future__ import annotations

import streamlit as st

from semg.store import preferences
from semg.store.accounts import Account
from semg.store.audit import record
from ui import audit_view, errors, shortcuts
from ui.page import flash
from ui.runtime import App
from ui.text import md, plain

KEY_HELP = "One key, with Ctrl, Alt or Shift before it if you like: S, Space, Shift+E, Alt+P. Empty: no key."


def edit(app: App, account: Account) -> None:
    """Show the account's keys for changes."""
    keys = shortcuts.keys_of(account)
    with st.container(border=True), st.form("shortcuts", border=False):
        st.markdown("**Keyboard shortcuts**")
        on = st.checkbox(
            "Keys work without a field or button having the focus",
            keys.on,
            help="Switch this off if keys are pressed by accident, or by speech input.",
        )
        st.caption(KEY_HELP)
        typed: dict[str, str] = {}
        for where in dict.fromkeys(one.where for one in shortcuts.ACTIONS):
            actions = [one for one in shortcuts.ACTIONS if one.where == where]
            focused = all(one.focused for one in actions)
            st.caption(md("{where}: while the picture has the focus" if focused else "{where}", where=where))
            for first in range(0, len(actions), 3):
                for one, column in zip(actions[first : first + 3], st.columns(3), strict=False):
                    now = shortcuts.spoken(keys.keys.get(one.name, one.key))
                    typed[one.name] = column.text_input(
                        plain(one.label), now, max_chars=30, key=f"key-{one.name}", autocomplete="off"
                    )
        left, right, _ = st.columns(3)
        saved = left.form_submit_button("Save the keys", width="stretch")
        reset = right.form_submit_button("Back to the usual keys", width="stretch")
    if saved or reset:
        with errors.attempt():
            chosen = {} if reset else shortcuts.check(typed)
            usual = {one.name: one.key for one in shortcuts.ACTIONS}
            differing = {name: key for name, key in chosen.items() if key != usual[name]}
            with app.unrestricted.transaction() as tx:
                app.require_login(tx)
                preferences.update_preference(
                    tx, account.account_id, shortcuts.PART, {"on": reset or on, "keys": differing}
                )
                record(tx, audit_view.actor(app), "account.changed", account=account.account_id)
            for one in shortcuts.ACTIONS:
                st.session_state.pop(f"key-{one.name}", None)
            flash("Keys saved")
            st.rerun()
