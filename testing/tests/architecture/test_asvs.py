"""The table of ASVS requirements is whole, and what it names as proof is there."""

from __future__ import annotations

import re
from collections import Counter

from semg.settings import PROJECT_DIR

LEVELS = {
    "1.1": "22", "1.2": "1111122223", "1.3": "112222222223", "1.4": "222", "1.5": "123",
    "2.1": "122", "2.2": "112", "2.3": "12223", "2.4": "23",
    "3.1": "3", "3.2": "113", "3.3": "12223", "3.4": "11222233", "3.5": "11122333", "3.6": "3", "3.7": "22333",
    "4.1": "12233", "4.2": "23333", "4.3": "22", "4.4": "1222",
    "5.1": "2", "5.2": "112333", "5.3": "113", "5.4": "222",
    "6.1": "122", "6.2": "111111112222", "6.3": "11223333", "6.4": "112233", "6.5": "22222333", "6.6": "2223",
    "6.7": "33", "6.8": "2222",
    "7.1": "222", "7.2": "1111", "7.3": "22", "7.4": "11222", "7.5": "223", "7.6": "22",
    "8.1": "1233", "8.2": "1123", "8.3": "133", "8.4": "23",
    "9.1": "111", "9.2": "1222",
    "10.1": "22", "10.2": "223", "10.3": "22223", "10.4": "1111122222233333", "10.5": "22222", "10.6": "22",
    "10.7": "222",
    "11.1": "2233", "11.2": "22233", "11.3": "11233", "11.4": "1222", "11.5": "23", "11.6": "23", "11.7": "33",
    "12.1": "12233", "12.2": "11", "12.3": "22223",
    "13.1": "2333", "13.2": "222223", "13.3": "2233", "13.4": "1222233",
    "14.1": "22", "14.2": "12223333", "14.3": "122",
    "15.1": "12233", "15.2": "12233", "15.3": "1222222", "15.4": "3333",
    "16.1": "2", "16.2": "22222", "16.3": "2222", "16.4": "222", "16.5": "2223",
    "17.1": "23", "17.2": "22223333", "17.3": "22",
}  # fmt: skip
"""Sections of ASVS 5.0.0 with the level of each of their requirements, in order."""
REQUIREMENTS = {f"{section}.{n}": int(level) for section, levels in LEVELS.items() for n, level in enumerate(levels, 1)}
TEXT = (PROJECT_DIR / "docs" / "asvs.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if re.match(r"\| \d+\.", line)
]
FILL = "(to fill)"


def test_standard_has_the_published_numbers_of_requirements() -> None:
    assert Counter(REQUIREMENTS.values()) == {1: 70, 2: 183, 3: 92}


def test_every_requirement_of_levels_1_and_2_stands_there_once() -> None:
    assert [(row[0], row[1]) for row in ROWS] == [
        (name, str(level)) for name, level in REQUIREMENTS.items() if level < 3
    ]


def test_every_row_says_how_it_stands_and_how_that_is_shown() -> None:
    for row in ROWS:
        assert len(row) == 5, row
        assert row[2], row
        assert row[3] in ("met", "partly", "not met", "not applicable"), row
        assert row[4], row


def test_every_named_test_and_document_is_there() -> None:
    tests, here = PROJECT_DIR / "testing" / "tests", PROJECT_DIR / "docs"
    named = set(re.findall(r"`([a-z_]+/test_\w+\.py)`", TEXT))
    assert len(named) > 50
    assert [name for name in sorted(named) if not (tests / name).is_file()] == []
    tools = re.findall(r"`(testing/\w+\.(?:sh|py))`", TEXT)
    assert [name for name in tools if not (PROJECT_DIR / name).is_file()] == []
    links = re.findall(r"\]\((\w+\.md)(?:#([\w-]+))?\)", TEXT)
    anchors = {
        (name, re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"))
        for name in {link[0] for link in links}
        for title in re.findall(r"^#+ (.*)$", (here / name).read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert [link for link in links if link[1] and link not in anchors] == []


def test_no_row_is_left_to_fill() -> None:
    assert [row[0] for row in ROWS if FILL in row[4]] == []
