"""Finished videos: put together after the session, given up, erased with it; with a real database."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from semg.errors import ConflictError, StoreUnavailableError
from semg.maintenance.video_files import MOST_TRIES, VideoKeeper, keep_videos
from semg.store import profiles, sessions, videos
from semg.store.pool import Pool, execute
from semg.video.files import files_of
from semg.video.recording import Recorder
from testing import fake_camera
from testing.kits.filming import WAIT_S, end_session, feed, keep, new_session, wait_for
from testing.kits.video_kit import VAULT, write_part


def test_recorder_that_died_leaves_a_video(pool: Pool, session_id: int, tmp_path: Path) -> None:
    files = files_of(tmp_path, session_id, VAULT)
    files.parts.mkdir()
    write_part(files.create_part(1), range(65))
    with pool.transaction() as tx:
        videos.begin_video(tx, session_id)
    end_session(pool, session_id)
    keep(pool, tmp_path)
    assert not files.video.exists(), "it may still be written"
    with pool.transaction() as tx:
        execute(tx, "UPDATE videos SET seen_at = now() - interval '1 minute'")
    keep(pool, tmp_path)
    assert len(fake_camera.recorded(files)) == 65


def test_video_that_cannot_be_put_together_is_given_up_and_its_parts_stay(
    pool: Pool, session_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(tmp_path, session_id, VAULT)
    files.parts.mkdir()
    write_part(files.create_part(1), range(9))
    with pool.transaction() as tx:
        videos.begin_video(tx, session_id)
        videos.release_video(tx, session_id)
    end_session(pool, session_id)
    tried: list[object] = []

    def fails(found: object) -> None:
        tried.append(found)
        raise ArithmeticError

    monkeypatch.setattr("semg.video.finishing.finish", fails)
    monkeypatch.setattr("semg.maintenance.video_files.RETRY_S", 0.0)
    keeper = VideoKeeper(pool, tmp_path, VAULT)
    for _ in range(MOST_TRIES + 3):
        keeper.step()
    assert len(tried) == MOST_TRIES
    with pool.transaction() as tx:
        video = videos.find_video(tx, session_id)
    assert video is not None
    assert (video.status, video.problem) == ("failed", "it cannot be put together; the log has the details")
    assert files.list_parts()


def test_recorder_waits_for_no_video_that_is_being_finished(pool: Pool, session_id: int) -> None:
    """It held a connection of the pages for as long: a few of them, and every page stood still."""
    with pool.transaction() as tx:
        videos.begin_video(tx, session_id)
    with pool.transaction() as keeper:
        execute(keeper, "SELECT FROM videos WHERE session_id = %s FOR UPDATE", (session_id,))
        for act in (videos.begin_video, videos.touch_video, videos.release_video):
            with pytest.raises(StoreUnavailableError), pool.transaction() as tx:
                act(tx, session_id)
    with pool.transaction() as tx:
        execute(tx, "UPDATE videos SET status = 'failed' WHERE session_id = %s", (session_id,))
        with pytest.raises(ConflictError, match="takes no more frames"):
            videos.begin_video(tx, session_id)


def test_session_without_a_picture_has_no_video_and_says_why(pool: Pool, session_id: int, tmp_path: Path) -> None:
    with pool.transaction() as tx:
        videos.begin_video(tx, session_id)
        videos.release_video(tx, session_id)
    end_session(pool, session_id)
    keep(pool, tmp_path)
    with pool.transaction() as tx:
        video = videos.find_video(tx, session_id)
    assert video is not None
    assert video.status == "failed"
    assert "no frames came" in video.problem


def finished_session(pool: Pool, user_id: int, folder: Path) -> int:
    session_id = new_session(pool, user_id)
    files = files_of(folder, session_id, VAULT)
    files.parts.mkdir()
    write_part(files.create_part(1), range(65))
    with pool.transaction() as tx:
        videos.begin_video(tx, session_id)
        videos.release_video(tx, session_id)
    end_session(pool, session_id)
    keep(pool, folder)
    assert files.video.exists()
    return session_id


def test_video_goes_with_its_session_and_others_stay(pool: Pool, user_id: int, tmp_path: Path) -> None:
    first, second = finished_session(pool, user_id, tmp_path), finished_session(pool, user_id, tmp_path)
    with pool.transaction() as tx:
        sessions.delete_session(tx, first)
    keep(pool, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{second}.mp4", f"{second}.times"]
    with pool.transaction() as tx:
        assert videos.list_erased(tx) == []
        assert [videos.find_video(tx, one) is not None for one in (first, second)] == [False, True]


def test_deletion_that_is_rolled_back_keeps_the_video(pool: Pool, user_id: int, tmp_path: Path) -> None:
    session_id = finished_session(pool, user_id, tmp_path)
    with pytest.raises(RuntimeError), pool.transaction() as tx:
        sessions.delete_session(tx, session_id)
        raise RuntimeError
    keep(pool, tmp_path)
    assert files_of(tmp_path, session_id, VAULT).video.exists()


def test_profile_erased_while_it_records_leaves_no_file(
    make: Callable[..., Recorder], pool: Pool, user_id: int, session_id: int, tmp_path: Path
) -> None:
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(30))
    wait_for(lambda: recorder.state().frames == 30, "30 frames written")
    with pool.transaction() as tx:
        profiles.delete_profile(tx, user_id)
    stop = threading.Event()
    keeper = threading.Thread(target=keep_videos, args=(pool, tmp_path, VAULT, stop))
    keeper.start()
    try:
        wait_for(lambda: list(tmp_path.iterdir()) == [], "no file is left")
    finally:
        stop.set()
        keeper.join()
    recorder.close()
    recorder.join(WAIT_S)
    assert list(tmp_path.iterdir()) == []


def test_one_video_that_cannot_be_made_does_not_hold_up_the_next(
    pool: Pool, user_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = new_session(pool, user_id), 0
    with pool.transaction() as tx:
        videos.begin_video(tx, first)
        videos.release_video(tx, first)
    files_of(tmp_path, first, VAULT).parts.mkdir()
    write_part(files_of(tmp_path, first, VAULT).create_part(1), range(5))
    # A folder in the file's place, as a stand-in for whatever keeps a file from being written.
    files_of(tmp_path, first, VAULT).video.mkdir()
    end_session(pool, first)
    second = finished_session(pool, user_id, tmp_path)
    assert files_of(tmp_path, first, VAULT).parts.exists(), "tried again later"
    shutil.rmtree(files_of(tmp_path, first, VAULT).video)
    keep(pool, tmp_path)
    assert files_of(tmp_path, first, VAULT).video.is_file()
    assert files_of(tmp_path, second, VAULT).video.is_file()
