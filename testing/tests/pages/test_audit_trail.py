"""The audit log, from end to end of its list: every action is written down where it is done, and shown in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from semg.errors import LoginError
from semg.maintenance import retention
from semg.platform.reencrypt import reencrypt
from semg.platform.servers.postgres import PostgresServer
from semg.privacy import file_exports
from semg.privacy.pseudonyms import keep_name
from semg.security.login import verify_login
from semg.security.passwords import hash_password
from semg.settings import Settings
from semg.store import access, accounts, api_tokens, audit, blocks, boards, gestures, jobs, sessions, videos
from semg.store.audit import Action
from semg.store.pool import Pool, execute
from testing.kits.page_data import (
    CAPTURE,
    GESTURES,
    JOBS,
    LIVE,
    LOGIN,
    PASSWORD,
    REVIEW,
    TRAIN,
    USERS,
    Open,
    act,
    button,
    field,
    insert_models,
    login_of,
    make_session,
    now,
    store_noise,
)
from testing.tests.conftest import admin_execute
from testing.tests.pages.test_boards_tab import make as make_board
from testing.tests.pages.test_capture_page import start_session
from testing.tests.pages.test_overview_page import show_sender
from testing.tests.play.test_figures import REACTION
from ui.audit_view import WORDS
from ui.play_view import store_played
from ui.runtime import App
from ui.teaching import store_taught

pytestmark = pytest.mark.servers


@dataclass(frozen=True)
class World:
    """What a step of the trail works with."""

    open_page: Open
    app: App
    pool: Pool
    user_id: int

    def account_id(self, login: str) -> int:
        with self.pool.transaction() as tx:
            found = accounts.find_account(tx, login)
        assert found is not None
        return found.account_id

    def session(self) -> int:
        return make_session(self.pool, self.user_id, now() - timedelta(hours=1))

    def filmed_session(self) -> int:
        number, at = self.session(), now()
        with self.pool.transaction() as tx:
            execute(tx, "INSERT INTO videos (session_id) VALUES (%s)", (number,))
            videos.finish_video(tx, number, started_at=at - timedelta(hours=1), ended_at=at, frames=9, n_bytes=9,
                                width=64, height=48, time_error_us=900)  # fmt: skip
        return number


@pytest.fixture
def world(open_page: Open, app_of_test: App, pool: Pool, profile_id: int) -> World:
    """The app with one profile, and an admin who is logged in."""
    return World(open_page, app_of_test, pool, profile_id)


def profile_is_kept(world: World) -> None:
    page = world.open_page(USERS)
    page.text_input(key="new-name").input("Grace")
    button(page, "Create profile").click().run()
    page = world.open_page(USERS, profile_id=world.user_id)
    button(page, "Withdraw all of Ada's consent").click().run()
    button(page, "Save Ada").click().run()
    page = world.open_page(GESTURES, profile_id=world.user_id)
    page.text_input(key="new-name").input("point")
    button(page, "Add to Ada").click().run()


def profile_is_shared_given_and_erased(world: World) -> None:
    with world.pool.transaction() as tx:
        other = accounts.insert_account(tx, "helper", "", "viewer")
    page = world.open_page(USERS, profile_id=world.user_id)
    for login in ("helpr", "helper"):
        field(page.text_input, "Login to share it with").input(login)
        button(page, "Share Ada").click().run()
    assert not page.error
    act(page, f"unshare-{other}").click().run()
    field(page.selectbox, "Owner").set_value(world.account_id(LOGIN))
    button(page, "Save Ada's owner").click().run()
    assert not page.error
    page.toggle(key=f"count-{world.user_id}").set_value(True).run()
    field(page.text_input, "Type the name to confirm").input("Ada").run()
    button(page, "Delete Ada permanently").click().run()


def archive_is_made(world: World) -> None:
    with world.pool.transaction() as tx:
        keep_name(tx, world.app.settings.secret_key.get_secret_value(), world.user_id, "Ada Lovelace")
    page = world.open_page(USERS)
    button(page, "Create Ada's archive").click().run()
    page.session_state["person-export"].join(30)
    page.run()


def capture_is_made(world: World) -> None:
    store_noise(world.pool, world.user_id, now() - timedelta(seconds=5), 30)
    page = world.open_page(CAPTURE)
    act(page, "start").click().run()
    with world.pool.transaction() as tx:
        (session,) = sessions.list_recording_sessions(tx)
        sessions.finish_session(tx, session.session_id, now() + timedelta(seconds=5))
    start_session(world.pool, world.user_id, 3.5, gesture_s=60)
    act(world.open_page(CAPTURE), "abort").click().run()


def recording_is_looked_at_and_changed(world: World) -> None:
    number = world.filmed_session()
    page = world.open_page(REVIEW)
    fetch(world, file_exports.session_file(number, "csv.gz"))
    page.text_input(key=f"name-{number}").input("Evening")
    button(page, "Rename").click().run()
    page.checkbox(key=f"sure-{number}").check().run()
    act(page, "delete-session").click().run()
    rows = [f"{5 * i},{i % 7},1,2,3,{'fist' if i < 300 else 'rest'},1" for i in range(600)]
    content = "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *rows]).encode()
    page = world.open_page(REVIEW, mode="Import a recording")
    page.file_uploader(key=f"import-0-{world.user_id}").set_value(("walk.csv", content, "text/csv")).run()
    button(page, "Import into Ada").click().run()


def old_video_is_removed(world: World) -> None:
    world.filmed_session()
    kept = world.app.settings.model_copy(update={"keep_videos_days": 1})
    retention.expire(kept, world.pool, now() + timedelta(days=9), threading.Event())


def training_is_started_and_canceled(world: World) -> None:
    world.session()
    page = world.open_page(TRAIN)
    act(page, "start").click().run()
    with world.pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, world.user_id)
    act(world.open_page(JOBS), f"cancel-{job.job_id}").click().run()
    act(world.open_page(JOBS), f"retry-{job.job_id}").click().run()


def models_are_used(world: World) -> None:
    insert_models(world.pool, world.user_id, 2)
    page = world.open_page(JOBS)
    field(page.selectbox, "Version").set_value(1).run()
    act(page, "activate").click().run()
    for kind in ("safetensors", "json"):
        fetch(world, file_exports.model_file(world.user_id, 2, kind))


def fetch(world: World, name: str) -> None:
    """Write down what the API does when a browser fetches a file (webapi/test_downloads.py)."""
    download = file_exports.find_download(name)
    assert download is not None
    with world.pool.transaction() as tx:
        download.note(tx, audit.Actor(LOGIN))


def boards_are_managed(world: World) -> None:
    page = make_board(world.open_page(USERS), "Left band")
    field(page.selectbox, "Sends for").set_value(world.user_id).run()
    for label in ("Revoke key", "New key"):
        button(page, label).click().run()
    page = make_board(page, "Right band")  # takes the place of the first
    with world.pool.transaction() as tx:
        second = max(one.board_id for one in boards.list_boards(tx))
    field(page.selectbox, "Board").set_value(second).run()
    page.selectbox(key=f"assign-{second}").set_value(world.user_id).run()
    button(page, "Remove").click().run()


def arm_is_steered(world: World) -> None:
    page = act(world.open_page(LIVE), "simulate").click().run()
    page.slider(key=f"arm-hum-{world.user_id}").set_value(0.5).run()
    act(page, "stop-arm").click().run()


def senders_are_assigned(world: World) -> None:
    show_sender(world.pool, user_id=77_000, state="unknown_profile")
    act(world.open_page(), "assign-n77000").click().run()
    world.open_page().button(key="release-77000").click().run()


def accounts_are_managed(world: World) -> None:
    page = world.open_page(USERS)
    field(page.text_input, "Login of the new account").input("helper")
    button(page, "Add account").click().run()
    number = world.account_id("helper")
    page.selectbox(key="account-choice").set_value(number).run()
    field(page.toggle, "Disabled").set_value(True)
    field(page.selectbox, "Role").set_value("viewer")
    next(one for one in page.button if one.label == "Save" and one.form_id == f"account-{number}").click().run()
    button(page, "New password").click().run()
    page.checkbox(key=f"sure-{number}").check().run()
    button(page, "Delete account").click().run()


def own_account_is_used(world: World) -> None:
    page = world.open_page(USERS)
    field(page.text_input, "Name of the new token").input("Robot hand")
    button(page, "Create token").click().run()
    button(page, "Revoke").click().run()
    page.toggle(key="audit-show").set_value(True).run()
    fetch(world, file_exports.audit_file("csv"))
    button(page, "Log out everywhere").click().run()


def token_is_used(world: World) -> None:
    with world.pool.transaction() as tx:
        token = api_tokens.insert_token(tx, world.account_id(LOGIN), "test", ["read"])
        assert api_tokens.find_grant(tx, token.text) is not None


def keys_are_rotated(world: World) -> None:
    with world.pool.transaction() as tx:
        keep_name(tx, "an earlier key" * 3, world.user_id, "Ada Lovelace")
    old = {"secret_keys_old": SecretStr("an earlier key" * 3)}
    reencrypt(world.pool, world.app.settings.model_copy(update=old))


def password_is_guessed(world: World) -> None:
    for _ in range(9):
        with pytest.raises(LoginError):
            verify_login(world.pool, LOGIN, "wrong password", now())


def seconds_are_taught(world: World) -> None:
    store_noise(world.pool, world.user_id, now() - timedelta(seconds=10), 10)
    with world.pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
        last = blocks.last_sample_at(tx, world.user_id)
    assert account is not None
    assert last is not None
    app = world.app.of(account, login_of(world.pool))
    store_taught(app, world.user_id, {"gesture": "fist", "length_s": 2, "end_ms": last.timestamp() * 1000})


def play_is_stored_and_exported(world: World) -> None:
    insert_models(world.pool, world.user_id, 2)
    with world.pool.transaction() as tx:
        gestures.ensure_gestures(tx, world.user_id, ["fist", "point", "open"])
        account = accounts.find_account(tx, LOGIN)
    assert account is not None
    store_played(world.app.of(account, login_of(world.pool)), world.user_id, REACTION)
    fetch(world, file_exports.play_file(world.user_id))


STEPS: dict[Callable[[World], None], set[Action]] = {
    profile_is_kept: {"profile.created", "profile.changed", "consent.changed", "gestures.changed"},
    profile_is_shared_given_and_erased: {
        "profile.shared", "profile.share_refused", "profile.unshared", "profile.given", "profile.erased",
    },
    archive_is_made: {"person.exported", "person.offered", "name.seen"},
    capture_is_made: {"capture.started", "capture.ended", "live.seen"},
    recording_is_looked_at_and_changed: {
        "samples.seen", "video.seen", "session.changed", "session.exported", "session.imported", "session.erased",
    },
    seconds_are_taught: {"session.taught"},
    old_video_is_removed: {"video.expired"},
    training_is_started_and_canceled: {"job.created", "job.canceled"},
    models_are_used: {"model.activated", "model.exported", "report.exported"},
    boards_are_managed: {
        "board.created", "board.assigned", "board.released", "board.key_made", "board.key_revoked", "board.erased",
    },
    arm_is_steered: {"arm.steered", "board.created", "board.assigned", "board.erased"},
    play_is_stored_and_exported: {"play.stored", "play.exported"},
    senders_are_assigned: {"sender.assigned", "sender.released"},
    accounts_are_managed: {
        "account.created", "account.changed", "account.role_changed", "account.password_changed", "account.erased",
    },
    own_account_is_used: {"token.created", "token.revoked", "audit.seen", "audit.exported", "account.logged_out"},
    token_is_used: {"token.used"},
    keys_are_rotated: {"key.rotated"},
    password_is_guessed: {"account.locked"},
}  # fmt: skip

NOT_BY_PAGES: set[Action] = {
    "login.ok", "login.failed", "login.confirmed", "login.ended", "session.revoked", "factor.added", "factor.removed",
}  # fmt: skip
"""Actions that have words and are not done by pages: the gate's are in ``tests/gate``."""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_what_is_done_is_written_down(world: World, step: Callable[[World], None]) -> None:
    step(world)
    with world.pool.transaction() as tx:
        found = {one.action for one in audit.list_entries(tx)}
    assert STEPS[step] - found == set()


def test_every_action_has_a_step_and_words() -> None:
    assert set.union(*STEPS.values(), NOT_BY_PAGES) == set(get_args(Action)) == set(WORDS)
    assert set.union(*STEPS.values()) & NOT_BY_PAGES == set()
    assert len(set(WORDS.values())) == len(WORDS)


def entries(pool: Pool, action: Action) -> list[Any]:
    with pool.transaction() as tx:
        return [one for one in audit.list_entries(tx) if one.action == action]


def test_looking_at_a_session_to_train_on_is_written_down_once(world: World) -> None:
    number = world.session()
    page = world.open_page(TRAIN)
    assert entries(world.pool, "samples.seen") == []
    page.toggle(key="look").set_value(True).run()
    page.run()
    (entry,) = entries(world.pool, "samples.seen")
    assert (entry.who, entry.user_id, entry.session_id) == (LOGIN, world.user_id, number)


@pytest.mark.parametrize("name", [CAPTURE, LIVE])
def test_live_view_is_written_down_on_both_pages_once(world: World, name: str) -> None:
    page = world.open_page(name)
    page.run()
    (entry,) = entries(world.pool, "live.seen")
    assert (entry.who, entry.user_id) == (LOGIN, world.user_id)


def test_locks_are_written_down_and_not_every_try(world: World) -> None:
    password_is_guessed(world)  # nine tries, of which the fifth locks
    (entry,) = entries(world.pool, "account.locked")
    assert entry.counts == {"account": world.account_id(LOGIN), "tries": 5}
    assert entry.who == "login form"
    with world.pool.transaction() as tx:
        accounts.update_password(tx, world.account_id(LOGIN), hash_password(PASSWORD))
    for _ in range(4):
        with pytest.raises(LoginError):
            verify_login(world.pool, LOGIN, "wrong password", now())
    assert verify_login(world.pool, LOGIN, PASSWORD, now()).login == LOGIN
    assert len(entries(world.pool, "account.locked")) == 1, "a right password at the last try is no lock"


def test_log_names_accounts_and_roles(world: World) -> None:
    page = world.open_page(USERS)
    field(page.text_input, "Login of the new account").input("helper")
    button(page, "Add account").click().run()
    page.toggle(key="audit-show").set_value(True).run()
    shown = page.dataframe[-1].value
    made = shown[shown["What"] == "created an account"].iloc[0]
    assert (made["Who"], made["Counts"]) == (LOGIN, "role researcher, account helper")


def test_role_and_state_of_an_account_are_entries_of_their_own(world: World) -> None:
    with world.pool.transaction() as tx:
        number = accounts.insert_account(tx, "helper", "", "viewer")
    page = world.open_page(USERS)
    page.selectbox(key="account-choice").set_value(number).run()
    field(page.selectbox, "Role").set_value("admin")
    next(one for one in page.button if one.label == "Save" and one.form_id == f"account-{number}").click().run()
    assert entries(world.pool, "account.changed") == []
    (entry,) = entries(world.pool, "account.role_changed")
    assert entry.counts == {"account": number, "before": 2, "role": 0}


def test_log_is_checked_on_its_page(world: World, settings: Settings, postgres_server: PostgresServer) -> None:
    page = world.open_page(USERS)
    page.toggle(key="audit-show").set_value(True).run()
    page.button(key="audit-check").click().run()
    assert "nchanged since they were written: " in page.success[-1].value
    change = "UPDATE audit_entries SET user_id = 9 WHERE number = 1"
    off, on = (f"ALTER TABLE audit_entries {how} TRIGGER USER" for how in ("DISABLE", "ENABLE"))
    admin_execute(postgres_server, f"{off}; {change}; {on}", settings.postgres_db)
    page.button(key="audit-check").click().run()
    assert "Entry 1:" in page.error[-1].value


def test_name_stands_in_an_archive_of_an_admin_only(world: World) -> None:
    archive_is_made(world)
    assert len(entries(world.pool, "name.seen")) == 1
    with world.pool.transaction() as tx:
        accounts.insert_account(tx, "another-admin", "", "admin")
        number = world.account_id(LOGIN)
        accounts.update_account(tx, number, role="researcher", disabled=False)
        access.set_owner(tx, world.user_id, number)
    page = world.open_page(USERS)
    button(page, "Create Ada's archive").click().run()
    export = page.session_state["person-export"]
    export.join(30)
    assert export.name
    assert not export.with_name
    assert len(entries(world.pool, "name.seen")) == 1
