"""CITATION.cff says of the project what pyproject.toml and LICENSE say."""

from __future__ import annotations

import tomllib

import yaml

from semg.settings import PROJECT_DIR


def test_citation_agrees_with_the_project() -> None:
    said = yaml.safe_load((PROJECT_DIR / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert said["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= said.keys()
    assert (said["version"], said["license"]) == (project["version"], project["license"])
    assert [one["name"] for one in said["authors"]] == [one["name"] for one in project["authors"]]
    holder = said["authors"][0]["name"]
    assert f"Copyright (c) 2026 {holder}" in (PROJECT_DIR / "LICENSE").read_text(encoding="utf-8")
    readme = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {said['title']}\n")
