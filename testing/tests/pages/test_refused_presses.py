"""What browsers do not offer: a grey button that is pressed all the same does nothing, and archives are counted.

Streamlit 1.67 discards what is sent for a disabled widget; an update that does not is found here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from streamlit.testing.v1 import element_tree

from semg.privacy import archive_downloads
from semg.settings import Settings
from semg.store import accounts, audit, gestures, jobs, profiles, sessions
from semg.store.pool import Pool
from testing.kits.page_data import GESTURES, JOBS, REVIEW, USERS, Open, button, field, make_session, now
from ui import acts
from ui.gesture_list import OPEN


@pytest.fixture(autouse=True)
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Press what is grey too, as whoever writes to the app's WebSocket can."""
    monkeypatch.setattr(element_tree.Button, "_assert_can_interact", lambda button: None)


@pytest.mark.servers
def test_erasing_wants_its_confirmation_from_the_server_too(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    with pool.transaction() as tx:
        helper = accounts.insert_account(tx, "helper", "")
        fist = gestures.list_gestures(tx, profile_id)[1]
    page = open_page(REVIEW)
    page.button(key=acts.key(f"delete-session-{number}", profile_id)).click().run()
    page = open_page(GESTURES, **{OPEN: fist.gesture_id})
    page.button(key=acts.key(f"delete-{fist.gesture_id}", profile_id)).click().run()
    page = open_page(USERS)
    page.selectbox(key="account-choice").set_value(helper).run()
    button(page, "Delete account").click().run()
    next(one for one in page.toggle if one.label == "Show what would be deleted").set_value(True).run()
    for typed in ("", "Ad"):
        field(page.text_input, "Type the name to confirm").input(typed).run()
        page.button(key=acts.key("erase", profile_id)).click().run()
    with pool.transaction() as tx:
        assert accounts.find_account(tx, "helper") is not None
        assert [one.session_id for one in sessions.list_sessions(tx, profile_id)] == [number]
        assert gestures.get_gesture(tx, fist.gesture_id).name == "fist"
        assert profiles.get_profile(tx, profile_id).name == "Ada"


@pytest.mark.servers
def test_state_is_looked_at_by_the_server_too(open_page: Open, pool: Pool, profile_id: int) -> None:
    session = make_session(pool, profile_id, now() - timedelta(hours=2))
    with pool.transaction() as tx:
        number = jobs.insert_job(tx, profile_id, [session], "cnn", {})
        jobs.claim_due_job(tx, "runner")
        jobs.request_cancel(tx, number)
    page = open_page(JOBS)
    page.button(key=acts.key(f"cancel-{number}", profile_id)).click().run()
    with pool.transaction() as tx:
        assert "job.canceled" not in {one.action for one in audit.list_entries(tx)}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Archives are not complete before this is set."""
    goes_on = threading.Event()
    monkeypatch.setattr(archive_downloads, "write_archive", lambda *_, **__: goes_on.wait(60))
    yield goes_on
    goes_on.set()


@pytest.mark.servers
def test_archives_are_counted_by_the_server(
    open_page: Open, pool: Pool, settings: Settings, profile_id: int, held: threading.Event
) -> None:
    pages = [open_page(USERS), open_page(USERS)]
    button(pages[0], "Create Ada's archive").click().run()
    first = pages[0].session_state["person-export"]
    for _ in range(12):
        button(pages[0], "Create Ada's archive").click().run()
        assert pages[0].session_state["person-export"] is first
    button(pages[1], "Create Ada's archive").click().run()
    assert "archive of this person is being created" in pages[1].error[0].value
    assert len(archive_downloads.list_exports(settings)) == 1
    held.set()
    first.join(60)
    for _ in range(archive_downloads.AN_HOUR - 1):
        button(pages[1], "Create Ada's archive").click().run()
        pages[1].session_state["person-export"].join(60)
    kept = [pages[1].session_state["person-export"].name]
    assert [path.name for path in archive_downloads.list_exports(settings)] == kept, "a new one replaces the one before"
    button(pages[1], "Create Ada's archive").click().run()
    assert "10 archives an hour; try again in 60 minutes" in pages[1].error[0].value
    assert [path.name for path in archive_downloads.list_exports(settings)] == kept
    with pool.transaction() as tx:
        made = [one for one in audit.list_entries(tx) if one.action == "person.exported"]
    assert len(made) == archive_downloads.AN_HOUR


@pytest.mark.servers
def test_few_archives_are_made_at_once_of_all_accounts(pool: Pool, settings: Settings, held: threading.Event) -> None:
    desk = archive_downloads.ArchiveDownloads(at_once=2)
    making = [desk.begin(pool, settings, user_id, account_id=user_id) for user_id in (1, 2)]
    with pytest.raises(archive_downloads.ConflictError, match="2 archives are being created"):
        desk.begin(pool, settings, 3, account_id=3)
    held.set()
    for one in making:
        one.join(60)
    desk.begin(pool, settings, 3, account_id=3).join(60)
