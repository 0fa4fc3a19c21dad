"""A rotation of SECRET_KEY from end to end: what was made before stays readable, and then needs the old key no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from pydantic import SecretStr

from semg.errors import SettingsError
from semg.platform import __main__ as command
from semg.platform.installation import env_file
from semg.platform.reencrypt import reencrypt
from semg.privacy import archive_downloads, pseudonyms
from semg.privacy.consent import TEST_PERSON
from semg.security import totp
from semg.security.board_keys import decrypt_key, make_board
from semg.security.encrypted_files import Vault
from semg.security.keys import KeyRing, ring_of
from semg.settings import Settings, load_settings
from semg.store import accounts, audit, boards, profiles, real_names, sessions, videos
from semg.store.pool import Pool, execute
from semg.video.files import VideoFiles, files_of
from testing.tests.security.test_keys import earlier

OLD, NEW = "o" * 43, "n" * 43
CONTENT = b"a video of more than one chunk" * 2000


@pytest.fixture
def user_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200, consent=TEST_PERSON)


@pytest.fixture
def before(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(OLD)})


@pytest.fixture
def rotated(before: Settings) -> Settings:
    return before.model_copy(update={"secret_key": SecretStr(NEW), "secret_keys_old": SecretStr(OLD)})


def make_video(pool: Pool, settings: Settings, user_id: int, *, finished: bool = True) -> VideoFiles:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    with pool.transaction() as tx:
        number = sessions.insert_session(
            tx, user_id, "S", "capture", at, at + timedelta(seconds=9), status="completed",
            device=profiles.get_profile(tx, user_id).device,
        )  # fmt: skip
        execute(tx, "INSERT INTO videos (session_id) VALUES (%s)", (number,))
        if finished:
            videos.finish_video(tx, number, started_at=at, ended_at=at + timedelta(seconds=9), frames=9, n_bytes=9,
                                width=64, height=48, time_error_us=900)  # fmt: skip
    settings.videos.mkdir(parents=True, exist_ok=True)
    files = files_of(settings.videos, number, Vault(ring_of(settings)))
    files.parts.mkdir(exist_ok=True)
    for path in (files.video, files.times) if finished else files.part(1):
        with files.create(path) as file:
            file.write(CONTENT)
    if finished:
        files.remove_parts()
    return files


def read(settings: Settings, files: VideoFiles) -> bytes:
    again = files_of(settings.videos, int(files.video.stem), Vault(ring_of(settings)))
    with again.open(files.video) as video, again.open(files.times) as times:
        found = video.read()
        assert times.read() == found
    return found or b""


def test_rotation_leaves_nothing_that_needs_the_old_key(
    pool: Pool, before: Settings, rotated: Settings, user_id: int
) -> None:
    with pool.transaction() as tx:
        board_id, key = make_board(tx, ring_of(before), "left")
        made_at = boards.get_board(tx, board_id).key_made_at
        pseudonyms.keep_name(tx, ring_of(before), user_id, "Ada Lovelace")
        legacy_id, legacy_key = make_board(tx, ring_of(before), "from before keys had numbers")
        boards.set_key(tx, legacy_id, earlier(OLD, b"semg board keys, version 1", b"board %d" % legacy_id, legacy_key))
        revoked_id, _ = make_board(tx, ring_of(before), "revoked")
        boards.revoke_key(tx, revoked_id)
        account_id, secret, now = accounts.insert_account(tx, "ada", ""), totp.new_secret(), datetime.now(UTC)
        app = pyotp.TOTP(secret)
        totp.add(tx, ring_of(before), account_id, secret, app.at(now), now)
    files = make_video(pool, before, user_id)

    def works(settings: Settings) -> None:
        with pool.transaction() as tx:
            found = {board.board_id: board.key_encrypted for board in boards.list_boards(tx)}
            assert pseudonyms.find_name(tx, ring_of(settings), user_id) == "Ada Lovelace"
        assert decrypt_key(ring_of(settings), board_id, found[board_id] or b"") == key
        assert decrypt_key(ring_of(settings), legacy_id, found[legacy_id] or b"") == legacy_key
        with pool.transaction() as tx:
            execute(tx, "UPDATE totp_factors SET last_step = 0")
        totp.check(pool, ring_of(settings), account_id, app.at(now), now)
        assert found[revoked_id] is None
        assert read(settings, files) == CONTENT

    works(before)
    works(rotated)
    done = reencrypt(pool, rotated)
    assert (done.boards, done.names, done.apps, done.videos, done.left) == (2, 1, 1, 1, ())
    works(rotated)
    works(rotated.model_copy(update={"secret_keys_old": SecretStr("")}))
    with pytest.raises(SettingsError):
        works(before)
    with pool.transaction() as tx:
        assert boards.get_board(tx, board_id).key_made_at == made_at, "the board's key is the same"
        entry = next(one for one in audit.list_entries(tx) if one.action == "key.rotated")
    assert (entry.who, entry.counts) == ("reencrypt", {"boards": 2, "names": 1, "apps": 1, "videos": 1})
    again = reencrypt(pool, rotated)
    assert (again.boards, again.names, again.videos, again.left) == (0, 0, 0, ())
    assert list(rotated.videos.glob("*-sealing")) == []


def test_what_still_needs_the_old_key_is_told_and_stays_as_it_is(
    pool: Pool, before: Settings, rotated: Settings, user_id: int
) -> None:
    recorded = make_video(pool, before, user_id, finished=False)
    torn = make_video(pool, before, user_id)
    torn.video.write_bytes(torn.video.read_bytes()[:-50])
    whole = torn.video.read_bytes()
    with pool.transaction() as tx:
        lost_id, _ = make_board(tx, "a key that is lost " * 3, "lost")
        lost = boards.get_board(tx, lost_id).key_encrypted
    archive_downloads.folder_of(before).mkdir(parents=True)
    with Vault(ring_of(before)).create(archive_downloads.folder_of(before) / f"{user_id}-{'0' * 32}", "export") as file:
        file.write(b"archive")
    done = reencrypt(pool, rotated)
    assert (done.boards, done.names, done.videos) == (0, 0, 0)
    said = "\n".join(done.left)
    wanted = (f"session {recorded.video.stem}: it is being recorded", f"session {torn.video.stem}: {torn.video.name}",
              f"board {lost_id}", "1 archives")  # fmt: skip
    assert [part for part in wanted if part not in said] == []
    assert torn.video.read_bytes() == whole
    with pool.transaction() as tx:
        assert boards.get_board(tx, lost_id).key_encrypted == lost
        assert [one for one in audit.list_entries(tx) if one.action == "key.rotated"] == []


def test_what_was_changed_meanwhile_is_not_overwritten(pool: Pool, rotated: Settings, user_id: int) -> None:
    with pool.transaction() as tx:
        board_id, _ = make_board(tx, KeyRing(OLD), "left")
        read_before = boards.get_board(tx, board_id).key_encrypted
        boards.set_key(tx, board_id, b"a newer key")
        assert read_before is not None
        assert not boards.replace_encrypted(tx, board_id, read_before, b"the older one")
        pseudonyms.keep_name(tx, KeyRing(OLD), user_id, "Ada")
        assert not real_names.replace_encrypted(tx, user_id, b"another", b"name")
        assert boards.get_board(tx, board_id).key_encrypted == b"a newer key"


def test_command_makes_a_key_and_keeps_the_one_before(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / ".env"
    path.write_text(f"API_PORT=9000\nSECRET_KEY={OLD}\n# mine\nUSER_ID=7\n")
    monkeypatch.setenv("SEMG_ENV_FILE", str(path))
    for name in ("SECRET_KEY", "SECRET_KEYS_OLD"):
        monkeypatch.delenv(name, raising=False)
    assert command.main(["rotate-key"]) == 0
    first = ring_of(load_settings(path))
    assert first.others == (OLD,)
    assert len(first.current) >= 43
    assert path.stat().st_mode & 0o077 == 0
    assert "# mine\nUSER_ID=7" in path.read_text()
    assert command.main(["rotate-key"]) == 0
    second = ring_of(load_settings(path))
    assert second.others == (first.current, OLD)
    assert path.read_text().count("SECRET_KEY=") == path.read_text().count("SECRET_KEYS_OLD=") == 1
    said = capsys.readouterr().out
    assert "reencrypt" in said
    assert not any(key in said for key in (*first, *second)), "keys are not shown"


def test_key_of_the_environment_is_not_rotated_in_the_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / ".env"
    path.write_text(f"SECRET_KEY={OLD}\n")
    monkeypatch.setenv("SECRET_KEY", NEW)
    with pytest.raises(SettingsError, match="environment"):
        env_file.rotate_key(path, load_settings(path))
    assert path.read_text() == f"SECRET_KEY={OLD}\n"
    monkeypatch.delenv("SECRET_KEY")
    path.write_text("")
    with pytest.raises(SettingsError, match="no SECRET_KEY yet"):
        env_file.rotate_key(path, load_settings(path))


def test_command_reencrypts_and_tells_when_the_old_key_may_go(
    pool: Pool, before: Settings, rotated: Settings, user_id: int, monkeypatch, capsys
) -> None:
    with pool.transaction() as tx:
        pseudonyms.keep_name(tx, ring_of(before), user_id, "Ada Lovelace")
        lost_id, _ = make_board(tx, "a key that is lost " * 3, "lost")
    monkeypatch.setattr(command, "load_settings", lambda: rotated)
    assert command.main(["reencrypt"]) == command.EXIT_NOT_READY
    assert "SECRET_KEYS_OLD is still needed" in capsys.readouterr().out
    with pool.transaction() as tx:
        boards.delete_board(tx, lost_id)
    assert command.main(["reencrypt"]) == 0
    assert "Nothing needs SECRET_KEYS_OLD here" in capsys.readouterr().out
