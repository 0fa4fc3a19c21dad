"""Frames to files while a session is recorded; with a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from semg.domain import us_from_utc
from semg.errors import AccessError, StoreUnavailableError
from semg.privacy.consent import TEST_PERSON
from semg.store import gestures, profiles, sessions, videos
from semg.store.pool import Pool, Transaction
from semg.video.claims import SILENT_S, Claims
from semg.video.files import files_of
from semg.video.part_log import read_log
from semg.video.recording import LATE_US, MAX_WAITING, Limits, Recorder
from semg.video.writer import PartWriter
from testing import fake_camera
from testing.kits.filming import WAIT_S, end_session, ended_sessions, feed, keep, new_session, wait_for
from testing.kits.video_kit import SERVER_US, TICKS, VAULT, picture


def test_frames_of_a_session_become_its_video(
    make: Callable[..., Recorder], pool: Pool, session_id: int, tmp_path: Path
) -> None:
    recorder = make()
    feed(recorder, range(5))  # before it is aimed: of no session
    recorder.aim(session_id)
    feed(recorder, range(10, 70), media=10**9)
    wait_for(lambda: recorder.state().frames == 60, "60 frames written")
    assert recorder.state().sends
    keep(pool, tmp_path)
    assert files_of(tmp_path, session_id, VAULT).parts.exists(), "not finished while it is recorded"
    recorder.aim(None)
    wait_for(lambda: recorder.state().session_id is None, "the aim")
    end_session(pool, session_id)
    wait_for(lambda: bool(ended_sessions(pool)), "the part's end")
    keep(pool, tmp_path)
    with pool.transaction() as tx:
        video = videos.find_video(tx, session_id)
    assert video is not None
    assert (video.status, video.frames, video.width, video.height, video.problem) == ("ready", 60, 640, 480, "")
    assert fake_camera.recorded(files_of(tmp_path, session_id, VAULT)) == list(range(10, 70))


def test_rate_is_the_cameras_when_frames_come_in_a_burst(make: Callable[..., Recorder]) -> None:
    recorder = make()
    feed(recorder, range(40))  # within milliseconds, as after a stall
    assert recorder.state().rate_hz == pytest.approx(90_000 / TICKS)


def test_reports_that_come_too_often_are_left_out(
    make: Callable[..., Recorder], session_id: int, pool: Pool, tmp_path: Path
) -> None:
    """A flood of them filled the disk, and kept the thread that finishes everybody's videos."""
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(3))
    wait_for(lambda: recorder.state().frames == 3, "3 frames written")
    for number in range(5_000):  # within a second
        recorder.add_report(number, SERVER_US + number, SERVER_US + 200_000 + number * 200)
    recorder.close()
    recorder.join(WAIT_S)
    files = files_of(tmp_path, session_id, VAULT)
    with files.open(files.list_parts()[0][1]) as log:
        assert 5 < len(read_log(log).report_media) <= 12


def test_recorder_stops_by_itself_when_the_session_ends(
    make: Callable[..., Recorder], pool: Pool, session_id: int
) -> None:
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(30))
    wait_for(lambda: recorder.state().frames == 30, "30 frames written")
    end_session(pool, session_id)
    wait_for(lambda: ended_sessions(pool) == [session_id], "the recorder looks once a second")
    feed(recorder, range(30, 60), media=10**9)
    recorder.close()
    recorder.join(WAIT_S)
    assert recorder.state().frames == 30


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Hold up the encoder: what is set when a frame is about to be encoded, and what is to be set to let it go on."""
    reached, go_on = threading.Event(), threading.Event()
    add = PartWriter.add_frame

    def slow(self: PartWriter, frame: av.VideoFrame, media: int, arrival_us: int) -> None:
        reached.set()
        assert go_on.wait(WAIT_S)
        add(self, frame, media, arrival_us)

    monkeypatch.setattr(PartWriter, "add_frame", slow)
    return reached, go_on


def test_what_arrived_before_the_end_is_written_after_it(
    make: Callable[..., Recorder],
    pool: Pool,
    session_id: int,
    tmp_path: Path,
    held: tuple[threading.Event, threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine seconds of frames wait for the encoder; the end of the video was lost."""
    monkeypatch.setattr("semg.video.recording.LOOK_EVERY_S", 0.0)
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(1))
    assert held[0].wait(WAIT_S)
    feed(recorder, range(1, 60), media=TICKS)
    end_session(pool, session_id)
    with pool.transaction() as tx:
        ended_at = sessions.get_session(tx, session_id).ended_at
    assert ended_at is not None
    recorder.add_frame(picture(99), 10**9, us_from_utc(ended_at) + LATE_US + 1)
    held[1].set()
    wait_for(lambda: ended_sessions(pool) == [session_id], "the part's end")
    keep(pool, tmp_path)
    assert fake_camera.recorded(files_of(tmp_path, session_id, VAULT)) == list(range(60))


def test_frame_belongs_to_the_session_that_was_aimed_at_when_it_arrived(
    make: Callable[..., Recorder],
    pool: Pool,
    user_id: int,
    session_id: int,
    tmp_path: Path,
    held: tuple[threading.Event, threading.Event],
) -> None:
    """With an encoder or a database that is late, frames of the next person went into the former one's video."""
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Bo", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        gestures.insert_gesture(tx, other, "fist")
    following = new_session(pool, other)
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(5))
    assert held[0].wait(WAIT_S)
    recorder.aim(following)
    feed(recorder, range(20, 28), media=10**6)
    recorder.close()
    held[1].set()
    recorder.join(WAIT_S)
    for one in (session_id, following):
        end_session(pool, one)
    keep(pool, tmp_path)
    assert fake_camera.recorded(files_of(tmp_path, session_id, VAULT)) == list(range(5))
    assert fake_camera.recorded(files_of(tmp_path, following, VAULT)) == list(range(20, 28))


def test_frames_wait_for_a_database_that_does_not_answer(
    make: Callable[..., Recorder], session_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, begin = [False], videos.begin_video

    def late(tx: Transaction, of: int) -> int:
        if not answers[0]:
            raise StoreUnavailableError("it does not answer")
        return begin(tx, of)

    monkeypatch.setattr(videos, "begin_video", late)
    monkeypatch.setattr("semg.video.recording.LOOK_EVERY_S", 0.01)
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(30))
    wait_for(lambda: "waits for the database" in recorder.state().problem, "the reason")
    answers[0] = True
    wait_for(lambda: recorder.state().frames == 30, "30 frames written")
    assert recorder.state().problem == ""


def test_waiting_frames_are_bounded_in_number_and_bytes(
    make: Callable[..., Recorder],
    session_id: int,
    held: tuple[threading.Event, threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(MAX_WAITING + 3))
    assert recorder.state().dropped == 3
    held[1].set()
    wait_for(lambda: recorder.state().frames == MAX_WAITING, "what waited is written")
    held[1].clear()
    one = picture(0, 640, 480)
    monkeypatch.setattr("semg.video.recording.MAX_WAITING_BYTES", 640 * 480 * 3 // 2 * 10)
    for number in range(14):
        recorder.add_frame(one, 10**9 + number * TICKS, SERVER_US + number)
    assert recorder.state().dropped == 3 + 4
    held[1].set()
    wait_for(lambda: recorder.state().frames == MAX_WAITING + 10, "what waited is written")


def test_new_connection_goes_on_with_the_next_part(
    make: Callable[..., Recorder], pool: Pool, session_id: int, tmp_path: Path
) -> None:
    for numbers in (range(20), range(50, 80)):
        recorder = make()
        recorder.aim(session_id)
        feed(recorder, numbers)
        recorder.close()
        recorder.join(WAIT_S)
    end_session(pool, session_id)
    keep(pool, tmp_path)
    assert fake_camera.recorded(files_of(tmp_path, session_id, VAULT)) == [*range(20), *range(50, 80)]


def test_only_one_webcam_records_a_session_until_it_is_silent() -> None:
    now = 100.0
    claims = Claims(lambda: now)
    first, second = object(), object()
    assert claims.hold(1, first)
    assert not claims.hold(1, second)
    assert claims.hold(2, second), "another session"
    now += SILENT_S - 0.1
    assert claims.hold(1, first)
    now += SILENT_S
    assert claims.hold(1, second)
    assert not claims.hold(1, first)
    claims.give_up(1, first)
    assert not claims.hold(1, first), "only its holder gives it up"
    claims.give_up(1, second)
    assert claims.hold(1, first)


def test_who_may_not_record_any_more_writes_nothing_and_makes_room(
    make: Callable[..., Recorder], pool: Pool, session_id: int, user_id: int, tmp_path: Path
) -> None:
    """Without this a client that never asks for its page again went on filming into somebody else's session."""
    allowed, asked = [True], []

    def require(tx: Transaction, of: int) -> None:
        asked.append(of)
        if not allowed[0]:
            raise AccessError("this login has ended")

    stranger = make(require=require)
    stranger.aim(session_id)
    feed(stranger, range(20))
    wait_for(lambda: stranger.state().frames == 20, "20 frames written")
    allowed[0] = False

    def refused() -> bool:
        stranger.add_frame(picture(99), 10**9 + len(asked), SERVER_US + 10**8)
        return "this login has ended" in stranger.state().problem

    wait_for(refused, "the refusal")
    assert set(asked) == {user_id}
    owner = make()
    owner.aim(session_id)
    feed(owner, range(50, 70))
    wait_for(lambda: owner.state().frames == 20, "the owner's frames")
    later = make(require=require)
    later.aim(session_id)
    feed(later, range(3))
    owner.close()
    owner.join(WAIT_S)


def test_recorder_says_that_another_one_writes(
    make: Callable[..., Recorder], session_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semg.video.recording.CLAIM_SAID_S", 0.1)
    first, second = make(), make()
    first.aim(session_id)
    feed(first, range(5))
    wait_for(lambda: first.state().frames == 5, "5 frames written")
    second.aim(session_id)

    def told() -> bool:
        for recorder in (first, second):
            recorder.add_frame(picture(7), 10**9, SERVER_US + 10**8)
        return "another webcam" in second.state().problem

    wait_for(told, "the reason")
    assert second.state().frames == 0


def test_session_that_has_ended_takes_no_frames_and_the_page_is_told(
    make: Callable[..., Recorder], pool: Pool, session_id: int, tmp_path: Path
) -> None:
    end_session(pool, session_id)
    recorder = make()
    recorder.aim(session_id)
    feed(recorder, range(3))
    wait_for(lambda: "has ended" in recorder.state().problem, "the refusal")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "setting"), [(Limits(2_000, 0), "VIDEO_MAX_BYTES"), (Limits(1 << 30, 1 << 60), "MIN_FREE_DISK_MB")]
)
def test_video_is_cut_short_at_a_limit_and_says_so(
    make: Callable[..., Recorder], pool: Pool, session_id: int, tmp_path: Path, limits: Limits, setting: str
) -> None:
    recorder = make(limits)
    recorder.aim(session_id)
    feed(recorder, range(140))
    wait_for(lambda: setting in recorder.state().problem, "the limit")
    recorder.close()
    recorder.join(WAIT_S)
    end_session(pool, session_id)
    keep(pool, tmp_path)
    with pool.transaction() as tx:
        video = videos.find_video(tx, session_id)
    assert video is not None
    assert video.status == "ready"
    assert setting in video.problem


def test_limit_of_a_video_counts_what_earlier_connections_wrote(
    make: Callable[..., Recorder], session_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semg.video.recording.LOOK_EVERY_S", 0.0)
    first = make()
    first.aim(session_id)
    feed(first, range(60))
    first.close()
    first.join(WAIT_S)
    assert first.state().problem == ""
    written = sum(path.stat().st_size for path in files_of(tmp_path, session_id, VAULT).parts.iterdir())
    second = make(Limits(written, 0))
    second.aim(session_id)
    feed(second, range(60, 90))
    wait_for(lambda: "VIDEO_MAX_BYTES" in second.state().problem, "the limit")
