"""Every page with names that are Markdown, HTML, formulas and directives: nothing of them is taken for such."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import cmarkgfm
import pytest
from google.protobuf.message import Message

from semg.settings import Settings
from semg.store.pool import Pool
from testing.kits.hostile_names import fill, names
from testing.kits.page_data import CAPTURE, GESTURES, JOBS, LIVE, REVIEW, TRAIN, USERS, Open, all_text
from testing.kits.page_parts import run_parts
from ui.text import plain

pytestmark = pytest.mark.servers

PORT = 9
PARSED = {"body", "label", "help", "text", "title", "caption", "delta", "captions"}
RAW = [name for name in names(PORT).values() if name not in plain(f"a, {name}, b")]
"""What may stand nowhere in a source as it is; a list's sign, for one, is harmless inside a line."""
FOREIGN = re.compile(r"<(a|img|del|table|h\d|ol|sup)\b")
OPENED = {
    USERS: {"audit-show": True},
    TRAIN: {"look": True},
    REVIEW: {"spectra": True},
    GESTURES: {},
    CAPTURE: {},
    JOBS: {},
    LIVE: {},
    "": {},
}


def texts_of(message: Message) -> Iterator[tuple[str, str]]:
    """Yield the names and values of all texts of a message to the browser."""
    for described, value in message.ListFields():
        for one in value if described.is_repeated else [value]:
            if isinstance(one, Message):
                yield from texts_of(one)
            elif isinstance(one, str):
                yield described.name, one


def texts_in(page: Any) -> Iterator[tuple[str, str, str]]:
    for node in page._tree:
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            kind = str(getattr(node, "type", ""))
            if kind in ("container", "bidi_component", "arrow_data_frame", "plotly_chart", "selectbox", "code"):
                continue
            yield from ((kind, name, text) for name, text in texts_of(proto))


@pytest.mark.parametrize("name", list(OPENED))
def test_no_page_takes_a_name_for_more(open_page: Open, pool: Pool, settings: Settings, name: str) -> None:
    user_id = fill(pool, settings.secret_key.get_secret_value(), PORT)
    opened = {key.format(user_id=user_id): value for key, value in OPENED[name].items()}
    page = open_page(name, profile_id=user_id, flash=RAW[0], **opened)
    assert not page.exception
    found = list(texts_in(page))
    if page._fragment_storage._fragments:  # they are drawn again without the page around them
        page = run_parts(page)
        assert not page.exception
        found += texts_in(page)
    looked = 0
    for kind, field, text in found:
        if field not in PARSED or text.startswith("# Consent to recording"):  # which is Markdown of the project's own
            continue
        looked += 1
        if kind == "html":
            assert "<img src=http" not in text
            assert "<script" not in text
            continue
        assert [one for one in RAW if one in text] == [], (kind, field)
        made = cmarkgfm.github_flavored_markdown_to_html(text)
        assert not FOREIGN.search(made), (kind, field, made)
    assert looked > 10
    if name not in ("", USERS):
        assert any("127.0.0.1" in text for _, field, text in found if field in PARSED)


def test_name_of_the_profile_without_a_model_asks_nobody(open_page: Open, pool: Pool, settings: Settings) -> None:
    user_id = fill(pool, settings.secret_key.get_secret_value(), PORT)
    page = open_page(LIVE, profile_id=user_id + 3)
    assert r"\[x\](javascript" in all_text(page)
    assert "has no model yet" in all_text(page)


def test_error_with_a_name_is_a_sentence(open_page: Open, pool: Pool, settings: Settings) -> None:
    user_id = fill(pool, settings.secret_key.get_secret_value(), PORT)
    page = open_page(GESTURES, profile_id=user_id)
    page.text_input(key="new-name").input(names(PORT)["picture"])
    next(one for one in page.button if one.key == f"add-for-{user_id}").click()
    page.run()
    assert [one.value for one in page.error] == [
        "Choose another name: the gesture bank already has 'x!\\[\\](http:\u2060//127.0.0.1:9/p.png)'."
    ]
