"""The overview: what runs, who sends, where to go next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from semg.privacy.consent import TEST_PERSON
from semg.security.board_keys import make_board
from semg.store import boards, profiles, senders, services
from semg.store.pool import Pool, execute
from testing.kits.page_data import CAPTURE, LIVE, Open, act, all_text, insert_models, now, store_noise
from testing.kits.page_parts import table_rows

pytestmark = pytest.mark.servers


def test_overview_of_an_empty_installation_leads_to_the_first_profile(open_page: Open) -> None:
    page = open_page()
    assert "Welcome" in all_text(page)
    assert "No device is connected" in all_text(page)


def test_overview_shows_services_and_why_a_sender_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    source = {"address": "10.0.0.7:2390", "user_id": profile_id, "rate_hz": 200.0, "channels": 4, "values": [1.0, 2.0],
              "device_ms": 5, "state": "channel_count", "age_s": 0.1}  # fmt: skip
    taken = source | {"state": "ok", "clock_error_ms": 1.25, "clock_drift_ppm": -20.4}
    with pool.transaction() as tx:
        metrics = {"accepted": 10, "missing": 0, "sources": [source, taken]}
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), metrics)
    page = open_page()
    assert not page.exception
    rows = table_rows(page)
    assert [row["Profile"] for row in rows] == ["Ada", "Ada"]
    assert [row["Clock"] for row in rows] == ["", "± 1.2 ms, -20 ppm"]
    assert "the number of channels differs" in rows[0]["State"]


def show_sender(pool: Pool, **source: object) -> None:
    seen = {"address": "10.0.0.7:2390", "rate_hz": 200.0, "channels": 4, "values": [1.0, 2.0], "age_s": 0.1} | source
    with pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), {"accepted": 10, "missing": 0, "sources": [seen]})


def test_number_that_is_nobodys_is_assigned_and_released(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Aaron", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    show_sender(pool, user_id=77_000, state="unknown_profile")
    page = open_page()
    assert "**number 77000** at 10.0.0.7:2390 is not assigned to a profile; it sends 4 channels" in all_text(page)
    whom = page.selectbox(key="assign-to-n77000")
    assert whom.options == ["Ada", "Aaron (expects 1 channel)"]  # who has as many channels comes first
    act(page, "assign-n77000").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        assert senders.list_senders(tx) == {77_000: profile_id}
    show_sender(pool, user_id=77_000, state="ok")
    page = open_page()
    row = table_rows(page)[0]
    assert (row["Identifies as"], row["Profile"], row["State"]) == ("number 77000", "Ada", "● accepted")
    assert row["Samples/s"] == "200 of 200"
    page.button(key="release-77000").click().run()
    with pool.transaction() as tx:
        assert senders.list_senders(tx) == {}


def test_board_that_is_nobodys_is_assigned(open_page: Open, pool: Pool, profile_id: int, settings: Any) -> None:
    with pool.transaction() as tx:
        board_id, _ = make_board(tx, settings.secret_key.get_secret_value(), "Left band")
    show_sender(pool, user_id=None, board_id=board_id, state="unassigned_board")
    page = open_page()
    assert "**board Left band**" in all_text(page)
    act(page, f"assign-b{board_id}").click().run()
    with pool.transaction() as tx:
        assert boards.get_board(tx, board_id).user_id == profile_id


def test_number_that_became_a_profiles_own_meanwhile_is_not_assigned(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Ben", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    show_sender(pool, user_id=other + 1, state="unknown_profile")
    page = open_page()
    with pool.transaction() as tx:
        assert profiles.insert_profile(tx, "Cid", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON) == other + 1
    act(page, f"assign-n{other + 1}").click().run()
    with pool.transaction() as tx:
        assert senders.list_senders(tx) == {}


def received(**changes: object) -> dict[str, object]:
    """What udpserver reports of a good stream of Ada's device: 4 channels, 200 Hz, 0 to 4095."""
    good = {"age_s": 0.1, "seconds": 10.0, "datagrams": 2000, "samples": 2000, "refused": {}, "missing": 0, "late": 0,
            "long_s": 60.0, "runs": 1, "segments": 1, "low": 100.0, "high": 3000.0, "channels": 4}  # fmt: skip
    return good | changes


def show_stream(pool: Pool, user_id: int, **changes: object) -> None:
    source = {"address": "10.0.0.7:2390", "user_id": user_id, "rate_hz": 200.0, "channels": 4, "values": [1.0],
              "state": "ok", "age_s": 0.1}  # fmt: skip
    metrics = {"sources": [source], "streams": {str(user_id): received(**changes)}}
    with pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), metrics)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "● good"),
        ({"low": 1958.0, "high": 70_000.0}, "■ Ada's values run from 1958 to 70000, beyond the range 0 to 4095"),
        ({"samples": 900, "datagrams": 900}, "■ Ada's device sends 90 samples/s, but 200 is set"),
        ({"refused": {"second_sender": 2000}}, "■ 50% of the data sent for Ada is refused: two devices send for Ada"),
        ({"missing": 400, "samples": 1600}, "■ 20.0% of Ada's samples are lost"),
        ({"segments": 30}, "■ Ada's device restarted, or its clock jumped, 29 times"),
    ],
)
@pytest.mark.parametrize("where", ["overview", LIVE, CAPTURE])
def test_stream_is_judged_alike_on_every_page(
    open_page: Open, pool: Pool, profile_id: int, changes: dict[str, object], said: str, where: str
) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 30)
    show_stream(pool, profile_id, **changes)
    page = open_page() if where == "overview" else open_page(where)
    assert not page.exception
    if where == "overview":
        row = table_rows(page)[0]
        assert (row["State"][0], "200 samples/s" in row["Stream"]) == (said[0], "samples" not in changes)
    shown = " ".join([*(one.body for one in page.html), *(one.value for one in page.warning)]).replace("&#x27;", "'")
    if said != "● good":
        assert said[2:] in shown
    elif where != "overview":
        assert "0.0% lost" in shown


@pytest.mark.parametrize("where", ["overview", LIVE, CAPTURE])
def test_range_that_does_not_fit_is_set_by_a_button(open_page: Open, pool: Pool, profile_id: int, where: str) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 30)
    show_stream(pool, profile_id, low=-90.0, high=80.0)
    page = open_page() if where == "overview" else open_page(where)
    name = {"overview": "fix-overview", LIVE: "fix-live", CAPTURE: "fix-capture"}[where]
    act(page, f"{name}-range").click().run()
    assert not page.exception
    assert [one.value for one in page.error] == []
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, profile_id).device
    assert (device.adc_min, device.adc_max) == (-128.0, 127.0)


def test_text_that_cannot_be_read_is_shown_with_a_line_that_would_be_right(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    show_sender(pool, user_id=None, state="json", said='{"user": 21, "data": [500]}')
    page = open_page()
    assert not page.exception
    (warning,) = [one.value for one in page.warning]
    assert "JSON was received" in warning
    assert f"{profile_id},1000,2048,2048,2048,2048" in warning
    said = all_text(open_page(CAPTURE))
    assert "No data is arriving for Ada. A device at 10.0.0.7:2390 sends data that cannot be read" in said


def test_windows_and_decisions_are_expected_where_a_model_is_active(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    insert_models(pool, profile_id, 1)
    show_stream(pool, profile_id)
    assert table_rows(open_page())[0]["State"] == "● good"  # it takes seconds to the first decision
    with pool.transaction() as tx:
        execute(tx, "UPDATE active_models SET activated_at = activated_at - interval '1 min'")
    assert table_rows(open_page())[0]["State"] == "■ no complete window"
    with pool.transaction() as tx:
        decided = {str(profile_id): {"seconds": 10.0, "windows": 200, "decisions": 200}}
        services.upsert_service(tx, "nat_inference", "a:2", 2, now(), {"streams": decided})
    row = table_rows(open_page())[0]
    assert (row["State"], row["Stream"][-47:]) == ("● good", "restarts/min · 20.0 windows/s, 20.0 decisions/s")
