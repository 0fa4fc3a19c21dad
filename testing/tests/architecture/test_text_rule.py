"""No text of outside origin reaches a page of the app but through ``ui.text``."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from semg.settings import PROJECT_DIR
from testing.kits.markdown_parameters import markdown_parameters
from testing.kits.text_rule import Module, Rule

FOLDER = PROJECT_DIR / "streamlit_apps"
ALLOWED = {
    "text.py:plain": "makes it",
    "text.py:md": "makes it",
    "text.py:markup": "makes it",
    "text.py:joined": "of pieces that are markup already",
    "consent.py:_own": "the consent text is the administrator's own file, who formats it",
}


@cache
def modules() -> dict[str, Module]:
    paths = sorted(FOLDER.rglob("*.py"))
    return {".".join(path.relative_to(FOLDER).with_suffix("").parts): Module.read(path) for path in paths}


def test_nothing_from_outside_reaches_a_page_unescaped() -> None:
    known = modules()
    rule = Rule(known, ALLOWED)
    found = [said for one in known.values() for said in rule.findings(one)]
    assert found == []


def test_what_is_allowed_is_there() -> None:
    known = {one.path.name: one for one in modules().values()}
    assert all(function in known[name].functions for name, _, function in (one.partition(":") for one in ALLOWED))


def test_own_scripts_put_text_in_as_text() -> None:
    parsed = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|srcdoc|document\.write|createContextualFragment|DOMParser|setHTML"
        r"|\beval\(|new Function|javascript:"
    )
    scripts = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.js")}
    assert len(scripts) > 4
    assert {name: found[0] for name, text in scripts.items() if (found := parsed.search(text))} == {}


def judged(source: str) -> list[str]:
    known = modules()
    made = Module.read(Path("page.py"), f"import streamlit as st\nfrom ui.text import *\n{source}")
    made.imported |= {name: ("ui.text", name) for name in ("md", "plain", "line", "shown", "markup", "chart", "cells")}
    return list(Rule(known | {"page": made}, {}).findings(made))


@pytest.mark.parametrize(
    "source",
    [
        'st.info(f"{name} is here")',
        'st.info("**%s**" % name)',
        'st.info("**{}**".format(name))',
        'st.info("**" + name + "**")',
        "st.info(name)",
        "def f(name):\n    st.info(name)",
        "def f(one):\n    name = one.name\n    st.caption(name)",
        "def f(one):\n    text = 'a'\n    text += one.name\n    st.caption(text)",
        "for name in names:\n    st.button(name)",
        'st.button("a", help=job.error)',
        "st.toast(str(error))",
        "st.tabs([one.name for one in known])",
        "st.radio('a', names)",
        "st.radio('a', names, format_func=lambda one: one.name)",
        "st.segmented_control('a', names)",
        "left.expander(label=name)",
        "st.metric('a', value)",
        "st.progress(0.5, job.step)",
        "st.write('a')",
        "st.markdown('a', unsafe_allow_html=True)",
        "st.html(f'<b>{name}</b>')",
        "st.html(name)",
        "st.selectbox('a', names)",
        "st.selectbox('a', ids, format_func=lambda one: known[one].name)",
        "st.multiselect('a', ids, format_func=known.__getitem__)",
        "st.dataframe([{'Name': one.name}])",
        "st.code(log)",
        "st.info(md(name))",
        "st.info(md(f'{name}'))",
        "st.html(markup('<b>' + name))",
        "st.info(Markdown(name))",
        "def f(one) -> Markdown:\n    return one.name",
        "figure.add_scatter(name=name)",
        "figure.add_scatter(hovertemplate=f'{name}: %{x}')",
        "st.column_config.TextColumn(help=name)",
        "@st.dialog(name)\ndef f(): pass",
    ],
)
def test_text_from_outside_is_found(source: str) -> None:
    assert judged(source) != []


@pytest.mark.parametrize(
    "source",
    [
        'st.info("**bold**")',
        'st.info(md("{name} is here", name=name))',
        "st.error(plain(error))",
        "def f(one):\n    text = md('{a}', a=one) if one else 'none'\n    st.caption(text)",
        "NAMES = {'a': 'b'}\ndef f(one):\n    st.caption(NAMES[one])",
        "ROWS = (('a', 'b'),)\ndef f(columns):\n    for column, (one, two) in zip(columns, ROWS):\n"
        "        column.metric(one, '5', help=two)",
        "def g(one) -> Markdown:\n    return md('{a}', a=one)\ndef f(one):\n    st.caption(g(one))",
        "st.selectbox('a', ids, format_func=lambda one: shown(known[one].name))",
        "def g(one):\n    return line('{a} b', a=one)\nst.selectbox('a', ids, format_func=g)",
        "st.radio('a', [True, False], format_func=lambda one: 'yes' if one else 'no')",
        "logger.error('%s', error)",
        "st.dataframe(cells(rows))",
    ],
)
def test_constants_and_escaped_text_are_let_through(source: str) -> None:
    assert judged(source) == []


def test_streamlit_says_what_is_markdown() -> None:
    found = markdown_parameters()
    for name in ("markdown", "caption", "info", "success", "warning", "error", "toast", "title", "subheader"):
        assert (0, "body") in found[name]
    for name in ("button", "checkbox", "toggle", "selectbox", "expander", "popover", "page_link", "download_button"):
        assert "label" in [parameter for _, parameter in found[name]]
    assert (1, "text") in found["progress"]
    assert (1, "options") in found["radio"] and (1, "options") in found["segmented_control"]  # noqa: PT018 - one claim
