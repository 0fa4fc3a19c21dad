"""How good the signal is, before a capture and during it: a verdict, and each channel with its reason."""

from __future__ import annotations

import streamlit as st

from semg.ingest.stream_reports import StreamState
from semg.ingest.stream_verdict import signal_verdict
from semg.signals.quality import ChannelQuality
from semg.verdicts import level_of
from ui import palette, verdict
from ui.text import Markup, joined, markup, plain

_STYLE = Markup("""
<style>
.semg-quality { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: .15rem .9rem; }
.semg-quality div { display: grid; grid-template-columns: 1rem minmax(2.6rem, max-content) 1fr; gap: .45rem;
  font-size: .88rem; line-height: 1.45; align-items: baseline; overflow-wrap: anywhere; }
.semg-quality span { color: #33424e; }
</style>
""")


def show_quality(state: StreamState) -> None:
    """Show the verdict on stream and signal, and each channel; colour, sign and word say the same."""
    if state.problem:
        st.warning(plain(state.problem), icon=":material/sensors_off:")
        return
    verdict.show(signal_verdict(state.health, state.channels, state.held))
    st.html(
        markup(
            '{style}<div class="semg-quality">{lines}</div>',
            style=_STYLE,
            lines=joined(_line(one) for one in state.channels),
        )
    )


def _line(one: ChannelQuality) -> Markup:
    return markup(
        '<div><i style="color:{colour};font-style:normal" title="{word}">{sign}</i><b>{name}</b><span>{text}</span>'
        "</div>",
        colour=palette.LEVEL_COLOURS[one.level],
        word=level_of(one.level),
        sign=palette.LEVEL_SIGNS[one.level],
        name=one.channel,
        text=one.reason,
    )
