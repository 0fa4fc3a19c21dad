"""What a page's message may hold: as much as a page of this app sends, counted before anything is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.BackMsg_pb2 import BackMsg

from gate import page_messages
from gate.page_messages import (
    MAX_FIELDS,
    MAX_FILES,
    MAX_NUMBERS,
    MAX_PARTS,
    MAX_TEXT,
    MAX_WIDGETS,
    is_countable,
    parsed,
)


def rerun(**context: str) -> BackMsg:
    message = BackMsg()
    message.rerun_script.query_string = context.pop("query_string", "")
    for name, value in context.items():
        setattr(message.rerun_script.context_info, name, value)
    return message


def with_widgets(n: int) -> BackMsg:
    message = rerun()
    for number in range(n):
        message.rerun_script.widget_states.widgets.add(id=f"{number}", bool_value=True)
    return message


def with_numbers(n: int) -> BackMsg:
    message = rerun()
    message.rerun_script.widget_states.widgets.add(id="x").double_array_value.data.extend([0.5] * n)
    return message


def with_json(text: str) -> BackMsg:
    message = rerun()
    message.rerun_script.widget_states.widgets.add(id="x", json_trigger_value=text)
    return message


def with_hashes(n: int) -> BackMsg:
    message = rerun()
    message.rerun_script.cached_message_hashes.extend([""] * n)
    return message


def files(*names: str) -> BackMsg:
    message = BackMsg()
    message.file_urls_request.file_names.extend(names)
    return message


LONG = "x" * (MAX_TEXT + 1)


@pytest.mark.parametrize(
    "message",
    [
        with_widgets(MAX_WIDGETS), with_numbers(MAX_NUMBERS - 2), with_hashes(MAX_FIELDS - 10), files("a.csv", "b.csv"),
        with_json('{"content": "' + "A" * 900_000 + '"}'),
        rerun(url="http://127.0.0.1/", query_string="profile=3"),
    ],
    ids=["widgets", "numbers", "hashes", "files", "picture", "page"],
)  # fmt: skip
def test_message_of_a_page_is_passed_on(message: BackMsg) -> None:
    assert parsed(message.SerializeToString()) == message


@pytest.mark.parametrize(
    "message",
    [
        with_widgets(MAX_WIDGETS + 1), with_numbers(MAX_NUMBERS + 1), with_hashes(MAX_FIELDS), files(LONG),
        files(*[""] * (MAX_FILES + 1)), rerun(query_string=LONG), rerun(url="http://a" + LONG), rerun(timezone=LONG),
        rerun(locale=LONG), with_json("[" * (MAX_PARTS + 1)), with_json("[[]" + ",[]" * MAX_PARTS + "]"),
    ],
)  # fmt: skip
def test_message_that_asks_for_more_work_than_a_page_does_is_dropped(message: BackMsg) -> None:
    assert parsed(message.SerializeToString()) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\xa2\x06\x00" * (MAX_FIELDS + 1), b"\x22\x05", b"\x0b\x0c", b"\xff" * 20, b"\x22\xff\xff\xff\xff\x0f",
        b"\x09\x00",
    ],
    ids=["unknown-fields", "cut-off", "group", "endless-number", "too-long", "half-a-number"],
)  # fmt: skip
def test_what_is_no_message_is_dropped(data: bytes) -> None:
    assert not is_countable(data)


def test_counting_stops_where_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, really = [], page_messages._Count._varint
    monkeypatch.setattr(page_messages._Count, "_varint", lambda *args: seen.append(1) or really(*args))
    states = with_widgets(20_000).SerializeToString()
    assert not is_countable(states)
    assert len(seen) < 10 * MAX_WIDGETS


@given(st.binary(max_size=300))
def test_no_bytes_pass_that_streamlit_cannot_read(data: bytes) -> None:
    message = parsed(data)
    assert message is None or message == BackMsg.FromString(data)
