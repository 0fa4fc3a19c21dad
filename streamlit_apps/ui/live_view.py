"""The live stream of a profile, drawn in the browser from the API's WebSocket: the full view, and the plain one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from semg.domain import Gesture, Profile
from semg.languages import DEFAULT_LANGUAGE, sentences, shown_names
from semg.security import tokens
from semg.settings import Settings
from ui import audit_view, palette, shortcuts
from ui.runtime import App
from ui.scripts import joined, styles
from ui.text import shown

_FOLDER = Path(__file__).parent / "live"
_component = st.components.v2.component(
    "semg_live_view",
    html='<div class="semg-live"></div>',
    css=styles(_FOLDER, "view.css", "talk.css"),
    js=joined(_FOLDER / "view.js"),
)
_plain = st.components.v2.component(
    "semg_live_plain",
    html='<div class="semg-plain"></div>',
    css=styles(_FOLDER, "plain.css", "talk.css"),
    js=joined(_FOLDER / "plain.js"),
)
PLAIN_ALONE = """
<style>
/* The plain view stands alone: what else belongs to the page is neither seen nor read aloud nor reached by Tab. */
[data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stExpandSidebarButton"] { display: none !important; }
[data-testid="stMainBlockContainer"] { padding: 0 !important; max-width: none !important; }
[data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"] > :not(:has(.st-key-live-plain)) {
  display: none !important; }
</style>
"""


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
    phrases: Mapping[str, str] | None = None,
    pictures: Mapping[str, str] | None = None,
    on_taught: Callable[[dict[str, Any]], None] | None = None,
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
    pictures
        What an image's ``src`` takes to show each gesture, by name.
    on_taught
        Called with ``gesture``, ``length_s`` and ``end_ms`` when somebody labels the last seconds; None offers no
        button.
    compact
        Only the signals: a strip beside something else.
    """
    audit_view.seen(app, "live.seen", profile.user_id)
    device, key = profile.device, f"semg-live-{profile.user_id}-{'strip' if compact else 'full'}"

    def taught() -> None:
        sent = getattr(st.session_state.get(key), "taught", None)
        if on_taught is not None and isinstance(sent, dict):
            on_taught(sent)

    _component(
        key=key,
        data=_data(app, profile, gesture_names, phrases, pictures, DEFAULT_LANGUAGE, has_model=has_model)
        | {
            "channels": list(device.channels),
            "rate_hz": device.rate_hz,
            "adc_min": device.adc_min,
            "adc_max": device.adc_max,
            "channel_colours": palette.channel_colours(device.n_channels),
            "may_teach": on_taught is not None,
            "keys": shortcuts.written(app, "live"),
            "compact": compact,
            "height": height_px,
        },
        on_refused_change=lambda: forget_token(profile.user_id),
        on_taught_change=taught,
    )


def plain_view(
    app: App,
    profile: Profile,
    bank: Sequence[Gesture],
    *,
    has_model: bool,
    phrases: Mapping[str, str],
    pictures: Mapping[str, str],
) -> None:
    """Show a profile's gesture alone, large and in the person's language, in place of the rest of the page."""
    audit_view.seen(app, "live.seen", profile.user_id)
    st.html(PLAIN_ALONE)
    data = _data(app, profile, [one.name for one in bank], phrases, pictures, profile.language, has_model=has_model)
    with st.container(key="live-plain"):
        _plain(
            key=f"semg-plain-{profile.user_id}",
            data=data
            | {
                "url": f"{data['url']}?samples=false",
                "person": shown(profile.name),
                "names": shown_names(bank, profile.language),
            },
            on_refused_change=lambda: forget_token(profile.user_id),
        )


def _data(
    app: App,
    profile: Profile,
    names: list[str],
    phrases: Mapping[str, str] | None,
    pictures: Mapping[str, str] | None,
    language: str,
    *,
    has_model: bool,
) -> dict[str, Any]:
    """Return what both views need; names are those that decisions carry, phrases are for the eye."""
    return {
        "user_id": profile.user_id,
        "url": live_url(app.settings, profile.user_id),
        "token": live_token(app, profile.user_id),
        "gestures": names,
        "gesture_colours": palette.gesture_colours(names),
        "gesture_inks": palette.gesture_inks(names),
        "phrases": {name: shown(text) for name, text in (phrases or {}).items()},
        "pictures": dict(pictures or {}),
        "has_model": has_model,
        "language": language,
        "words": sentences(language, "live"),
    }


def live_token(app: App, user_id: int) -> str:
    """Return a token for the WebSocket; the same one for half of its life, so that reruns change nothing."""
    kept: tuple[str, float, int] | None = st.session_state.get(_key(user_id))
    now_s, life_s = time.time(), app.settings.live_token_s
    if kept is not None and kept[2] == app.login_id and now_s - kept[1] < life_s / 2:
        return kept[0]
    token = app.token(tokens.LIVE, str(user_id), life_s, now_s)
    st.session_state[_key(user_id)] = (token, now_s, app.login_id)
    return token


def forget_token(user_id: int) -> None:
    """Make a new token the next time: the API refused this one."""
    st.session_state.pop(_key(user_id), None)


def _key(user_id: int) -> str:
    return f"live-token-{user_id}"
