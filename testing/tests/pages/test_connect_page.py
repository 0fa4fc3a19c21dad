"""The Connect page: what arrives is shown, and what does not fit is mended in place, as it is stored afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.ingest.stream_health import judge_stream
from semg.security.board_keys import make_board
from semg.settings import Settings
from semg.store import audit, boards, profiles, senders, services
from semg.store.pool import Pool
from semg.wire.stream_status import ReceivedStatus, as_metrics
from testing.kits.page_data import CONNECT, AsRole, Open, act, all_text, now

pytestmark = pytest.mark.servers


def report(pool: Pool, user_id: int | None, sources: list[dict[str, Any]] | None = None, **said: Any) -> None:
    """Let udpserver report a profile's stream and its senders."""
    # It goes on sending for a minute: a busy machine may take as long for a page.
    good: dict[str, Any] = {"age_s": -60.0, "seconds": 10.0, "datagrams": 2000, "samples": 2000, "long_s": 60.0,
                            "runs": 1, "segments": 1, "low": 100.0, "high": 4000.0, "channels": 4}  # fmt: skip
    streams = {} if user_id is None else as_metrics({user_id: ReceivedStatus(**(good | said))})
    with pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), {"streams": streams, "sources": sources or []})


def sender(**changed: Any) -> dict[str, Any]:
    return {"address": "10.0.0.7:2390", "rate_hz": 200.0, "channels": 4, "values": [1.0], "age_s": 0.1,
            "state": "ok"} | changed  # fmt: skip


def test_waits_for_the_first_packet_and_says_why_none_comes(open_page: Open, pool: Pool, profile_id: int) -> None:
    report(pool, None)
    page = open_page(CONNECT)
    assert not page.exception
    assert "Waiting for Ada's first packet" in all_text(page)
    assert "Switch the device on" in all_text(page)


def test_what_arrives_is_shown_beside_what_is_set(open_page: Open, pool: Pool, profile_id: int) -> None:
    report(pool, profile_id, [sender(user_id=profile_id)], clock_error_ms=1.25)
    page = open_page(CONNECT)
    shown = "".join(str(one.proto.body) for one in page.get("html"))
    for said in ("10.0.0.7:2390", "text (v1)", "200 samples/s", "200 set", "4 set", "100 to 4000", "± 1.2 ms"):
        assert said in shown, said
    assert "Waiting for" not in all_text(page)


@pytest.mark.parametrize(
    ("said", "kind", "field", "value"),
    [
        ({"samples": 5000, "datagrams": 5000}, "rate", "rate_hz", 500.0),
        ({"samples": 4975, "datagrams": 4975}, "rate", "rate_hz", 500.0),  # measured, so nearly round
        ({"low": -100.0, "high": 100.0}, "range", "adc_min", -128.0),
        ({"samples": 0, "channels": 6, "refused": {"channel_count": 900}}, "channels", "channels",
         ("a0", "a1", "a2", "a3", "a4", "a5")),
        ({"samples": 0, "channels": 2, "refused": {"channel_count": 900}}, "channels", "channels", ("a0", "a1")),
        ({"samples": 0, "refused": {"v1_not_allowed": 900}}, "allow_v1", "allow_v1", True),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_mended_by_one_press(
    open_page: Open, pool: Pool, profile_id: int, said: dict[str, Any], kind: str, field: str, value: object
) -> None:
    with pool.transaction() as tx:
        profiles.update_profile(tx, profile_id, channels_used=["a1", "a3"])
    report(pool, profile_id, [sender(user_id=profile_id)], **said)
    page = open_page(CONNECT)
    act(page, f"fix-connect-{kind}").click().run()
    assert not page.exception
    assert not page.error
    with pool.transaction() as tx:
        stored = profiles.get_profile(tx, profile_id)
        actions = [one.action for one in audit.list_entries(tx, user_id=profile_id)]
    assert getattr(stored.device, field) == value
    assert stored.channels_used == (("a1",) if value == ("a0", "a1") else ("a1", "a3"))
    assert "profile.changed" in actions


def test_more_channels_than_a_profile_can_have_are_not_offered(pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, profile_id).device
    received = ReceivedStatus(seconds=10, datagrams=9, channels=17, refused={"channel_count": 9})
    assert judge_stream("Ada", device, received).fix is None


def test_sender_of_nobodys_is_assigned_to_this_person(
    open_page: Open, pool: Pool, profile_id: int, settings: Settings
) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Aaron", channels=["a0"], rate_hz=200.0)
        board_id, _ = make_board(tx, settings.secret_key.get_secret_value(), "Left band")
    unknown = [sender(user_id=77_000, state="unknown_profile"),
               sender(user_id=None, board_id=board_id, state="unassigned_board")]  # fmt: skip
    report(pool, None, unknown)
    for button in ("assign-n77000", f"assign-b{board_id}"):
        page = open_page(CONNECT, profile_id=profile_id)
        assert [one.label for one in page.selectbox] == ["Profile"]  # whom it is for is not asked: Ada is chosen
        act(page, button).click().run()
        assert not page.error
    with pool.transaction() as tx:
        assert senders.list_senders(tx) == {77_000: profile_id}
        assert boards.get_board(tx, board_id).user_id == profile_id


def sketch_of(page: AppTest) -> dict[str, str]:
    for one in page.get("bidi_component"):
        data = json.loads(one.proto.json) if one.proto.json else {}
        if "folder" in data:
            return dict(data["files"])
    return {}


def test_board_gets_its_key_once_and_its_sketch_is_complete(
    open_page: Open, pool: Pool, profile_id: int, settings: Settings, as_role: AsRole
) -> None:
    report(pool, None)
    page = open_page(CONNECT)
    assert sketch_of(page) == {}  # without a key, nothing proves who sends
    act(page, "connect-key").click().run()
    assert not page.error
    with pool.transaction() as tx:
        (board,) = boards.list_boards(tx)
    assert board.user_id == profile_id
    assert board.name == f"Board {board.board_id}", "its name is seen by every researcher once it is nobody's"
    main = sketch_of(page)["arduinocode.ino"]
    for line in (f"#define BOARD_ID {board.board_id}\n", "#define SAMPLE_RATE_HZ 200\n", "#define CHANNELS 4\n",
                 f"remotePort = {settings.udp_port};"):  # fmt: skip
        assert line in main, line
    assert sketch_of(open_page(CONNECT)) == {}  # another window of the same account never sees the key
    page.text_input(key="connect-address").set_value("semg.local").run()
    assert "four numbers" in page.error[0].value
    act(open_page(CONNECT), "connect-key").click().run()
    assert board.key_encrypted is not None
    with pool.transaction() as tx:
        assert boards.get_board(tx, board.board_id).key_encrypted != board.key_encrypted
    as_role("viewer", profile_id)
    assert [one for one in open_page(CONNECT).button if "connect" in (one.key or "")] == []
