"""Cells of CSV files: no text is a formula, every text comes back, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.wire.csv_cells import Writer, neutral, restored

STARTS = "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize("start", STARTS)
def test_formulas_get_an_apostrophe(start: str) -> None:
    text = f'{start}HYPERLINK("http://x")'
    assert neutral(text) == "'" + text
    assert restored(neutral(text)) == text


@pytest.mark.parametrize(
    "value", [-5, 1.5, None, True, "-5", "+1.5e-3", "-0.25", "fist", "it's", "'quoted'", "", "a=b"]
)
def test_all_else_stays_as_it_is(value: object) -> None:
    assert neutral(value) == value
    assert type(neutral(value)) is type(value)


@given(st.text(st.sampled_from(STARTS + "'1.e a")) | st.text())
def test_every_text_comes_back_and_none_is_a_formula(text: str) -> None:
    written = neutral(text)
    assert restored(written) == text
    assert not written.startswith(tuple(STARTS)) or float(written) is not None


@given(st.lists(st.text(max_size=5), unique=True, max_size=20))
def test_different_texts_stay_different(texts: list[str]) -> None:
    assert len({neutral(text) for text in texts}) == len(texts)


def test_writer_looks_at_texts_of_every_type() -> None:
    class Loud(str):
        __slots__ = ()

    out = io.StringIO()
    rows = Writer(out)
    rows.writerow(["=name", "b"])
    rows.writerows([[Loud("=x"), -1, -0.5, None], [{"=": 1}, datetime(2026, 1, 1, tzinfo=UTC), True, "+1+1"]])
    rows.write_numbers([("-1.5", 7)])
    assert list(csv.reader(io.StringIO(out.getvalue()))) == [
        ["'=name", "b"],
        ["'=x", "-1", "-0.5", ""],
        ["{'=': 1}", "2026-01-01 00:00:00+00:00", "True", "'+1+1"],
        ["-1.5", "7"],
    ]
