"""The sentences that participants read, by language: one file a language, the same keys in each.

A researcher's pages are in English. What a person reads while the electrodes are on the arm (prompts, consent, the
plain live view, the phone) comes from here, in the language that the profile names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch", "es": "Español"}
"""Code (ISO 639-1) and the language's own name."""
DEFAULT_LANGUAGE = "en"
_FOLDER = Path(__file__).parent


def sentence(language: str, key: str, **values: object) -> str:
    """Return a sentence of the catalogue with its values filled in; it is plain text, not Markdown.

    Parameters
    ----------
    language
        A code of ``LANGUAGES``; any other is answered in English.
    key
        Room and name, as in ``capture.relax``.
    values
        What stands in braces in the sentence.

    Raises
    ------
    KeyError
        The catalogue has no such sentence, or a value is missing.
    """
    return _catalogue(language)[key].format(**values)


def sentences(language: str, room: str) -> dict[str, str]:
    """Return all sentences of a room by their names, braces unfilled: for a component that fills them in a browser."""
    prefix = room + "."
    return {key.removeprefix(prefix): text for key, text in _catalogue(language).items() if key.startswith(prefix)}


@cache
def _catalogue(language: str) -> dict[str, str]:
    code = language if language in LANGUAGES else DEFAULT_LANGUAGE
    return dict(_flat(tomllib.loads((_FOLDER / f"{code}.toml").read_text(encoding="utf-8")), ""))


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, str(value)
