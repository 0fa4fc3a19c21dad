"""How good the signal is, before a capture and during it: a verdict, and each channel with its reason."""

from __future__ import annotations

import streamlit as st

from semg.signals.quality import Level, worst
from ui import palette
from ui.stream import StreamState
from ui.text import Markup, joined, markup, plain

_WORDS = {"good": "Good to record", "fair": "Usable, but check this", "bad": "Do not record like this"}
_STYLE = Markup("""
<style>
.semg-verdict { border: 1px solid #d5dde3; border-left: 8px solid var(--l); border-radius: .4rem; padding: .4rem .8rem;
  font-size: .95rem; margin-bottom: .45rem; }
.semg-verdict b { color: var(--l); }
.semg-quality { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: .15rem .9rem; }
.semg-quality div { display: grid; grid-template-columns: 1rem minmax(2.6rem, max-content) 1fr; gap: .45rem;
  font-size: .88rem; line-height: 1.45; align-items: baseline; overflow-wrap: anywhere; }
.semg-quality span { color: #33424e; }
</style>
""")


def show_quality(state: StreamState) -> None:
    """Show a judgement: the verdict, the stream, and each channel; colour, sign and word say the same."""
    if state.problem:
        st.warning(plain(state.problem), icon=":material/sensors_off:")
        return
    lines: list[tuple[Level, str, str]] = [(one.level, one.channel, one.reason) for one in state.channels]
    if state.health is not None and state.health.level != "silent":
        said = state.health.figures if state.health.level == "good" else state.health.sentence
        lines.insert(0, (state.health.level, "Stream", said))
    level = worst([line[0] for line in lines])
    culprits = ", ".join(name for found, name, _ in lines if found == level)
    verdict = "All channels are good." if level == "good" else f"{culprits}."
    st.html(
        markup(
            '{style}<div class="semg-verdict" data-level="{level}" style="--l:{colour}">'
            '<b>{sign} {word}:</b> {verdict}</div><div class="semg-quality">{lines}</div>',
            style=_STYLE,
            level=level,
            colour=palette.LEVEL_COLOURS[level],
            sign=palette.LEVEL_SIGNS[level],
            word=_WORDS[level],
            verdict=verdict,
            lines=joined(_line(*line) for line in lines),
        )
    )


def _line(level: Level, name: str, text: str) -> Markup:
    return markup(
        '<div><i style="color:{colour};font-style:normal" title="{level}">{sign}</i><b>{name}</b><span>{text}</span>'
        "</div>",
        colour=palette.LEVEL_COLOURS[level],
        level=level,
        sign=palette.LEVEL_SIGNS[level],
        name=name,
        text=text,
    )
