"""Stored text in a real browser: it is seen as it is stored, and makes nobody ask a stranger for anything."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from semg.names.characters import visible
from semg.platform.servers import embedded
from semg.platform.supervision.unit import url_answers
from semg.settings import PROJECT_DIR
from testing.kits.hostile_names import HIDDEN, names
from testing.tests.pages.test_text import seen

pytestmark = [pytest.mark.browser]

N_RANDOM = 60
KINDS = ("markdown", "caption", "error", "checkbox", "button", "expander", "metric", "within")
PIECES = ["http://a.de", "www.a.de", "a@b.de", ":smile:", ":+1:", ":material/home:", ":streamlit:", ":red[", "]",
          "![](", ")", "**", "`", "\n", " ", "->", "--", "1.", "- ", "# ", "$", "&amp;", "<b>", "a", "|", "[^1]", "\\",
          ":", "3:", "_", "~", "é", "א", "\u202e", "::", "{x}", "=", "<!--", "'", '"', "\t", "%"]  # fmt: skip
SCRIPT = """
import json, sys
import streamlit as st
from ui.text import md, plain
texts = json.load(open(sys.argv[1], encoding="utf-8"))
draw = {"markdown": st.markdown, "caption": st.caption, "error": st.error, "checkbox": st.checkbox, "button": st.button,
        "expander": st.expander, "metric": lambda text: st.metric("a", text)}
for kind, draws in draw.items():
    for index, text in enumerate(texts):
        with st.container(key=f"{kind}-{index}"):
            draws(plain(text), **({"key": f"w-{kind}-{index}"} if kind in ("checkbox", "button") else {}))
for index, text in enumerate(texts):
    with st.container(key=f"within-{index}"):
        st.markdown(md("Before **{text}** after", text=text))
"""
LOOK = """() => {
  const found = {};
  for (const one of document.querySelectorAll('[class*="st-key-"]')) {
    const key = [...one.classList].find((name) => name.startsWith('st-key-')).slice(7);
    if (!/^[a-z]+-\\d+$/.test(key)) continue;  // a widget within a container
    const kind = key.split('-')[0];
    const held = '[data-testid="stMarkdownContainer"], [data-testid="stCaptionContainer"]';
    const all = [...one.querySelectorAll(held)];
    const made = kind === 'metric' ? all[1] : all[0];
    if (!made) continue;
    const tags = [...new Set([...made.querySelectorAll('*')].map((e) => e.tagName))];
    const text = [...made.querySelectorAll('p')].map((p) => {
      const copy = p.cloneNode(true);
      for (const br of copy.querySelectorAll('br')) br.remove();  // a line feed stands behind it
      return copy.textContent; }).join('¶');
    found[key] = { text, tags };
  }
  return found;
}"""


def texts() -> list[str]:
    chance = random.Random(0)
    made = ["".join(chance.choices(PIECES, k=chance.randint(1, 7))) for _ in range(N_RANDOM)]
    return list(dict.fromkeys(one for one in [*names(9).values(), HIDDEN, *made] if visible(one).strip()))


@contextmanager
def streamlit(folder: Path, *arguments: str) -> Iterator[str]:
    """Run a script by Streamlit, and give its address."""
    (folder / "page.py").write_text(SCRIPT, encoding="utf-8")
    port = embedded.free_port()
    paths = os.pathsep.join([str(PROJECT_DIR), str(PROJECT_DIR / "streamlit_apps")])
    with (folder / "streamlit.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "page.py", "--server.port", str(port), "--server.headless",
             "true", "--server.address", "127.0.0.1", "--browser.gatherUsageStats", "false", "--", *arguments],
            cwd=folder, env={**os.environ, "PYTHONPATH": paths}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            while not url_answers(f"{url}/_stcore/health"):
                assert process.poll() is None, (folder / "streamlit.log").read_text()
            yield url
        finally:
            process.terminate()
            process.wait(15)


def test_streamlit_itself_shows_every_text_as_it_is_stored(page: Page, tmp_path: Path) -> None:
    shown = texts()
    (tmp_path / "texts.json").write_text(json.dumps(shown), encoding="utf-8")
    asked: list[str] = []
    with streamlit(tmp_path, str(tmp_path / "texts.json")) as url:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.wait_for_function(f"Object.keys(({LOOK})()).length === {len(KINDS) * len(shown)}")
        page.wait_for_load_state("networkidle")
        found: dict[str, dict[str, Any]] = page.evaluate(LOOK)
    assert set(found) == {f"{kind}-{index}" for kind in KINDS for index in range(len(shown))}
    wrong = {}
    for key, made in found.items():
        kind, _, index = key.partition("-")
        expected = visible(shown[int(index)]).replace("\t", 4 * " ").strip()
        text = seen(made["text"])
        if kind == "within":  # blanks at its edges stay
            text = text.removeprefix("Before ").removesuffix(" after").strip()
        tags = set(made["tags"]) - {"P", "BR"} - ({"STRONG"} if kind == "within" else set())
        if text != expected or tags:
            wrong[key] = (expected, text, tags)
    assert wrong == {}
    assert [one for one in asked if not one.startswith((url, "data:", "blob:"))] == []
