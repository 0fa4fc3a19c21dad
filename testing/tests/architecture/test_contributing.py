"""CONTRIBUTING.md names only what is there."""

from __future__ import annotations

import re

from semg.settings import PROJECT_DIR

TEXT = (PROJECT_DIR / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", PROSE)
FOLDERS = ("semg", "ml_model", "streamlit_apps", "udpserver", "db", "testing")


def test_every_link_leads_to_a_file() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT) if "://" not in target]
    assert len(targets) > 5
    assert [target for target in targets if not (PROJECT_DIR / target).exists()] == []


def test_every_named_file_is_there() -> None:
    words = {word for code in CODE for word in code.split() if re.fullmatch(r"[\w./-]+\.(py|sh|sql|md|txt|toml)", word)}
    assert len(words) > 20
    by_name = {path.name for folder in FOLDERS for path in (PROJECT_DIR / folder).rglob("*.*")}
    examples = {"db/migrations/NNNN_what_it_does.sql", "streamlit_apps/pages/N_Its_Name.py"}
    places = ("", "streamlit_apps")
    missing = {
        word
        for word in words - examples
        if not any((PROJECT_DIR / place / word).exists() for place in places) and word not in by_name
    }
    assert missing == set()


def test_every_named_function_and_constant_is_in_the_source() -> None:
    named = {code for code in CODE if re.fullmatch(r"\w*_\w+|[A-Z][A-Za-z]+|[A-Z_]{5,}", code)}
    source = "\n".join(
        path.read_text(encoding="utf-8") for folder in FOLDERS for path in (PROJECT_DIR / folder).rglob("*.py")
        if path.name != "test_contributing.py"
    )  # fmt: skip
    assert len(named) > 15
    assert {name for name in named if not re.search(rf"\b{name}\b", source)} == set()


def test_every_word_of_make_is_a_target() -> None:
    makefile = (PROJECT_DIR / "Makefile").read_text(encoding="utf-8")
    named = {code.split()[1] for code in CODE if code.startswith("make ")}
    assert named == {"start", "stop", "test", "fast", "lint"}
    assert {word for word in named if f"\n{word}:" not in makefile} == set()


def test_no_placeholder_is_left() -> None:
    assert "@@" not in TEXT
