"""What participants read comes from the catalogue: their components hold no sentence of their own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from semg import languages
from semg.domain import Gesture
from semg.languages import LANGUAGES
from semg.privacy.consent import DEFAULT_TEXT, read_text
from semg.settings import PROJECT_DIR, Settings
from ui.banks import BANKS

UI = PROJECT_DIR / "streamlit_apps" / "ui"
SCRIPTS = (
    "capture_prompt.js", "capture_schedule.js", "capture_sound.js", "capture_fit.js", "live/plain.js", "live/talk.js",
    "live/aac.js", "live/aac_settings.js", "live/settings_panel.js", "live/speech.js", "live/pictures.js",
)  # fmt: skip
FUNCTIONS = (
    ("participant_view.py", "_prompt"),
    ("capture_prompt.py", "capture_prompt"),
    ("capture_prompt.py", "prompt_plan"),
    ("live_view.py", "plain_view"),
    ("play_view.py", "play_view"),
)
"""Scripts and functions of which everything that is shown, a participant reads."""
_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\w])//[^\n]*", re.DOTALL)
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'|`((?:[^`\\]|\\.)*)`')
_FOR_PROGRAMMERS = re.compile(r"console\.\w+\([^\n]*|new Error\([^\n]*|\bimport [^\n]*")
_SENTENCE = re.compile(r"^[A-ZÄÖÜ¿¡][a-zäöüß]{2,}(?![a-zA-Z])|\b[A-Za-z]{2,} [a-z]{2,}\b")
_KEYS = {"Enter", "Escape", "Tab", "Home", "End", "Space"}


def literals(script: str) -> Iterator[str]:
    """Yield the texts in a script that could be shown."""
    for found in _LITERAL.finditer(_FOR_PROGRAMMERS.sub("", _COMMENT.sub("", script))):
        yield re.sub(r"\$\{[^}]*\}", "", next(one for one in found.groups() if one is not None))


def gesture(name: str, description: str) -> Gesture:
    return Gesture(gesture_id=1, user_id=1, name=name, description=description, position=1)


def is_sentence(text: str) -> bool:
    """Return whether a text reads like one for people, and not like a class, a key or a property."""
    return _SENTENCE.search(text) is not None and text not in _KEYS and not re.search(r"[;{}\[\]=<>]|^[a-z -]+$", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_of_participants_hold_no_sentence(name: str) -> None:
    script = (UI / name).read_text(encoding="utf-8")
    assert [text for text in literals(script) if is_sentence(text)] == []


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_functions_of_participants_hold_no_sentence(name: str, function: str) -> None:
    tree = ast.parse((UI / name).read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    documentation = ast.get_docstring(found, clean=False)
    texts = [node.value for node in ast.walk(found) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in texts if text != documentation and is_sentence(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_ready_made_gesture_is_in_every_language_with_how_it_is_performed(language: str) -> None:
    bank = [gesture(name, languages.description(name)) for each in BANKS.values() for name in each]
    assert {one.name for one in bank} == set(languages.names()), "the catalogue has the gestures of the banks"
    called, described = languages.shown_names(bank, language), languages.shown_descriptions(bank, language)
    for one in bank:
        same = language == languages.DEFAULT_LANGUAGE
        assert (called[one.name] == one.name) is same
        assert (described[one.name] == one.description) is same
    assert len(set(called.values())) == len(called), "no two gestures read alike"
    phrases = languages.sentences(language, "phrases")
    assert {phrase for each in BANKS.values() for phrase in each.values() if phrase} == set(phrases)


def test_what_somebody_typed_is_shown_as_typed() -> None:
    bank = [
        gesture("fist", "Close the hand firmly."), gesture("pinch", ""), gesture("Fist 2", "Close the hand firmly."),
        gesture("point", "Zeig auf die Tür."), gesture("constructor", ""), gesture("rest", ""),
    ]  # fmt: skip
    assert languages.shown_names(bank, "de") == {
        "fist": "Faust", "pinch": "Spitzgriff", "Fist 2": "Fist 2", "point": "point", "constructor": "constructor",
        "rest": "rest",
    }  # fmt: skip
    assert languages.shown_descriptions(bank, "de") == {
        "fist": "Die Hand fest schließen.", "pinch": "", "Fist 2": "Close the hand firmly.",
        "point": "Zeig auf die Tür.", "constructor": "", "rest": "",
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(UI.glob("*.py")), ids=lambda path: path.name)
def test_no_module_of_the_app_holds_what_the_catalogue_says_of_a_gesture(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert texts & {languages.description(name) for name in languages.names()} == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [("Get ready", True), ("Paused", True), ("perform now", False), ("Perform now", True), ("Noch 3 s", True),
     ("talk-buttons", False), ("Enter", False), ("max-width: 3px;", False), ("no-more words here", False)],
)  # fmt: skip
def test_a_sentence_is_told_from_a_name(text: str, found: bool) -> None:
    assert is_sentence(text) is found


def test_a_sentence_in_a_script_is_found() -> None:
    script = 'this.kind.textContent = paused ? "Paused" : `Next: ${name}`; // Not this\nconsole.warn("Nor this one");'
    assert [text for text in literals(script) if is_sentence(text)] == ["Paused", "Next: "]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_consent_text_is_in_every_language_and_a_version_of_its_own(language: str) -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    texts = {one: read_text(settings, one) for one in LANGUAGES}
    assert len({one.version for one in texts.values()}) == len(LANGUAGES)
    assert texts[language].content.count("**") == texts["en"].content.count("**")
    assert texts["en"].content in DEFAULT_TEXT.read_text(encoding="utf-8")


def test_an_own_consent_text_is_read_in_the_language_that_lies_beside_it(tmp_path: Path) -> None:
    own = tmp_path / "ours.md"
    own.write_text("Version 7\n\nOurs.", encoding="utf-8")
    (tmp_path / "ours.de.md").write_text("Version 7, Deutsch\n\nUnserer.", encoding="utf-8")
    settings = Settings(_env_file=None, consent_file=own)  # type: ignore[call-arg]
    assert read_text(settings, "de").content == "Unserer."
    assert read_text(settings, "es").version == "version 7"
    assert read_text(settings, "../de").content == "Ours."
