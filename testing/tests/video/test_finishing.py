"""One MP4 from parts: nothing but the times changes, whatever a crash has left."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from semg.errors import EncryptedFileError, VideoError
from semg.security.encrypted_files import MAGIC
from semg.video.files import VideoFiles, files_of
from semg.video.finishing import finish
from semg.video.writer import PartWriter, fitting, size_of
from testing import fake_camera
from testing.kits.video_kit import SERVER_US, TICKS, VAULT, frame_at, picture, read_times, write_part

SECOND_US = 1_000_000


@pytest.fixture
def files(tmp_path: Path) -> VideoFiles:
    """Where the parts of session 7 go."""
    made = files_of(tmp_path, 7, VAULT)
    made.parts.mkdir()
    return made


def media_times(files: VideoFiles) -> list[float]:
    with files.open(files.video) as video, av.open(video, "r") as container:
        return [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.pts is not None]


def test_parts_become_one_video_whose_time_is_the_servers(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(65))
    write_part(files.create_part(files.next_number()), range(100, 165), SERVER_US + 5 * SECOND_US, media=999)
    made = finish(files)
    assert (made.frames, made.width, made.height) == (130, 640, 480)
    assert made.started_us == pytest.approx(SERVER_US, abs=1000)
    assert made.ended_us == pytest.approx(SERVER_US + 5 * SECOND_US + 64 * SECOND_US / 30, abs=1000)
    assert made.time_error_us is not None
    assert fake_camera.recorded(files) == [*range(65), *range(100, 165)]
    times_us = read_times(files)
    assert np.allclose(media_times(files), (times_us - times_us[0]) / 1e6, atol=1e-5)
    assert made.n_bytes == files.video.stat().st_size
    assert sorted(path.name for path in files.video.parent.iterdir()) == ["7.mp4", "7.times"]


def test_any_time_leads_to_the_frame_that_shows_it(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(30))
    finish(files)
    times_us = read_times(files)
    assert frame_at(times_us, int(times_us[12])) == 12
    assert frame_at(times_us, int(times_us[13]) - 1) == 12
    assert frame_at(times_us, 0) == 0
    assert frame_at(times_us, 1 << 62) == 29


def test_index_stands_in_front_so_that_browsers_seek_by_ranges(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(30))
    finish(files)
    with files.open(files.video) as video:
        content = video.read()
        assert content.index(b"moov") < content.index(b"mdat")
        video.seek(0)
        container = av.open(video, "r")
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


def test_part_that_a_crash_cut_short_is_kept_as_far_as_it_goes(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(90))
    video = files.part(1)[0]
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    write_part(files.create_part(2), range(100, 130), SERVER_US + 10 * SECOND_US)
    finish(files)
    numbers = fake_camera.recorded(files)
    first = [number for number in numbers if number is not None and number < 100]
    assert 20 < len(first) < 90
    assert first == list(range(len(first)))
    assert numbers[len(first) :] == list(range(100, 130))
    times_us = read_times(files)
    assert times_us[len(first)] == pytest.approx(SERVER_US + 10 * SECOND_US, abs=1000)


def test_pictures_without_a_row_of_the_log_are_left_out(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(60))
    log = files.part(1)[1]
    with files.open(log) as file:
        rows = file.read()
    with files.create(log) as file:
        file.write(rows[: len(rows) // 2])
    finish(files)
    numbers = fake_camera.recorded(files)
    assert 20 < len(numbers) < 40
    assert numbers == list(range(len(numbers)))


def test_empty_and_foreign_parts_are_passed_over(files: VideoFiles) -> None:
    PartWriter(*files.create_part(1)).close()
    files.part(2)[0].write_bytes(b"")
    files.part(2)[1].write_bytes(b"")
    write_part(files.create_part(3), range(10))
    write_part(files.create_part(4), range(10), SERVER_US + SECOND_US, size=(320, 240))
    assert finish(files).frames == 10


def test_nothing_at_all_is_said_and_leaves_no_file(files: VideoFiles) -> None:
    with pytest.raises(VideoError, match="no frames came"):
        finish(files)
    PartWriter(*files.create_part(1)).close()
    with pytest.raises(VideoError, match="no frames came"):
        finish(files)
    assert not files.video.exists()


def test_one_part_without_reports_makes_the_error_unknown(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(65))
    write_part(files.create_part(2), range(65, 95), SERVER_US + 3 * SECOND_US, reports=False)
    assert finish(files).time_error_us is None


def test_size_that_the_browser_changes_does_not_change_the_file(files: VideoFiles) -> None:
    writer = PartWriter(*files.create_part(1))
    for index, (width, height) in enumerate([(640, 480), (320, 240), (480, 360), (1280, 960)]):
        writer.add_frame(picture(index, width, height), index * TICKS, SERVER_US)
    writer.add_frame(picture(9), 2 * TICKS, SERVER_US)  # time that runs back is left out
    writer.close()
    with files.open(files.part(1)[0]) as video:
        assert size_of(video) == (640, 480)
    finish(files)
    assert fake_camera.recorded(files) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("size", "made"), [((1920, 1080), (640, 360)), ((480, 640), (480, 640)), ((161, 121), (640, 480))]
)
def test_longer_side_is_limited_and_sides_are_even(size: tuple[int, int], made: tuple[int, int]) -> None:
    assert fitting(*size) == made


def test_clip_of_the_fake_camera_reads_as_it_was_drawn() -> None:
    assert [fake_camera.read(fake_camera.draw(number)) for number in (0, 1, 239, 4095)] == [0, 1, 239, 4095]
    assert fake_camera.read(np.zeros((120, 160), np.uint8)) is None


def test_no_file_shows_a_picture_to_who_lacks_the_key(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(60))
    kept = [path.read_bytes() for path in files.part(1)]
    finish(files)
    kept += [files.video.read_bytes(), files.times.read_bytes()]
    for content in kept:
        assert is_sealed_content(content)
        assert not any(box in content for box in (b"ftyp", b"moov", b"mdat", b"avc1"))
    files.video.rename(files.video.with_name("8.mp4"))
    with pytest.raises(EncryptedFileError), files_of(files.video.parent, 8, VAULT).open(files.video.with_name("8.mp4")):
        pass


def is_sealed_content(content: bytes) -> bool:
    return content.startswith(MAGIC)


def test_video_from_before_encryption_is_read_and_then_encrypted(files: VideoFiles) -> None:
    write_part(files.create_part(1), range(30))
    finish(files)
    for path in (files.video, files.times):
        with files.open(path) as file:
            content = file.read()
        path.write_bytes(content)
    plain, times_us = files.video.read_bytes(), read_times(files)
    assert fake_camera.recorded(files) == list(range(30))
    assert files.seal_old()
    assert not files.seal_old()
    assert is_sealed_content(files.video.read_bytes())
    assert is_sealed_content(files.times.read_bytes())
    with files.open(files.video) as file:
        assert file.read() == plain
    assert np.array_equal(read_times(files), times_us)
