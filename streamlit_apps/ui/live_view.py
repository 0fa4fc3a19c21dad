"""The live stream of a profile on a canvas, drawn in the browser from the API's WebSocket."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from semg.domain import Profile
from semg.security import tokens
from semg.settings import Settings
from ui import audit_view, palette, shortcuts
from ui.runtime import App
from ui.text import shown

_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_live_view",
    html='<div class="semg-live"></div>',
    css=(_FOLDER / "live_view.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "live_view.js").read_text(encoding="utf-8"),
)


def live_url(settings: Settings, user_id: int) -> str:
    """Return the WebSocket's address as a browser sees it."""
    scheme, _, rest = settings.api_url.rstrip("/").partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws/live/{user_id}"


def live_view(
    app: App,
    profile: Profile,
    gesture_names: list[str],
    *,
    has_model: bool,
    phrases: dict[str, str] | None = None,
    compact: bool = False,
    height_px: int = 380,
) -> None:
    """Draw a profile's samples and decisions as they come, many times a second, without reruns.

    That they are looked at is written down, once an hour.

    Parameters
    ----------
    gesture_names
        In the order of the gesture bank; they get their colours by it.
    phrases
        What gestures say, by name: shown large, and spoken when the viewer wants it.
    compact
        Only the signals: a strip beside something else.
    """
    audit_view.seen(app, "live.seen", profile.user_id)
    device = profile.device
    _component(
        key=f"semg-live-{profile.user_id}-{'strip' if compact else 'full'}",
        data={
            "url": live_url(app.settings, profile.user_id),
            "token": _token(app, profile.user_id),
            "channels": list(device.channels),
            "rate_hz": device.rate_hz,
            "adc_min": device.adc_min,
            "adc_max": device.adc_max,
            "channel_colours": palette.channel_colours(device.n_channels),
            "gesture_colours": palette.gesture_colours(gesture_names),
            "gesture_inks": palette.gesture_inks(gesture_names),
            "keys": shortcuts.written(app, "live"),
            "has_model": has_model,
            "phrases": {name: shown(text) for name, text in (phrases or {}).items()},
            "compact": compact,
            "height": height_px,
        },
        on_refused_change=lambda: _forget_token(profile.user_id),
    )


def _token(app: App, user_id: int) -> str:
    """Return a token for the WebSocket; the same one for half of its life, so that reruns change nothing."""
    kept: tuple[str, float, int] | None = st.session_state.get(_key(user_id))
    now_s, life_s = time.time(), app.settings.live_token_s
    if kept is not None and kept[2] == app.login_id and now_s - kept[1] < life_s / 2:
        return kept[0]
    token = app.token(tokens.LIVE, str(user_id), life_s, now_s)
    st.session_state[_key(user_id)] = (token, now_s, app.login_id)
    return token


def _forget_token(user_id: int) -> None:
    st.session_state.pop(_key(user_id), None)


def _key(user_id: int) -> str:
    return f"live-token-{user_id}"
