"""Drawn hands: every name of the ready-made banks has one, and a picture holds nothing but shapes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from semg.pictures import data_uri, hand_svg, names, posture_of
from semg.pictures.hand import draw
from semg.pictures.postures import POSTURES
from testing import contact_sheet
from ui.banks import BANKS

SHAPES = {"svg", "title", "rect", "g", "path", "circle", "ellipse"}


@pytest.mark.parametrize("name", sorted({name for bank in BANKS.values() for name in bank} | {"rest"}))
def test_every_gesture_of_a_ready_made_bank_is_drawn(name: str) -> None:
    assert hand_svg(name) is not None


@pytest.mark.parametrize("posture", sorted(POSTURES))
def test_a_picture_is_well_formed_and_holds_shapes_only(posture: str) -> None:
    svg = hand_svg(posture)
    assert svg is not None
    assert draw(POSTURES[posture], posture) == svg, "the same every time"
    tree = ElementTree.fromstring(svg)
    kinds = {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in tree.iter()}
    assert kinds <= SHAPES
    attributes = {name for element in tree.iter() for name in element.attrib}
    assert not {name for name in attributes if name.startswith("on") or "href" in name or name == "style"}
    assert "url(" not in svg
    assert svg.count("http") == 1, "the name space"
    assert not re.search(r"nan|inf\b", svg)
    assert len(svg) < 12_000


def test_no_two_postures_look_the_same() -> None:
    drawn = [draw(posture, "") for posture in POSTURES.values()]
    assert len(set(drawn)) == len(POSTURES)


@pytest.mark.parametrize(
    ("name", "posture"),
    [
        ("Open_Hand", "open hand"),
        ("  FIST ", "fist"),
        ("wrist-flexion", "wrist flexion"),
        ("flexion", "wrist flexion"),
        ("Lateral pinch", "key grip"),
        ("thumbs up", "thumb up"),
        ("relax", "rest"),
        ("PUÑO", "fist"),
        ("Faust", "fist"),
        ("Hand schließen", "fist"),
        ("wrist left", "radial deviation"),
    ],
)
def test_other_names_and_spellings_are_known(name: str, posture: str) -> None:
    assert posture_of(name) == posture
    assert hand_svg(name) == hand_svg(posture)


@pytest.mark.parametrize("name", ["", "left", "<b>fist</b>", "my gesture 7", "fist\u200b!", "x" * 5000])
def test_a_name_that_is_not_known_has_no_picture(name: str) -> None:
    assert hand_svg(name) is None


def test_no_name_means_two_postures_and_each_posture_has_its_names() -> None:
    meant: dict[str, set[str]] = {}
    for posture, others in names.OTHER_NAMES.items():
        for name in (posture, *others):
            meant.setdefault(names.plain_form(name), set()).add(posture)
    assert {name: postures for name, postures in meant.items() if len(postures) > 1} == {}
    assert set(names.OTHER_NAMES) == set(POSTURES)


def test_a_title_is_text() -> None:
    svg = draw(POSTURES["fist"], '<script>"&')
    assert ElementTree.fromstring(svg).findtext("{http://www.w3.org/2000/svg}title") == '<script>"&'


def test_address_of_a_picture_is_its_own_content() -> None:
    assert data_uri("<svg/>") == "data:image/svg+xml;base64,PHN2Zy8+"


def test_contact_sheet_of_the_documents_is_current() -> None:
    assert contact_sheet.main(["--check"]) == 0, "run python testing/contact_sheet.py"
