"""Looking at recordings and putting them right."""

from __future__ import annotations

import json
import os
import threading
from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.errors import ConflictError
from semg.recordings.session_data import load_session
from semg.security import tokens
from semg.settings import Settings
from semg.signals.model.classifier import Classifier
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from semg.store import accounts, audit, sessions
from semg.store.pool import Pool, execute
from testing.kits.live_helpers import activate
from testing.kits.page_data import LOGIN, REVIEW, AsRole, Open, act, all_text, button, make_session, now, store_noise
from testing.kits.recording_kit import labelled_session
from ui import imports, runtime, turns
from ui.runtime import App

pytestmark = pytest.mark.servers


def test_review_shows_a_session_and_changes_a_repetition(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    assert not page.exception
    assert "2,400 samples" in all_text(page)
    with pool.transaction() as tx:
        before = sessions.list_repetitions(tx, number)
    rest = before[0]
    page.number_input(key=f"end-{rest.repetition_id}").set_value(-0.5)
    page.checkbox(key=f"excluded-{rest.repetition_id}").check()
    page.text_input(key=f"reason-{rest.repetition_id}").input("moved the arm")
    next(one for one in page.button if "repetition-" in one.form_id).click().run()
    assert not page.error
    with pool.transaction() as tx:
        after = sessions.list_repetitions(tx, number)[0]
    assert (after.excluded, after.exclude_reason) == (True, "moved the arm")
    assert after.ended_at == rest.ended_at - timedelta(seconds=0.5)


def test_repetition_moved_into_another_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    with pool.transaction() as tx:
        rest = sessions.list_repetitions(tx, number)[0]
    page.number_input(key=f"end-{rest.repetition_id}").set_value(1.0)
    next(one for one in page.button if "repetition-" in one.form_id).click().run()
    assert "lies in this time" in page.error[0].value


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    arm = SyntheticArm(seed=3, channels=4, gestures=("rest", "fist", "open hand"))
    return fit([labelled_session(arm, 1, make_plan(arm.gestures, 3, 1.5))], "cnn", options=TrainingOptions(epochs=1))


def replay(page: AppTest) -> AppTest:
    return next(one for one in page.button if one.label == "Replay Ada's signals").click().run()


@pytest.mark.parametrize("role", ["researcher", "viewer"])
def test_what_would_have_fired_is_counted_and_drawn(
    open_page: Open, as_role: AsRole, pool: Pool, profile_id: int, classifier: Classifier, role: str
) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    with pool.transaction() as tx:
        activate(tx, profile_id, classifier)
    if role == "viewer":
        as_role("viewer", profile_id)
    page = open_page(REVIEW)
    assert not page.exception
    page.selectbox(key=f"replay-{profile_id}-part").set_value("closed form")
    page.slider(key=f"replay-{profile_id}-votes").set_value(1)
    page = replay(page)
    assert (list(page.error), list(page.exception)) == ([], [])
    said = all_text(page)
    n = (12_000 - 350) // 50 + 1
    assert f"{n} decisions** on 12 s through version 1, closed-form classifier alone: 1 vote," in said
    (table,) = [one.value for one in page.dataframe if "Figure" in one.value]
    figures = dict(zip(table["Figure"], table["Value"], strict=True))
    counted = [int(figures[name].split(" ")[0].replace(",", "")) for name in list(figures)[:4]]
    assert sum(counted) == n
    assert figures["Missed gestures"].endswith("of 2")
    (data,) = [json.loads(one.proto.json) for one in page.get("bidi_component") if "replayed" in one.proto.json]
    runs = data["replayed"]
    assert runs[0][1] >= data["since_ms"]
    assert runs[-1][2] <= data["until_ms"]
    assert all(before[2] <= after[1] for before, after in zip(runs, runs[1:], strict=False))
    with pool.transaction() as tx:
        assert ("samples.seen", number) in {(one.action, one.session_id) for one in audit.list_entries(tx)}


def test_replay_without_consent_says_so(open_page: Open, pool: Pool, profile_id: int, classifier: Classifier) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1))
    with pool.transaction() as tx:
        activate(tx, profile_id, classifier)
        execute(tx, "UPDATE consents SET scopes = '{}'")
    page = replay(open_page(REVIEW))
    assert "consent" in page.error[0].value
    assert not [one for one in page.dataframe if "Figure" in one.value]


def test_session_is_offered_by_an_address_of_the_api_for_this_login(
    open_page: Open, app_of_test: App, pool: Pool, profile_id: int
) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    (shown,) = addresses(page)
    page.run()
    assert addresses(page) == [shown], "a rerun makes no new one"
    page.button_group(key="export-kind").set_value("Parquet").run()
    secret = app_of_test.settings.secret_key.get_secret_value()
    for address, name in ((shown, f"session-{number}.csv.gz"), (*addresses(page), f"session-{number}.parquet")):
        place, _, token = address.partition("?token=")
        assert place == f"{app_of_test.settings.api_url}/files/{name}"
        with pool.transaction() as tx:
            account = accounts.find_account(tx, LOGIN)
        assert account is not None
        assert tokens.read_login_of(secret, tokens.FILE, token, name).account_id == account.account_id
    with pool.transaction() as tx:
        assert "session.exported" not in {one.action for one in audit.list_entries(tx)}, "nobody has taken it yet"


def addresses(page: AppTest) -> list[str]:
    """Return where the page's buttons for files lead to."""
    return [one.proto.url for one in page.get("link_button")]


def test_session_is_deleted_only_after_a_confirmation(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    assert act(page, "delete-session").disabled
    page.checkbox(key=f"sure-{number}").check().run()
    act(page, "delete-session").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        assert sessions.list_sessions(tx, profile_id) == []


def test_time_without_samples_says_so(open_page: Open, pool: Pool, profile_id: int) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=30), 5)
    page = open_page(REVIEW)
    page.date_input(key=f"day-{profile_id}").set_value((now() - timedelta(days=30)).date()).run()
    assert "No samples are stored for this period" in all_text(page)


def test_profile_without_samples_leads_to_the_capture(open_page: Open, profile_id: int) -> None:
    assert "Nothing has been recorded for Ada yet" in all_text(open_page(REVIEW))


def test_relabelled_repetition_is_recorded_with_who_did_it(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    with pool.transaction() as tx:
        fist = sessions.list_repetitions(tx, number)[1]
    page = open_page(REVIEW, repetition=fist.repetition_id)
    page.selectbox(key=f"gesture-{fist.repetition_id}").set_value("open hand")
    next(one for one in page.button if "repetition-" in one.form_id).click().run()
    assert not page.error
    table = next(each.value for each in page.dataframe if "Change" in each.value)
    assert table[["Who", "Label", "Change"]].values.tolist() == [["researcher", "fist 1", "now open hand"]]


def test_spectra_are_drawn_when_they_are_wanted(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    assert not page.get("plotly_chart")
    page.toggle(key="spectra").set_value(True).run()
    assert not page.exception
    figures = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert [line["name"] for line in figures["data"]] == ["a0", "a1", "a2", "a3"]
    table = next(each.value for each in page.dataframe if "RMS" in each.value)
    assert table["RMS"].tolist() == pytest.approx([120] * 4, rel=0.05)
    assert (table["Median frequency (Hz)"] > 30).all()


def test_recording_is_imported_as_a_session_and_a_damaged_one_is_refused(
    open_page: Open, pool: Pool, profile_id: int, settings: Settings
) -> None:
    rows = [f"{5 * i},{i % 7},1,2,3,{'fist' if i < 300 else 'rest'},1" for i in range(600)]
    content = "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *rows]).encode()
    page = open_page(REVIEW, mode="Import a recording")
    page.file_uploader(key=f"import-0-{profile_id}").set_value(("walk.csv", content, "text/csv")).run()
    button(page, "Import into Ada").click().run()
    assert not page.exception
    assert not page.error
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, profile_id)
        assert [one.gesture for one in sessions.list_repetitions(tx, session.session_id)] == ["fist", "rest"]
    assert (session.name, session.origin) == ("walk", "import")
    assert list((settings.data_dir / "tmp").iterdir()) == [], "it was read there, and is gone"
    page = open_page(REVIEW, mode="Import a recording")
    page.file_uploader(key=f"import-0-{profile_id}").set_value(("bad.csv", b"millis,a0\n1,x\n", "text/csv")).run()
    assert "Import into Ada" not in [one.label for one in page.button]
    assert page.error
    assert "Something went wrong" not in page.error[0].value


def upload(page: AppTest, profile_id: int, name: str, content: bytes) -> AppTest:
    return page.file_uploader(key=f"import-0-{profile_id}").set_value((name, content, "text/csv")).run()


def seconds_file(rest: str = "relax") -> bytes:
    """A recording from elsewhere: seconds, semicolons, decimal commas, other names, a label that looks like rest."""
    rows = [f"{i / 200:.3f};{i % 7},5;1;2;3;{'fist' if i < 300 else rest}" for i in range(600)]
    return "\n".join(["time;e1;e2;e3;e4;label", *(row.replace(".", ",") for row in rows)]).encode("utf-16")


def test_file_from_elsewhere_is_asked_about_and_remembered(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = upload(open_page(REVIEW, mode="Import a recording"), profile_id, "Walk.TXT", seconds_file())
    assert not page.exception
    assert [one.value for one in page.error] == []
    assert "the label that means rest" in all_text(page)
    key = f"0-{profile_id}"
    assert page.selectbox(key=f"import-time-{key}").value == "time"
    assert page.selectbox(key=f"import-unit-{key}").value == "s"
    assert page.selectbox(key=f"import-rest-{key}").value == "relax"
    assert "600 samples at 200 samples/s, 3 s" in all_text(page)
    assert button(page, "Import into Ada").disabled
    page.checkbox(key=f"import-right-{key}").check()
    page.checkbox(key=f"import-names-{key}").check().run()
    button(page, "Import into Ada").click().run()
    assert [one.value for one in page.error] == []
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, profile_id)
        data = load_session(tx, session)
        written = sessions.list_repetitions(tx, session.session_id)
    assert session.name == "Walk"
    assert data.samples[:, 0].tolist() == [i % 7 + 0.5 for i in range(600)]
    assert [(one.gesture, one.number) for one in written] == [("fist", 1), ("rest", 1)]
    assert (session.ended_at - session.started_at).total_seconds() == 3

    page = upload(open_page(REVIEW, mode="Import a recording"), profile_id, "run.txt", seconds_file())
    assert "Please check" not in all_text(page)
    assert not button(page, "Import into Ada").disabled
    button(page, "Import into Ada").click().run()
    with pool.transaction() as tx:
        assert [one.name for one in sessions.list_sessions(tx, profile_id)] in (["run", "Walk"], ["Walk", "run"])


def test_cut_file_is_offered_to_its_last_good_line(open_page: Open, pool: Pool, profile_id: int) -> None:
    rows = [f"{5 * i},{i % 7},1,2,3,rest,1" for i in range(600)]
    content = "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *rows, "3000,1"]).encode()
    page = upload(open_page(REVIEW, mode="Import a recording"), profile_id, "cut.csv", content)
    warned = " ".join(one.value for one in page.warning)
    assert "cut.csv is cut off: its last line (602) is incomplete (“3000,1”)" in warned
    button(page, "Import into Ada").click().run()
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, profile_id)
        assert len(load_session(tx, session).samples) == 600


def test_same_file_is_not_imported_twice_under_one_name(open_page: Open, pool: Pool, profile_id: int) -> None:
    rows = [f"{5 * i},{i % 7},1,2,3,fist,1" for i in range(600)]
    content = "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *rows]).encode()
    for name in ("walk.csv", "WALK.CSV"):
        page = upload(open_page(REVIEW, mode="Import a recording"), profile_id, name, content)
        button(page, "Import into Ada").click().run()
    assert "session called “walk” already exists" in page.error[0].value
    with pool.transaction() as tx:
        assert len(sessions.list_sessions(tx, profile_id)) == 1


def test_import_waits_for_others_for_a_while(
    open_page: Open, pool: Pool, profile_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{5 * i},{i % 7},1,2,3,fist,1" for i in range(600)]
    content = "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *rows]).encode()
    page = open_page(REVIEW, mode="Import a recording")
    page.file_uploader(key=f"import-0-{profile_id}").set_value(("walk.csv", content, "text/csv")).run()
    others = profile_id + 1000
    monkeypatch.setattr(turns, "WAIT_S", 0.05)
    assert imports.turns().take(others, 0)
    try:
        button(page, "Import into Ada").click().run()
        assert "the other import has finished" in page.error[0].value
        monkeypatch.setattr(turns, "WAIT_S", 60.0)
        ending = threading.Timer(0.3, imports.turns().give_back, (others,))
        ending.start()
        button(page, "Import into Ada").click().run()
    finally:
        ending.join()
    assert not page.error
    with pool.transaction() as tx:
        assert len(sessions.list_sessions(tx, profile_id)) == 1


@pytest.mark.parametrize("failure", [None, OverflowError("int too large"), ConflictError("others are being read")])
def test_file_that_cannot_be_read_is_read_once(
    open_page: Open, profile_id: int, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    load, reads = imports.load_recording, []

    def read(*args: Any, **how: Any) -> Any:
        reads.append(args)
        if failure is not None:
            raise failure
        return load(*args, **how)

    monkeypatch.setattr(imports, "load_recording", read)
    rows = [f"{5 * i},{'x' if i == 500 else i % 7},1,2,3,fist,1" for i in range(600)]
    content = "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *rows]).encode()
    page = open_page(REVIEW, mode="Import a recording")
    page.file_uploader(key=f"import-0-{profile_id}").set_value(("walk.csv", content, "text/csv")).run()
    said = page.error[0].value
    page.run()
    assert page.error[0].value == said
    assert len(reads) == (2 if isinstance(failure, ConflictError) else 1), "what others did is no fault of the file"


def test_app_that_starts_removes_what_a_killed_one_left_of_uploads(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = settings.data_dir / "tmp" / "left"
    left.mkdir(parents=True)
    (left / "recording.csv").write_bytes(b"1,2")
    os.utime(left, (0, 0))
    monkeypatch.setattr(runtime, "get_settings", lambda: settings)
    monkeypatch.setattr(runtime.log, "configure", lambda service, level: None)
    made = runtime.make_app()
    made.pool.close()
    assert list(left.parent.iterdir()) == []
