"""The few rules of style that the theme has no setting for."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
[data-testid="stMainBlockContainer"] { padding: 2.4rem 2.4rem 2rem 2.4rem; max-width: 1500px; }
[data-testid="stSidebar"] { min-width: 235px; max-width: 235px; }
[data-testid="stHeader"] { background: transparent; }
h1 { font-size: 1.65rem !important; padding: 0 0 .3rem 0 !important; }
h2 { font-size: 1.2rem !important; padding-top: .5rem !important; padding-bottom: .2rem !important; }
[role="dialog"] h2 { padding: 1.3rem 4rem .7rem 1.5rem !important; }
h3 { font-size: 1.02rem !important; padding: .3rem 0 .1rem 0 !important; }
[data-testid="stMetricValue"] { font-size: 1.5rem; }
.semg-brand { font-weight: 650; font-size: 1.15rem; letter-spacing: .01em; }
.semg-brand span { color: #0b6e8f; }
.semg-chip { display: inline-block; border: 1px solid #d5dde3; border-radius: 1rem; padding: .12rem .65rem;
  margin: 0 .35rem .35rem 0; font-size: .86rem; white-space: nowrap; background: #fff; }
.semg-keys { width: 100%; border-collapse: collapse; font-size: .92rem; }
.semg-keys :is(th, td) { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #d5dde3; }
.semg-keys kbd { border: 1px solid #7d8b97; border-radius: .3rem; padding: .05rem .4rem; white-space: nowrap; }
.semg-table table { width: 100%; border-collapse: collapse; font-size: .88rem; }
.semg-table { border: 1px solid #d5dde3; border-radius: .4rem; }
.semg-table :is(th, td) { text-align: left; vertical-align: top; padding: .4rem .55rem; overflow-wrap: anywhere;
  border-bottom: 1px solid #e6ebef; }
.semg-table th { color: #51606c; font-weight: 500; background: #f7f9fa; overflow-wrap: normal; }
@media (max-width: 1100px) {
  .semg-table thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .semg-table tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: .1rem .6rem;
    padding: .4rem .3rem; border-bottom: 1px solid #d5dde3; }
  .semg-table td { border: 0; padding: .15rem .35rem; }
  .semg-table td::before { content: attr(data-label); display: block; color: #51606c; font-size: .76rem; }
}
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
/* What has the focus is framed with a contrast of more than 3:1, whatever Streamlit draws there. */
:focus-visible { outline: 3px solid #0b6e8f !important; outline-offset: 2px !important; }
[data-testid="stMain"]:focus-visible { outline-offset: -3px !important; }
/* Clicked into, the page is scrolled by keys and not framed; reached by Tab, it is. */
[data-testid="stMain"][data-clicked]:focus-visible { outline: none !important; }
label:has(input:is([type="checkbox"], [type="radio"]):focus-visible),
[role="group"]:has(> input:focus-visible),
[role="group"]:has(> [data-testid="stMultiSelectTagsContainer"] input:focus-visible),
[data-testid="stTextInputRootElement"]:has(input:focus-visible),
[data-testid="stTextAreaRootElement"]:has(textarea:focus-visible),
[data-testid="stNumberInputContainer"]:has(> input:focus-visible) {
  outline: 3px solid #0b6e8f !important; outline-offset: 2px !important; border-radius: .4rem; }
[role="group"] input:focus-visible, [data-testid="stTextInputRootElement"] input:focus-visible,
[data-testid="stNumberInputContainer"] > input:focus-visible, textarea:focus-visible { outline: none !important; }
[data-testid="stDataFrame"] canvas:focus-visible { outline-offset: -3px !important; }
/* Fields, switches and boxes can be seen without their text: 3:1. */
[data-testid="stTextInputRootElement"], [data-testid="stNumberInputContainer"], [data-testid="stTextAreaRootElement"],
[data-testid="stSelectbox"] [role="group"], [data-testid="stMultiSelect"] > div > [role="group"],
[data-testid="stDateInput"] [role="group"], [data-testid="stTimeInput"] [role="group"] {
  border-color: #7d8b97 !important; }
.st-key-profile_choice [role="group"] { border-color: #0b6e8f !important; }
label:has(input[role="switch"]:not(:checked)) > span + div { background-color: #76848f !important; }
/* Quiet text is quiet by its size: 4.5:1. */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] * { color: #51606c; opacity: 1; }
[data-testid="stCaptionContainer"] a { color: #0a6280; }
button kbd { color: #51606c !important; opacity: 1 !important; }
button[kind^="primary"] kbd { color: inherit !important; }
/* A button says all of what it does, on a second line if it must. */
:is(button, [data-testid="stPageLink"] a, [data-testid="stLinkButton"] a, [data-testid="stWidgetLabel"],
  [data-testid="stRadioOption"])
  :is([data-testid="stMarkdownContainer"], p, span, div) {
  white-space: normal !important; text-overflow: clip !important; overflow: visible !important; }
/* A sidebar that is put away takes no focus along. */
[data-testid="stSidebar"][data-collapsed="true"], [data-testid="stSidebar"][data-collapsed="true"] * {
  visibility: hidden !important; }
/* A note lies beside the page's title, over nothing that is pressed: not over whose data the page shows. */
body { --side: 235px; --lead: 13rem; }
body:has([data-testid="stSidebar"][data-collapsed="true"]) { --side: 0px; }
[data-testid="stToastContainer"] { top: 0 !important; right: auto !important; pointer-events: none;
  left: calc(var(--side) + var(--lead)) !important; }
[data-testid="stToast"] button { pointer-events: auto; }
/* What is about to be drawn anew stays readable. */
[data-stale="true"] { opacity: 1 !important; }
[data-testid="stMultiSelectTagsContainer"] input { min-width: 24px; }
/* The sign of a help; a button that has one is a button like others. */
[data-testid="stTooltipIcon"] button:not([data-testid^="stBaseButton"], [data-testid^="stPopover"]) {
  min-width: 24px; min-height: 24px; margin: -4px; }
/* Buttons side by side are as high as the highest of them; on a narrow page Streamlit puts them below one another. */
@media (min-width: 641px) {
  [class*="st-key-buttons-"] :is(div, span):has(button) { height: 100%; }
  [class*="st-key-buttons-"] button { height: 100%; }
}
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation-duration: 1ms !important; animation-iteration-count: 1 !important;
    transition-duration: 1ms !important; scroll-behavior: auto !important; }
}
/* What an arm does is seen where it is steered: its panel scrolls by itself, beside the decision. */
@media (min-width: 701px) {
  .st-key-beside-arm [data-testid="stColumn"]:last-child { position: sticky; top: 1rem; align-self: flex-start;
    max-height: calc(100vh - 2rem); overflow-y: auto; }
}
[data-testid="stButtonGroup"] button { height: auto; }
@media (max-width: 1100px) { body { --lead: 11rem; } }
@media (max-width: 1000px) { body { --side: 205px; --lead: 4.6rem; } }
@media (max-width: 600px) {
  body { --lead: 2.6rem; }
  [data-testid="stToastContainer"] { width: calc(100vw - 4.4rem) !important; }
  [data-testid="stToast"] { width: auto !important; }
}
@media (max-width: 1000px) {
  [data-testid="stMainBlockContainer"] { padding: 2rem 1.1rem 2rem 1.1rem; }
  [data-testid="stSidebar"] { min-width: 205px; max-width: 205px; }
  [data-testid="stSidebarUserContent"] { padding-left: 0; padding-right: 0; }
}
@media (max-width: 1100px) {
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
