"""The README names only what is there."""

from __future__ import annotations

import re

from semg.settings import PROJECT_DIR, Settings
from testing.running_system import ALL

README = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")


def test_every_link_and_picture_leads_to_a_file() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    local = [target for target in targets if "://" not in target]
    assert local
    assert [target for target in local if not (PROJECT_DIR / target).exists()] == []


def test_every_named_script_is_there() -> None:
    named = set(re.findall(r"[\w/.]+\.(?:py|sh|ino|sql)\b", README))
    folders = ("", "udpserver", "ml_model", "testing", "streamlit_apps")
    missing = [
        name for name in named if not any((PROJECT_DIR / folder / name.lstrip("./")).exists() for folder in folders)
    ]
    assert missing == []


def test_picture_of_the_architecture_names_every_service() -> None:
    picture = (PROJECT_DIR / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8").lower()
    assert [name for name in ALL if f">{name}" not in picture] == []


def test_every_named_setting_exists() -> None:
    section = README.split("## Settings", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})`", section))
    known = {name.upper() for name in Settings.model_fields} | {"PORT", "USER", "PASSWORD"}
    assert named - known == set()


def test_example_is_the_client_that_is_tested() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert code == (PROJECT_DIR / "docs" / "examples" / "listen.py").read_text(encoding="utf-8")


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README
