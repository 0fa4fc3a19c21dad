"""Electrode placements: every channel is there, names are text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from semg.pictures import placement_svg
from semg.pictures.placement import MOST_PAIRS, MUSCLES
from ui.profile_form import PRESETS, Preset

NAME = "{http://www.w3.org/2000/svg}"
SHAPES = {"svg", "title", "rect", "g", "path", "circle", "ellipse", "text"}


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{NAME}text")]


@pytest.mark.parametrize("preset", PRESETS, ids=[preset.label for preset in PRESETS])
def test_placement_of_a_preset_shows_its_channels_and_the_muscles(preset: Preset) -> None:
    svg = placement_svg(preset.device.sensor, preset.device.channels)
    assert svg == placement_svg(preset.device.sensor, preset.device.channels)
    said = texts(svg)
    assert set(preset.device.channels) <= set(said)
    assert {f"{muscle.name} ({muscle.short})" for muscle in MUSCLES} <= set(said)
    assert ("ref" in said) == (preset.device.n_channels <= MOST_PAIRS)
    kinds = {each.tag.removeprefix(NAME) for each in ElementTree.fromstring(svg).iter()}
    assert kinds <= SHAPES


def test_long_names_are_numbers_and_short_ones_are_text() -> None:
    said = texts(placement_svg("envelope", ["flexor carpi", "<b>", "a&b"]))
    assert {"1", "<b>", "a&b"} <= set(said)
    assert "flexor carpi" not in said
    assert {"1", "16"} <= set(texts(placement_svg("raw", [f"channel {number}" for number in range(16)])))
