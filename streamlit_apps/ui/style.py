"""The few rules of style that the theme has no setting for."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
[data-testid="stMainBlockContainer"] { padding: 2.4rem 2.4rem 2rem 2.4rem; max-width: 1500px; }
[data-testid="stSidebar"] { min-width: 235px; max-width: 235px; }
[data-testid="stHeader"] { background: transparent; }
h1 { font-size: 1.65rem !important; padding: 0 0 .3rem 0 !important; }
h2 { font-size: 1.2rem !important; padding: .5rem 0 .2rem 0 !important; }
[role="dialog"] h2 { padding: 1.3rem 4rem .7rem 1.5rem !important; }
h3 { font-size: 1.02rem !important; padding: .3rem 0 .1rem 0 !important; }
[data-testid="stMetricValue"] { font-size: 1.5rem; }
.semg-brand { font-weight: 650; font-size: 1.15rem; letter-spacing: .01em; }
.semg-brand span { color: #0b6e8f; }
.semg-chip { display: inline-block; border: 1px solid #d5dde3; border-radius: 1rem; padding: .12rem .65rem;
  margin: 0 .35rem .35rem 0; font-size: .86rem; white-space: nowrap; background: #fff; }
.semg-chip b { font-weight: 600; }
/* The path below the head: calm, and no wider than it must be. */
.st-key-path { padding-bottom: .6rem; border-bottom: 1px solid #e3e9ed; margin-bottom: .4rem; }
.st-key-path-next [data-testid="stMarkdownContainer"] { margin-bottom: 0; }
.st-key-path-link a { background: #0b6e8f; border-radius: .4rem; padding: .3rem .8rem; }
.st-key-path-link a:hover { background: #095a75; }
.st-key-path-link a p, .st-key-path-link a span { color: #fff !important; }
dl.semg-arriving { padding: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem;
  margin: .4rem 0; }
.semg-arriving div { border: 1px solid #d5dde3; border-radius: .4rem; padding: .4rem .7rem; }
.semg-arriving dt { font-size: .8rem; color: #51606c; }
.semg-arriving dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.semg-arriving dd + dd { font-weight: 400; font-size: .8rem; color: #51606c; }
/* Whose data: the one thing on a page that must not be overlooked. */
.st-key-profile_choice [role="group"] { border: 2px solid #0b6e8f; border-left-width: 9px;
  background: #eaf4f7; }
.st-key-profile_choice input { font-weight: 650; }
@media (max-width: 1000px) {
  [data-testid="stMainBlockContainer"] { padding: 2rem 1.1rem 2rem 1.1rem; }
  [data-testid="stSidebar"] { min-width: 205px; max-width: 205px; }
  [data-testid="stSidebarUserContent"] { padding-left: 0; padding-right: 0; }
  /* Panels of a page stand one below the other; the fields inside a panel stay side by side. */
  [class*="st-key-split-"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"],
  [class*="st-key-split-"] > [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
  [class*="st-key-split-"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]
    > [data-testid="stColumn"],
  [class*="st-key-split-"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] { min-width: 100%; }
}
</style>
"""


def apply() -> None:
    """Add the style to the page."""
    st.html(_CSS)
