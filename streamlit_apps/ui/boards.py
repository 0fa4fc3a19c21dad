"""Boards that sign what they send: making them, assigning them to profiles, taking their keys away."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from semg.board_types import Board
from semg.domain import Profile
from semg.security.board_keys import make_board, renew_key, sketch_lines
from semg.security.keys import ring_of
from semg.store import boards
from semg.store.audit import record
from semg.store.pool import Transaction
from ui import audit_view, errors, times
from ui.page import flash
from ui.runtime import App
from ui.text import cells, md, shown

_SHOW_ONCE = "board-key"
NOBODY = "nobody"


def manage(app: App, people: Sequence[Profile]) -> None:
    """Show the boards with what can be done to each, and the form of a new one."""
    _show_key_once()
    with app.pool.transaction() as tx:
        names = {one.user_id: one.name for one in people}
        known = [board for board in boards.list_boards(tx) if board.belongs_to is None or board.belongs_to in names]
    if known:
        st.dataframe(
            cells(
                {
                    "Name": board.name,
                    "Number": board.board_id,
                    "Sends for": _sends_for(board, names),
                    "Key created": times.shown(board.key_made_at) if board.key_encrypted else "revoked",
                    "Restarts seen": "none yet" if board.last.boot_id < 0 else f"up to {board.last.boot_id}",
                }
                for board in known
            ),
            hide_index=True,
            width="stretch",
        )
        by_id = {board.board_id: board for board in known}
        chosen = st.selectbox("Board", list(by_id), format_func=lambda one: shown(by_id[one].name), key="board-choice")
        _change(app, by_id[chosen], names)
    else:
        st.info(
            "No board yet. A board has its own key and signs what it sends, so that nobody else can send in its place. "
            "Add one here, and copy the two lines it gives you into the sketch."
        )
    with st.form("new-board", clear_on_submit=True):
        name = st.text_input("Name of the new board", placeholder="Left armband")
        if st.form_submit_button("Add board", type="primary"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    app.require_work(tx)
                    board_id, key = make_board(tx, ring_of(app.settings), name)
                    record(tx, audit_view.actor(app), "board.created", board=board_id)
                st.session_state[_SHOW_ONCE] = (name.strip(), board_id, key)
                st.rerun()


def _show_key_once() -> None:
    made = st.session_state.pop(_SHOW_ONCE, None)
    if made is None:
        return
    name, board_id, key = made
    with st.container(border=True):
        st.markdown(
            md(
                ":material/key: **{name}**: copy these lines into `arduino/arduinocode.ino`. They are shown only once.",
                name=name,
            )
        )
        st.code(shown(sketch_lines(board_id, key)), language="cpp")


def _sends_for(board: Board, names: dict[int, str]) -> str:
    if board.set_aside_for is not None:
        return f"set aside for a simulated arm of {names[board.set_aside_for]}"
    return "—" if board.user_id is None else names[board.user_id]


def _change(app: App, board: Board, names: dict[int, str]) -> None:
    options = [None, *names]
    place = options.index(board.user_id) if board.user_id in names else 0
    assign, renew, revoke, remove = st.columns([2, 1, 1, 1], vertical_alignment="bottom")
    user_id = assign.selectbox(
        "Sends for",
        options,
        place,
        format_func=lambda one: NOBODY if one is None else shown(names[one]),
        key=f"assign-{board.board_id}",
        help="Takes effect within a second; the board need not be reflashed. A profile has one board at a time.",
    )
    with errors.attempt():
        if user_id != board.user_id:
            with app.pool.transaction() as tx:
                let_send(app, tx, board.board_id, user_id)
            whom = NOBODY if user_id is None else names[user_id]
            flash(md("{board} now sends for {whom}", board=board.name, whom=whom))
            st.rerun()
        about = "The previous key stops working immediately."
        if board.set_aside_for is not None:
            about = "Stop the simulated arm first: the board keeps its key while it is set aside."
        if renew.button("New key", width="stretch", disabled=board.set_aside_for is not None, help=about):
            with app.pool.transaction() as tx:
                whose = lock_and_require(app, tx, board.board_id)
                key = renew_key(tx, ring_of(app.settings), board.board_id)
                record(tx, audit_view.actor(app), "board.key_made", whose, board=board.board_id)
            st.session_state[_SHOW_ONCE] = (board.name, board.board_id, key)
            st.rerun()
        if revoke.button("Revoke key", width="stretch", disabled=board.key_encrypted is None):
            with app.pool.transaction() as tx:
                whose = lock_and_require(app, tx, board.board_id)
                boards.revoke_key(tx, board.board_id)
                record(tx, audit_view.actor(app), "board.key_revoked", whose, board=board.board_id)
            flash(md("Data from {board} is now refused", board=board.name))
            st.rerun()
        if remove.button("Remove", width="stretch", help="The data it has sent stays with the profiles."):
            with app.pool.transaction() as tx:
                whose = lock_and_require(app, tx, board.board_id)
                boards.delete_board(tx, board.board_id)
                record(tx, audit_view.actor(app), "board.erased", whose, board=board.board_id)
            flash(md("{board} was removed", board=board.name))
            st.rerun()


def let_send(app: App, tx: Transaction, board_id: int, user_id: int | None) -> None:
    """Let a board send for a profile, or for nobody; both the old and the new one must be the viewer's to work with.

    Raises
    ------
    AccessError, NotFoundError
        They are not, or the board is gone.
    """
    released = {board_id: lock_and_require(app, tx, board_id, user_id)}
    if user_id is not None:
        # A profile has one board at a time.
        released |= {one.board_id: user_id for one in boards.list_boards(tx) if one.user_id == user_id}
    boards.assign_board(tx, board_id, user_id)
    for number, before in released.items():
        if before is not None:
            record(tx, audit_view.actor(app), "board.released", before, board=number)
    if user_id is not None:
        record(tx, audit_view.actor(app), "board.assigned", user_id, board=board_id)


def lock_and_require(app: App, tx: Transaction, board_id: int, user_id: int | None = None) -> int | None:
    """Lock a board for a change, then refuse it where it is of somebody else's profile; return the profile, or None.

    Only what is judged under the lock holds: while one waits for it, the board may become somebody else's.

    Parameters
    ----------
    user_id
        The profile that it shall send for, which must be the viewer's to work with too.

    Raises
    ------
    AccessError, NotFoundError
        It is not for the viewer to change, or gone.
    """
    if user_id is not None:
        app.require(tx, user_id, "work")  # before its row is locked: others must not wait for a stranger
    board = boards.lock_for(tx, user_id, board_id)
    assert board is not None
    for whose in (board.belongs_to, user_id):
        if whose is not None:
            app.require(tx, whose, "work")
    if board.belongs_to is None:
        app.require_work(tx)
    return board.belongs_to


def lock_own(app: App, tx: Transaction, user_id: int) -> None:
    """Lock the boards and the simulated arm of a profile for a change, which must be the viewer's to work with.

    Raises
    ------
    AccessError, NotFoundError
        It is not, or is gone.
    """
    app.require(tx, user_id, "work")
    boards.lock_for(tx, user_id)
    app.require(tx, user_id, "work")
