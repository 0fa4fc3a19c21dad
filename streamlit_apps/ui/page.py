"""The frame of every page: configuration, login, navigation, errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui import assistive, errors, flashes, going, login, path, runtime, shortcuts, style, tour, webcam
from ui.flashes import flash
from ui.running import show_running_captures
from ui.runtime import App
from ui.text import Markdown, md, plain

__all__ = ["MY_ACCOUNT", "PAGES", "PATHS", "empty", "flash", "page", "split"]

PAGES = (
    ("Main.py", "Overview", ":material/monitor_heart:"),
    ("pages/1_User_Management.py", "Profiles", ":material/group:"),
    ("pages/8_Connect_Device.py", "Connect", ":material/cable:"),
    ("pages/2_Gesture_Management.py", "Gestures", ":material/front_hand:"),
    ("pages/3_Training_Data_Capture.py", "Capture", ":material/radio_button_checked:"),
    ("pages/4_Kickoff_Training.py", "Train", ":material/model_training:"),
    ("pages/5_Training_Jobs_Status.py", "Jobs and models", ":material/checklist:"),
    ("pages/6_Realtime_Gesture_Recognition.py", "Live", ":material/sensors:"),
    ("pages/9_Play.py", "Play", ":material/sports_esports:"),
    ("pages/7_Sensor_Data_Review.py", "Review", ":material/ssid_chart:"),
)
PATHS = frozenset("/" if file == "Main.py" else "/" + Path(file).stem.partition("_")[2] for file, _, _ in PAGES)
"""Where browsers find them."""
_BARE = """
<style>
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"], [data-testid="stHeader"] { display: none; }
[data-testid="stMainBlockContainer"] { padding: 1rem; }
/* What is drawn anew is pale meanwhile, elsewhere: here somebody reads it from a distance. */
[data-stale] { opacity: 1 !important; }
</style>
"""
MY_ACCOUNT = "account"
"""What the address of the page Profiles asks for, so that it opens there."""


@contextmanager
def page(title: str, caption: str = "", *, captures: bool = False) -> Iterator[App]:
    """Frame a page; every page's code stands in this block.

    Parameters
    ----------
    title
        Shown as heading and in the browser's tab.
    caption
        One line below the heading.
    captures
        Whether the page shows the chosen profile's running capture itself.

    Yields
    ------
    The settings and the pool.
    """
    st.set_page_config(page_title=f"{title} · sEMG gestures", page_icon="🖐", layout="wide")
    style.apply()
    with errors.shown():
        app = runtime.app()
        app = _logged_in(app)
        going.go_on()
        _sidebar(app)
        heading, beside = st.columns([2.6, 1], vertical_alignment="center")
        corner = beside.container(key="whose")
        heading.title(plain(title), anchor=False)
        if caption:
            heading.caption(plain(caption))
        # In slots of their own, empty or not: what stands below keeps its place.
        with st.container():
            tour.show_tour(app, first=title == PAGES[0][1])
        with st.container():
            errors.show_early()
        path.show_path(app, _file_of(title))
        with st.container():
            show_running_captures(app, but_chosen=captures)
        flashes.show()
        yield replace(app, corner=corner)


def _file_of(title: str) -> str:
    """Return the file of the page with a title."""
    return next((file for file, label, _ in PAGES if label == title), "")


@contextmanager
def bare_page(title: str) -> Iterator[App]:
    """Frame a page that shows one thing, without navigation: somebody else's screen, in the same login.

    Yields
    ------
    The settings and the pool.
    """
    st.set_page_config(
        page_title=f"{title} · sEMG gestures", page_icon="🖐", layout="wide", initial_sidebar_state="collapsed"
    )
    style.apply()
    st.html(_BARE)
    with errors.shown():
        app = _logged_in(runtime.app())
        assistive.apply(app)
        yield app


def empty(text: Markdown, page_file: str | None = None, label: str = "") -> None:
    """Say that there is nothing yet, and where to go."""
    with st.container(border=True):
        st.markdown(plain(text))
        if page_file is not None:
            st.page_link(page_file, label=plain(label), icon=":material/arrow_forward:")


def split(name: str, shares: Sequence[float]) -> Sequence[DeltaGenerator]:
    """Return columns side by side, which on a tablet stand one below the other.

    Parameters
    ----------
    name
        Tells the splits of a page apart.
    """
    with st.container(key=f"split-{name}"):
        return st.columns(list(shares), gap="large")


def _logged_in(app: App) -> App:
    """Return the app of who is logged in; whoever is not any more is filmed no longer."""
    found, camera = None, webcam.running()
    try:
        found = login.require(app)  # empties the tab's memory when nobody is
    finally:
        if found is None:
            webcam.switch_off(camera)
    return app.of(*found)


def _sidebar(app: App) -> None:
    with st.sidebar:
        st.html('<div class="semg-brand">sEMG <span>gestures</span></div>')
        with st.container(key="pages"):
            for file, label, icon in PAGES:
                st.page_link(file, label=label, icon=icon)
        st.divider()
        st.caption(md("Logged in as **{login}**", login=app.login))
        st.page_link(
            "pages/1_User_Management.py",
            label="Account",
            icon=":material/account_circle:",
            query_params={"tab": MY_ACCOUNT},
        )
        if st.button("Show the tour", icon=":material/tour:", width="stretch"):
            tour.call_again()
        if st.button("Keyboard shortcuts", icon=":material/keyboard:", key="keyboard-shortcuts", width="stretch"):
            shortcuts.show_list(app)
        if st.button("Log out", icon=":material/logout:", width="stretch"):
            webcam.switch_off()
            login.log_out(app)
        assistive.apply(app)
