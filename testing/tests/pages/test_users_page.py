"""Profiles: made, changed, found, erased."""

from __future__ import annotations

from datetime import timedelta

import pytest
import udpsim

from semg.privacy.consent import TEST_PERSON
from semg.settings import load_settings
from semg.store import profiles
from semg.store.pool import Pool
from testing.kits.page_data import USERS, Open, all_text, button, field, make_session, now
from testing.kits.page_parts import table_rows
from ui.profile_form import PRESETS

pytestmark = pytest.mark.servers


def test_profile_is_created_with_its_device(open_page: Open, pool: Pool) -> None:
    page = open_page(USERS)
    field(page.text_input, "Name or code").input("Grace")
    field(page.text_input, "Channels, in the order the device sends them").input("flexor, extensor")
    button(page, "Create profile").click().run()
    assert not page.exception
    assert "**Grace** was created" in all_text(page)
    with pool.transaction() as tx:
        made = profiles.find_profile_by_name(tx, "Grace")
    assert made is not None
    assert made.device.channels == ("flexor", "extensor")
    assert (made.device.rate_hz, made.device.sensor) == (200.0, "raw")


def test_profile_with_a_bad_channel_name_is_refused_with_the_field(open_page: Open, pool: Pool) -> None:
    page = open_page(USERS)
    field(page.text_input, "Name or code").input("Grace")
    field(page.text_input, "Channels, in the order the device sends them").input("a0, a 1")
    button(page, "Create profile").click().run()
    assert "Rename the channel 'a 1'" in page.error[0].value
    with pool.transaction() as tx:
        assert profiles.list_profiles(tx) == []


def test_preset_fills_the_device(open_page: Open) -> None:
    page = open_page(USERS)
    preset = field(page.selectbox, "Sensor")
    preset.select(next(one for one in preset.options if "Myo" in one)).run()
    names = field(page.text_input, "Channels, in the order the device sends them").value
    assert names == "a0, a1, a2, a3, a4, a5, a6, a7"
    assert field(page.number_input, "Lowest value").value == -128


def test_device_that_loses_a_used_channel_is_saved(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.update_profile(tx, profile_id, channels_used=["a0", "a3"])
    page = open_page(USERS)
    field(page.text_input, "Channels, in the order the device sends them").input("a0, a1")
    button(page, "Save Ada").click().run()
    assert not page.error
    with pool.transaction() as tx:
        profile = profiles.get_profile(tx, profile_id)
    assert profile.device.channels == ("a0", "a1")
    assert profile.channels_used == ("a0",)


def test_profile_is_found_by_its_note_and_keeps_it_when_it_is_saved(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    with pool.transaction() as tx:
        profiles.update_profile(tx, profile_id, notes="Sweats after TEN minutes")
    page = open_page(USERS, profile_id=profile_id)
    field(page.text_input, "Search").input("ten min").run()
    assert "No profile matches" not in all_text(page)
    assert field(page.text_area, "Notes").value == "Sweats after TEN minutes"
    button(page, "Save Ada").click().run()
    with pool.transaction() as tx:
        assert profiles.get_profile(tx, profile_id).notes == "Sweats after TEN minutes"
    field(page.text_input, "Search").input("nobody's note").run()
    assert "No profile matches" in all_text(page)


def test_taken_name_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ben", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    page = open_page(USERS, profile_id=profile_id)
    field(page.text_input, "Name or code").input("Ben")
    button(page, "Save Ada").click().run()
    assert "already exists" in page.error[0].value


def test_search_finds_by_part_of_a_name(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ben", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    page = open_page(USERS)
    field(page.text_input, "Search").input("be").run()
    assert [row["Name"] for row in table_rows(page)] == ["Ben"]
    field(page.text_input, "Search").input("nobody").run()
    assert "No profile matches" in all_text(page)


def test_profile_is_erased_only_after_its_name_was_typed(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(USERS)
    next(one for one in page.toggle if one.label == "Show what would be deleted").set_value(True).run()
    assert "- 2,400 samples\n- 1 session with 4 repetitions, and their videos" in all_text(page)
    assert button(page, "Delete Ada permanently").disabled
    field(page.text_input, "Type the name to confirm").input("Ada").run()
    button(page, "Delete Ada permanently").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        assert profiles.list_profiles(tx) == []


def test_simulator_of_the_readme_fits_a_preset(open_page: Open, pool: Pool) -> None:
    simulated = next(preset.device for preset in PRESETS if "udpsim" in preset.label)
    options = udpsim.parse_arguments(load_settings(None), [])
    assert (options.channels or 8, options.rate_hz or 200.0, options.sensor) == (
        simulated.n_channels, simulated.rate_hz, simulated.sensor,
    )  # fmt: skip
    (source,) = udpsim.make_sources(options, [21]).values()
    samples = next(source).samples
    assert simulated.adc_min <= samples.min() <= samples.max() <= simulated.adc_max
    assert simulated.allow_v1
    assert not PRESETS[0].device.allow_v1, "text is taken only where it was asked for"
