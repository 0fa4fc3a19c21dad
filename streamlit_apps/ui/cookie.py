"""The cookie that keeps a login over a page reload."""

from __future__ import annotations

import streamlit as st

NAME = "semg_login"

_JS = """
export default function ({ data }) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const life = data.value ? data.life_s : 0;
  document.cookie = `${data.name}=${data.value}; Max-Age=${life}; Path=/; SameSite=Strict${secure}`;
}
"""
_component = st.components.v2.component("semg_cookie", html="<span></span>", css=":host { display: none; }\n", js=_JS)


def write(value: str, life_s: float) -> None:
    """Let the browser keep a value (only characters of a JWT), or forget it when it is empty."""
    _component(key="semg-cookie", data={"name": NAME, "value": value, "life_s": round(life_s)}, height=1)


def read() -> str:
    """Give what the browser sent when it opened the page."""
    return st.context.cookies.get(NAME, "")
