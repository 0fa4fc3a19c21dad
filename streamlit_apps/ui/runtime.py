"""What the app works with: settings and a pool, made once for all viewers."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semg import log
from semg.settings import Settings, get_settings
from semg.store.pool import Pool

POOL_SIZE = 8


@dataclass(frozen=True, slots=True)
class App:
    """The settings and the database of this app; of a page, the corner for the profile, and who is logged in."""

    settings: Settings
    pool: Pool
    corner: DeltaGenerator | None = None
    login: str = ""


def make_app() -> App:
    """Read the settings and make the pool; tests put their own in this function's place."""
    settings = get_settings()
    log.configure("app", settings.log_level)
    return App(settings, Pool(settings, size=POOL_SIZE, name="app"))


@st.cache_resource(show_spinner=False)
def app() -> App:
    """Give the app's settings and pool, the same for every viewer."""
    return make_app()
