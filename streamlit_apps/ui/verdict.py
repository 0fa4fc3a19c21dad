"""The one component for a verdict: icon, word, reason and next step, with the figures one click away."""

from __future__ import annotations

import streamlit as st

from semg.verdicts import Verdict, VerdictLevel
from ui import palette
from ui.text import Markup, joined, markup

LEVELS: dict[VerdictLevel, str] = {"good": "good", "usable": "fair", "do not use": "bad"}
UNKNOWN_SIGN, UNKNOWN_COLOUR = "○", "#51606c"
_STYLE = Markup("""
<style>
.semg-verdict { display: flex; gap: .55rem; align-items: baseline; padding: .3rem .7rem;
  border-left: 6px solid var(--l); font-size: .95rem; line-height: 1.4; overflow-wrap: anywhere; }
.semg-verdict i { color: var(--l); font-style: normal; }
.semg-verdict span { color: #33424e; }
.semg-figures { border-collapse: collapse; font-size: .88rem; }
.semg-figures th, .semg-figures td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0;
  font-weight: 400; overflow-wrap: anywhere; }
.semg-figures th { font-weight: 600; }
.semg-figures td:last-child { color: #51606c; }
</style>
""")


def sign(level: VerdictLevel) -> str:
    """Return the icon of a level."""
    return palette.LEVEL_SIGNS.get(LEVELS.get(level, ""), UNKNOWN_SIGN)


def colour(level: VerdictLevel) -> str:
    """Return the colour of a level; the icon and the word say the same."""
    return palette.LEVEL_COLOURS.get(LEVELS.get(level, ""), UNKNOWN_COLOUR)


def short(verdict: Verdict) -> str:
    """Return icon and word, for a cell."""
    return f"{sign(verdict.level)} {verdict.word}"


def label(verdict: Verdict) -> str:
    """Return icon, word and reason as one text, for a row of a list; it is to be escaped where it is put."""
    return f"{short(verdict)}. {verdict.sentence}"


def show(verdict: Verdict, about: str = "") -> None:
    """Show a verdict.

    Parameters
    ----------
    about
        What it is about, in a word or two, where that is not plain from the place.
    """
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="left", gap="small"):
        st.html(_html(verdict, about), width="content")
        if verdict.figures:
            with st.popover("Figures", icon=":material/monitoring:", type="tertiary", width="content"):
                st.html(_figures(verdict))


def _html(verdict: Verdict, about: str) -> Markup:
    return markup(
        '{style}<div class="semg-verdict" role="group" aria-label="{what}" data-level="{level}" data-code="{code}" '
        'style="--l:{colour}"><i aria-hidden="true">{sign}</i><div>{about}<b>{word}.</b> {sentence} '
        "<span>{step}</span></div></div>",
        style=_STYLE,
        what=f"Verdict on {about}" if about else "Verdict",
        level=verdict.level,
        code=verdict.code,
        colour=colour(verdict.level),
        sign=sign(verdict.level),
        about=f"{about}: " if about else "",
        word=verdict.word,
        sentence=verdict.sentence,
        step=verdict.next_step,
    )


def _figures(verdict: Verdict) -> Markup:
    rows = joined(
        markup(
            '<tr><th scope="row">{name}</th><td>{value}</td><td>{meaning}</td></tr>',
            name=one.name,
            value=one.value,
            meaning=one.meaning,
        )
        for one in verdict.figures
    )
    return markup('{style}<table class="semg-figures"><tbody>{rows}</tbody></table>', style=_STYLE, rows=rows)
