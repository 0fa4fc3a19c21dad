"""What Streamlit takes for Markdown, read from its own documentation strings.

An upgrade that makes another parameter Markdown is judged by the same rule.
"""

from __future__ import annotations

import inspect
import re
from functools import cache

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

NOT_TEXT = {"unsafe_allow_html", "wrap", "width", "anchors", "bind", "cursor", "bottom"}
MORE = {"radio": ["options", "captions"]}
"""What Streamlit draws as Markdown and does not document as such (``Radio`` in its browser's side)."""


@cache
def markdown_parameters() -> dict[str, list[tuple[int, str]]]:
    """Return, for each call of Streamlit, the parameters that are Markdown with their positions."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in {*dir(DeltaGenerator), *dir(st)} - {"secrets", "user", "query_params", "context", "session_state"}:
        call = getattr(DeltaGenerator, name, None) or getattr(st, name, None)
        if name.startswith("_") or not callable(call):
            continue
        texts = _documented(inspect.getdoc(call) or "")
        wanted = [one for one, text in texts.items() if "Markdown" in text and one not in NOT_TEXT]
        wanted += [one for one in MORE.get(name, []) if one not in wanted]
        if wanted:
            order = [one for one in inspect.signature(call).parameters if one != "self"]
            found[name] = [(order.index(one), one) for one in wanted if one in order]
    return found


def _documented(text: str) -> dict[str, str]:
    body = re.split(r"\n(?:Returns|Examples?|Raises|Yields)\n-+", text.partition("Parameters\n----------\n")[2])[0]
    found: dict[str, str] = {}
    current = ""
    for row in body.splitlines():
        begun = re.match(r"(\w+)(?: ?:|$)", row)
        if begun:
            current = begun[1]
        found[current] = f"{found.get(current, '')} {row}"
    return found
