"""The videos of sessions over the API: who may see one, and the ranges that a browser's player asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from semg.domain import utc_from_us
from semg.privacy.archive_downloads import folder_of
from semg.privacy.consent import TEST_PERSON
from semg.security import tokens
from semg.security.encrypted_files import Vault
from semg.security.login import end_login
from semg.security.tokens import Login
from semg.store import accounts, audit, logins, profiles, sessions
from semg.store.pool import Pool, execute
from semg.video.files import files_of
from testing.kits.live_helpers import logged_in, wait_for
from testing.kits.store_queries import set_shares
from testing.tests.conftest import Servers
from webapi import under_way

pytestmark = pytest.mark.servers

Params = dict[str, str]
MakeToken = Callable[..., Params]
CONTENT = np.random.default_rng(0).bytes(10_240) * 5


@pytest.fixture
def video(servers: Servers, pool: Pool) -> Path:
    """The finished video of the first session."""
    start = utc_from_us(1_800_000_000_000_000)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        device = profiles.get_profile(tx, user_id).device
        ended = start + timedelta(seconds=1)
        number = sessions.insert_session(tx, user_id, "S", "capture", start, ended, status="completed", device=device)
    files = files_of(servers.settings.videos, number, Vault(servers.settings.secret_key.get_secret_value()))
    files.video.parent.mkdir(parents=True)
    with files.create(files.video) as file:
        file.write(CONTENT)
    return files.video


@pytest.fixture
def login(pool: Pool) -> Login:
    """A login of an admin."""
    return logged_in(pool)


@pytest.fixture
def token(servers: Servers, login: Login) -> MakeToken:
    """Makes tokens of that login."""

    def make(subject: str = "1", purpose: str = tokens.VIDEO, life_s: float = 60.0, **of: Login) -> Params:
        secret = servers.settings.secret_key.get_secret_value()
        return {"token": tokens.make_token(secret, purpose, subject, life_s, **({"login": login} | of))}

    return make


@pytest.fixture
def browser(api: httpx.Client) -> httpx.Client:
    """A client without the API token."""
    del api.headers["Authorization"]
    return api


def test_browser_plays_with_the_token_of_the_session(browser, video: Path, token: MakeToken) -> None:
    answer = browser.get("/videos/1", params=token())
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-1999", 1000, 2000),
        ("bytes=10000-", 10_000, 51_200),
        ("bytes=-5", 51_195, None),
        ("bytes=16000-33000", 16_000, 33_001),
    ],
)
def test_seeking_gets_the_range_that_it_asks_for(
    browser, video: Path, token: MakeToken, asked: str, start: int, end: int | None
) -> None:
    answer = browser.get("/videos/1", params=token(), headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(CONTENT)}"


def test_range_beyond_the_end_is_refused(browser, video: Path, token: MakeToken) -> None:
    answer = browser.get("/videos/1", params=token(), headers={"Range": "bytes=99999-"})
    assert answer.status_code == 416


@pytest.mark.parametrize(
    "wrong",
    [{"subject": "8"}, {"purpose": tokens.LIVE}, {"life_s": -1.0}],
    ids=["of-another-session", "for-the-live-view", "expired"],
)
def test_other_tokens_open_no_video(browser, video: Path, token: MakeToken, wrong: dict) -> None:
    answer = browser.get("/videos/1", params=token(**wrong))
    assert answer.status_code == 401
    assert "token" in answer.json()["detail"]
    assert browser.get("/videos/1").status_code == 401


def test_program_gets_a_video_with_the_api_token(api: httpx.Client, pool: Pool, video: Path) -> None:
    assert api.get("/videos/1").content == CONTENT
    assert api.head("/videos/1").headers["content-length"] == str(len(CONTENT))
    with pool.transaction() as tx:
        (seen,) = audit.list_entries(tx)
    assert (seen.who, seen.action, seen.session_id) == ("SEMG_API_TOKEN", "video.seen", 1), "once for both requests"


def test_session_without_a_video_is_told_apart_from_nonsense(api: httpx.Client) -> None:
    missing = api.get("/videos/9")
    assert (missing.status_code, missing.json()["detail"]) == (404, "session 9 has no finished video")
    assert api.get("/videos/..%2Fsecret").status_code == 404
    assert api.get("/videos/seven").status_code == 422


def test_video_that_was_changed_on_the_disk_is_not_played(api: httpx.Client, video: Path) -> None:
    stored = bytearray(video.read_bytes())
    stored[-1] ^= 1
    video.write_bytes(stored)
    assert api.get("/videos/1").status_code == 503


def test_video_from_before_encryption_is_played(api: httpx.Client, video: Path) -> None:
    video.write_bytes(CONTENT)
    assert api.get("/videos/1", headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]


def archive(servers: Servers, user_id: int, content: bytes = CONTENT) -> str:
    """Put an archive of a profile down, and give its name."""
    settings, name = servers.settings, f"{user_id}-" + "a" * 32
    folder_of(settings).mkdir(parents=True, exist_ok=True)
    with Vault(settings.secret_key.get_secret_value()).create(folder_of(settings) / name, f"export {name}") as file:
        file.write(content)
    return name


@pytest.fixture
def user_id(pool: Pool) -> int:
    """A profile that is nobody's."""
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, "Bo", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)


def test_archive_is_fetched_with_its_own_token_only(
    api: httpx.Client, servers: Servers, token: MakeToken, user_id: int
) -> None:
    name = archive(servers, user_id)
    good = token(name, tokens.EXPORT)
    answer = api.get(f"/exports/{name}", params=good)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-disposition"] == f'attachment; filename="profile-{user_id}.zip"'
    assert answer.headers["cache-control"] == "no-store"
    assert api.get(f"/exports/{name}").status_code == 401
    assert api.get(f"/exports/{name}", params=token(name)).status_code == 401
    other = f"{user_id}-" + "b" * 32
    assert api.get(f"/exports/{other}", params=good).status_code == 401
    assert api.get(f"/exports/{other}", params=token(other, tokens.EXPORT)).status_code == 404


ENDS = {
    "disabled": lambda tx, login: accounts.update_account(tx, login.account_id, role="admin", disabled=True),
    "deleted": lambda tx, login: accounts.delete_account(tx, login.account_id),
    "new password": lambda tx, login: accounts.update_password(tx, login.account_id, "x"),
    "logged out everywhere": lambda tx, login: logins.delete_logins(tx, login.account_id),
    "logged out": lambda tx, login: end_login(tx, login),
}


@pytest.mark.parametrize("how", ENDS)
def test_tokens_for_videos_and_archives_end_with_their_login(
    browser, servers: Servers, pool: Pool, video: Path, token: MakeToken, login: Login, user_id: int, how: str
) -> None:
    name = archive(servers, user_id)
    asked = (("/videos/1", token()), (f"/exports/{name}", token(name, tokens.EXPORT)))
    with pool.transaction() as tx:
        accounts.insert_account(tx, "another", "", "admin")
    assert [browser.get(path, params=shown).status_code for path, shown in asked] == [200, 200]
    with pool.transaction() as tx:
        ENDS[how](tx, login)
    assert [browser.get(path, params=shown).status_code for path, shown in asked] == [401, 401]


def test_login_that_is_older_than_a_login_may_be_opens_nothing(
    browser, pool: Pool, video: Path, token: MakeToken, login: Login
) -> None:
    assert browser.get("/videos/1", params=token(login=login)).status_code == 200
    nobodys = Login(login.account_id, login.login_id + 1000)
    assert browser.get("/videos/1", params=token(login=nobodys)).status_code == 401, "of no login"
    with pool.transaction() as tx:
        execute(tx, "UPDATE logins SET expires_at = now()")
    assert browser.get("/videos/1", params=token(login=login)).status_code == 401


def test_browsers_tokens_are_for_profiles_that_the_account_still_sees(
    browser, servers: Servers, pool: Pool, video: Path, token: MakeToken, user_id: int
) -> None:
    with pool.transaction() as tx:
        owner = sessions.get_session(tx, 1).user_id
    name, viewer = archive(servers, user_id), logged_in(pool, "eve", "viewer", owner, user_id)
    asked = (("/videos/1", token(login=viewer)), (f"/exports/{name}", token(name, tokens.EXPORT, login=viewer)))
    assert [browser.get(path, params=shown).status_code for path, shown in asked] == [200, 200]
    with pool.transaction() as tx:
        set_shares(tx, owner, [])
        set_shares(tx, user_id, [])
    assert [browser.get(path, params=shown).status_code for path, shown in asked] == [404, 404]


@pytest.mark.parametrize("asked", ["bytes=0-" + "9" * 4400, "bytes=" + "9" * 4400 + "-", "bytes=-" + "9" * 4400])
def test_range_of_thousands_of_digits_is_no_range(
    browser, servers: Servers, video: Path, token: MakeToken, user_id: int, asked: str
) -> None:
    name = archive(servers, user_id)
    for path, shown in (("/videos/1", token()), (f"/exports/{name}", token(name, tokens.EXPORT))):
        answer = browser.get(path, params=shown, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, CONTENT), path


def test_whatever_is_sent_as_a_file_counts(
    browser, servers: Servers, video: Path, token: MakeToken, user_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived, session = archive(servers, user_id), "session-1.csv.gz"
    asked = (
        ("/videos/1", token()),
        (f"/exports/{archived}", token(archived, tokens.EXPORT)),
        (f"/files/{session}", token(session, tokens.FILE)),
    )
    with monkeypatch.context() as changed:
        changed.setattr(under_way, "MAX_DOWNLOADS_OF_ONE", 0)
        refused = [browser.get(path, params=shown) for path, shown in asked]
        assert [(one.status_code, one.headers["retry-after"]) for one in refused] == [(429, "60")] * 3
    for _ in range(under_way.MAX_DOWNLOADS + 1):
        assert [browser.get(path, params=shown).status_code for path, shown in asked[:2]] == [200, 200]
    assert browser.head("/videos/1", params=token()).status_code == 200


@pytest.mark.parametrize("is_encrypted", [True, False], ids=["encrypted", "from before encryption"])
def test_video_and_archive_whose_reader_takes_nothing_are_cut_off(
    api: httpx.Client, servers: Servers, video: Path, token: MakeToken, user_id: int, is_encrypted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    large = CONTENT * 600
    files = files_of(servers.settings.videos, 1, Vault(servers.settings.secret_key.get_secret_value()))
    video.unlink()
    with files.create(video) if is_encrypted else video.open("wb") as file:
        file.write(large)
    name = archive(servers, user_id, large)
    monkeypatch.setattr(under_way, "MAX_SEND_S", 0.3)
    for n, (path, shown) in enumerate((("/videos/1", token()), (f"/exports/{name}", token(name, tokens.EXPORT))), 1):
        with api.stream("GET", path, params=shown) as answer:
            assert answer.status_code == 200
            wait_for(lambda n=n: f'semg_files_cut_total{{why="slow"}} {n}.0' in api.get("/metrics").text)  # type: ignore[misc]
