"""Play: what a browser sends is measured, stored, shown, exported and archived; a viewer's is refused."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

import pytest

from semg.privacy import file_exports
from semg.privacy.data_archive import write_archive
from semg.store import accounts, audit, boards, gestures, play, profiles, simulated_arms
from semg.store.pool import Pool
from testing.kits.page_data import LOGIN, PLAY, AsRole, Open, all_text, field, insert_models, login_of
from testing.tests.play.test_figures import FITTS, REACTION
from ui import play_view
from ui.runtime import App

pytestmark = pytest.mark.servers
NAMES = ["fist", "open hand", "point", "open", "flex", "rest"]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the test's component was given last: AppTest draws none."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(play_view, "_component", lambda **said: made.update(said))
    return made


@pytest.fixture
def player(app_of_test: App, pool: Pool, profile_id: int) -> App:
    """The app for the logged-in account; the profile has gestures and two versions of a model."""
    with pool.transaction() as tx:
        gestures.ensure_gestures(tx, profile_id, NAMES)
        account = accounts.find_account(tx, LOGIN)
    insert_models(pool, profile_id, 2, {"classes": NAMES})
    assert account is not None
    return app_of_test.of(account, login_of(pool))


def test_posted_results_are_stored_and_shown_and_a_viewer_s_are_refused(
    open_page: Open, pool: Pool, profile_id: int, player: App, as_role: AsRole, given: dict[str, Any]
) -> None:
    with pool.transaction() as tx:
        profiles.update_profile(tx, profile_id, language="de")
    for report in (FITTS, FITTS | {"model_version": 1}, REACTION, {"kind": "fitts"}, "nothing"):
        play_view.store_played(player, profile_id, report)
    with pool.transaction() as tx:
        stored = play.list_results(tx, profile_id)
        entries = [one for one in audit.list_entries(tx) if one.action == "play.stored"]
    assert [(one.kind, one.model_version, one.simulated) for one in stored] == [
        ("reaction", 2, False), ("fitts", 2, False)
    ]  # fmt: skip
    assert [(one.who, one.user_id, one.counts) for one in entries] == [(LOGIN, profile_id, {"version": 2})] * 2
    page = open_page(PLAY)
    assert not page.exception
    assert f"throughput **{stored[1].result['throughput']:.2f} bits/s**" in all_text(page)
    assert page.dataframe[0].value["Targets"].tolist() == [14]
    assert (given["data"]["may_store"], given["data"]["language"]) == (True, "de")
    assert given["data"]["words"]["stop"] == "Stopp"
    assert given["data"]["problem"] == ""
    assert set(given["data"]["settings"]["gestures"]) == {"left", "right", "up", "down"}
    field(page.selectbox, "Right").set_value("fist").run()
    assert "Choose a different gesture" in all_text(page)
    assert given["data"]["problem"] == "Die Gesten für diesen Test sind noch nicht gewählt."
    page.session_state["play-kind"] = "reaction"
    page.run()
    assert f"median **{stored[0].result['median_ms']:.0f} ms**" in all_text(page)
    with pool.transaction() as tx:
        simulated_arms.insert_arm(tx, profile_id, boards.insert_board(tx, "arm"), None, seed=1)
    play_view.store_played(player, profile_id, REACTION)
    page.run()
    assert page.dataframe[0].value["Played by"].tolist() == ["simulated", "the person"]
    assert "**Simulated arm** of Ada" in all_text(page)
    as_role("viewer", profile_id)
    play_view.store_played(player, profile_id, FITTS)
    page.run()
    assert given["data"]["may_store"] is False
    assert "it can play, and nothing is stored" in all_text(page)
    with pool.transaction() as tx:
        assert len(play.list_results(tx, profile_id)) == 3


def test_results_are_exported_archived_and_erased(pool: Pool, profile_id: int, player: App) -> None:
    for report in (FITTS, REACTION):
        play_view.store_played(player, profile_id, report)
    file = file_exports.find_download(file_exports.play_file(profile_id))
    assert file is not None
    with pool.transaction() as tx:
        assert file.whose(tx) == profile_id
    content = b"".join(file.open(pool).pieces).decode()
    rows = {one["kind"]: one for one in csv.DictReader(io.StringIO(content))}
    assert rows["fitts"]["model_version"] == rows["reaction"]["model_version"] == "2"
    assert rows["fitts"]["median_ms"] == ""
    out = io.BytesIO()
    write_archive(pool, player.settings, profile_id, out)
    with zipfile.ZipFile(out) as archive:
        found = [json.loads(archive.read(name)) for name in archive.namelist() if name.startswith("play/")]
    assert {one["kind"] for one in found} == {"fitts", "reaction"}
    fitts = next(one for one in found if one["kind"] == "fitts")
    assert float(rows["fitts"]["throughput"]) == pytest.approx(fitts["result"]["throughput"])
    assert len(fitts["raw"]["sequences"][0]["trials"]) == 7
    with pool.transaction() as tx:
        profiles.delete_profile(tx, profile_id)
        assert play.list_results(tx, profile_id) == []
