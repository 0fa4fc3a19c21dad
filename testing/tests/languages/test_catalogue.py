"""The catalogue of what participants read: the same sentences in every language, with the same values."""

from __future__ import annotations

import string

import pytest

from semg import languages
from semg.languages import catalogue


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_every_language_has_every_sentence_with_its_values(language: str) -> None:
    english, other = catalogue._catalogue("en"), catalogue._catalogue(language)
    assert other.keys() == english.keys()
    assert {key: fields(text) for key, text in other.items()} == {key: fields(text) for key, text in english.items()}
    assert all(text == text.strip() and text for text in other.values())


def test_values_are_filled_in() -> None:
    assert languages.sentence("de", "capture.first", gesture="Faust") == "Zuerst: Faust"


def test_an_unknown_language_is_answered_in_english() -> None:
    assert languages.sentence("xx", "capture.relax") == "Relax"


def test_a_room_is_given_whole() -> None:
    assert languages.sentences("es", "live")["stopped"] == "Sin señal"
    assert all("." not in key for key in languages.sentences("en", "capture"))


def test_an_unknown_sentence_is_a_fault() -> None:
    with pytest.raises(KeyError):
        languages.sentence("en", "capture.nothing_of_the_kind")
