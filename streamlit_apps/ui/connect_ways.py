"""Ways to a first packet: a board of one's own with the finished sketch, or a command line; and a phone's view."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import segno
import streamlit as st

from semg.board_types import Board
from semg.domain import Device, Profile
from semg.errors import ConflictError, PlatformError
from semg.platform.lan.lan_address import address_here
from semg.security.board_keys import make_board, renew_key
from semg.security.keys import ring_of
from semg.store import boards, simulated_arms
from semg.store.audit import record
from ui import acts, audit_view, errors, sketch
from ui.arriving import lost_pins
from ui.boards import let_send, lock_and_require
from ui.chosen import PARAMETER
from ui.page import flash
from ui.runtime import App
from ui.text import markup, md, plain, shown

_KEY = "connect-key"
_LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "")


def show_board(app: App, profile: Profile) -> None:
    """Show how a board of one's own gets its sketch: a key of its own, the server's address, the Wi-Fi."""
    st.markdown("**A board of your own**")
    with app.pool.transaction() as tx:
        board = next((one for one in boards.list_boards(tx) if one.user_id == profile.user_id), None)
        arm = simulated_arms.find_arm(tx, profile.user_id)
    if arm is not None:
        st.caption(md("A simulated arm sends for {name}. Stop it first, on the page Live.", name=profile.name))
        return
    key = _key_of(profile, board)
    if key is None:
        _offer_key(app, profile, board)
        if not profile.device.allow_v1:
            return
        st.caption("Or without a key, as plain text: anyone on the network could send in its place.")
    else:
        st.caption(
            md(
                ":material/key: The key of board {number} is in this download only, and is not shown again. Keep the "
                "file to yourself.",
                number=key[0],
            )
        )
    address = st.text_input(
        "Address of this machine, as the board reaches it",
        _address_here(app),
        key="connect-address",
        help="Four numbers, such as 192.168.1.20: in the board's network, not 127.0.0.1.",
    )
    with errors.attempt():
        main = sketch.fill(sketch.Target(address, app.settings.udp_port), profile.device, key)
        said = lost_pins(profile, sketch.PINS)
        if said:
            st.caption(plain(said))
        if sketch.download(main) and key is not None:
            st.session_state.pop(_KEY, None)
            st.rerun()


def show_command(profile: Profile) -> None:
    """Show the command that sends what a device sends, on this machine."""
    with st.expander("From a command line", icon=":material/terminal:"):
        if not profile.device.allow_v1:
            st.caption(
                md(
                    "This command sends plain text, which {name} does not accept yet: with the first packet, this "
                    "page offers to allow it.",
                    name=profile.name,
                )
            )
        st.code(shown(simulator_command(profile.user_id, profile.device)), language="bash", wrap_lines=True)


def simulator_command(user_id: int, device: Device) -> str:
    """Return the command that sends what a device sends, without one."""
    fitting = f" --channels {device.n_channels} --rate-hz {device.rate_hz:g} --sensor {device.sensor}"
    return f"cd testing && python udpsim.py --user-id {user_id}{fitting}"


def show_phone(app: App, profile: Profile) -> None:
    """Show the address of the live view as a QR code, for a phone in the same network."""
    with st.expander("On a phone", icon=":material/qr_code_2:"):
        url = phone_url(app, profile)
        if urlsplit(url).hostname in _LOOPBACK:
            st.caption("Only this machine reaches the app now: start it with `./start_all.sh --lan`.")
            return
        picture = segno.make(url, error="m").svg_data_uri(scale=4, border=2)
        st.html(
            markup(
                '<img src="{picture}" width="180" height="180" alt="QR code of {url}"><br><code>{url}</code>',
                picture=picture,
                url=url,
            )
        )
        st.caption("Scan it with the phone's camera and log in there. The code holds the address, no password.")


def phone_url(app: App, profile: Profile) -> str:
    """Return the address of a profile's live view, as other machines reach it."""
    page = "Realtime_Gesture_Recognition"
    return f"{app.settings.app_url.rstrip('/')}/{page}?{urlencode({PARAMETER: profile.user_id})}"


def _key_of(profile: Profile, board: Board | None) -> tuple[int, bytes] | None:
    """Return number and key of the profile's board while they wait for their download."""
    kept: tuple[int, int, bytes] | None = st.session_state.get(_KEY)
    if kept is None or board is None or kept[:2] != (profile.user_id, board.board_id):
        st.session_state.pop(_KEY, None)
        return None
    return kept[1], kept[2]


def _offer_key(app: App, profile: Profile, board: Board | None) -> None:
    """Offer a board with a key, or a new key for the board that there is."""
    if board is None:
        st.caption("It gets a key of its own, signs what it sends, and nobody else can send in its place.")
        label = md("Make a board for {name}", name=profile.name)
    else:
        st.caption(md("{board} sends for {name}. Its key was shown once; a new one replaces it.", board=board.name,
                      name=profile.name))  # fmt: skip
        label = md("Make {name}'s board a new key", name=profile.name)
    if not st.button(label, icon=":material/key:", key=acts.key("connect-key", profile.user_id)):
        return
    with errors.attempt():
        secret = ring_of(app.settings)
        with app.pool.transaction() as tx:
            if board is None:
                app.require(tx, profile.user_id, "work")
                number, key = make_board(tx, secret, assigned_next=True)
                record(tx, audit_view.actor(app), "board.created", board=number)
                let_send(app, tx, number, profile.user_id)
            else:
                if lock_and_require(app, tx, board.board_id) != profile.user_id:
                    raise ConflictError("reload the page: this board sends for another profile now")
                number, key = board.board_id, renew_key(tx, secret, board.board_id)
                record(tx, audit_view.actor(app), "board.key_made", profile.user_id, board=number)
        st.session_state[_KEY] = (profile.user_id, number, key)
        flash(md("Board {number} has a key: download its sketch now", number=number))
        st.rerun()


def _address_here(app: App) -> str:
    """Return the address that a board in the network is likely to reach: that of the browser's, or of the machine."""
    asked = urlsplit(st.context.url or "").hostname or ""
    if asked.count(".") == 3 and asked.replace(".", "").isdigit() and asked not in _LOOPBACK:
        return asked
    if app.settings.udp_host not in _LOOPBACK:
        return app.settings.udp_host
    try:
        return address_here()
    except PlatformError:
        return ""
