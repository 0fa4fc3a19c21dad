"""Uploaded pictures and videos are opened, within bounds, before anything shows them."""

from __future__ import annotations

import io
import struct
import zlib

import av
import numpy as np
import pytest
from PIL import Image

from semg.capture import prompt_media
from semg.capture.prompt_media import check_prompt
from semg.errors import InvalidValueError
from semg.store import accounts, gestures
from semg.store.pool import Pool
from testing.kits.page_data import GESTURES, LOGIN, Open, act, login_of
from ui.gesture_list import OPEN
from ui.gesture_pictures import drawn_uri, find_picture, picture_uris
from ui.picture_drop import content_of
from ui.runtime import App


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 24)).save(out, kind)
    return out.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose head claims another size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_pictures_are_taken(kind: str) -> None:
    assert check_prompt(picture(kind)) == f"image/{kind.lower()}"


@pytest.mark.parametrize("size", [(10_000, 10_000), (60_000, 60_000), (1 << 20, 1 << 20)])
def test_picture_that_would_fill_the_memory_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidValueError, match="prompt"):
        check_prompt(claims(*size))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF8",
        picture("PNG")[:40],
        b"\x89PNG\r\n\x1a\n<script>",
        picture("BMP"),
        b"RIFF0000WEBPVP8 " + b"\xff" * 9,
        picture("PNG")[:-30],
        b"\x00\x00\x00\x18ftyp<script>",
        b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + b"<script>alert(1)</script>" * 9,
        b"\x1a\x45\xdf\xa3<script>",
        b"<script>",
    ],
)
def test_what_is_neither_picture_nor_video_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidValueError, match="prompt"):
        check_prompt(content)


def video(kind: str = "mp4", codec: str = "libx264", n: int = 3, width: int = 32, rate: int = 10) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        track = container.add_stream(codec, rate=rate)
        track.width, track.height, track.pix_fmt = width, 24, "yuv420p"
        for i in range(n):
            shown = np.full((24, width, 3), i % 250, np.uint8)
            container.mux(track.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(track.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "libx264"), ("webm", "libvpx"), ("webm", "libvpx-vp9")])
def test_videos_are_taken(kind: str, codec: str) -> None:
    assert check_prompt(video(kind, codec)) == f"video/{kind}"


def sound() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        track = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: video(n=62, rate=1), "60 s"),
        (lambda: video(codec="mpeg4"), "h264"),
        (lambda: video()[:-900], "cannot be read"),
        (sound, "picture track"),
        (lambda: video() + bytes(8 << 20), "8 MB"),
    ],
    ids=["long", "not played by browsers", "cut off", "sound", "large"],
)
def test_video_that_cannot_be_shown_is_refused_with_why(content, why: str) -> None:
    with pytest.raises(InvalidValueError, match=why):
        check_prompt(content())


def test_wide_video_and_one_of_many_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = video(n=20)
    monkeypatch.setattr(prompt_media, "MAX_VIDEO_FRAMES", 19)
    with pytest.raises(InvalidValueError, match="19 pictures"):
        check_prompt(made)
    monkeypatch.setattr(prompt_media, "MAX_VIDEO_PIXELS", 32 * 24 - 1)
    with pytest.raises(InvalidValueError, match="prompt"):
        check_prompt(video())


def test_page_takes_a_picture_and_refuses_what_only_begins_like_a_video(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    with pool.transaction() as tx:
        fist = gestures.list_gestures(tx, profile_id)[1].gesture_id
    page = open_page(GESTURES, **{OPEN: fist})
    for name, content, media_type in (
        ("x.mp4", b"\x00\x00\x00\x18ftyp<script>", None),
        ("x.png", picture("PNG"), "image/png"),
    ):
        page.file_uploader(key=f"file-{fist}-0-for-{profile_id}").set_value((name, content, "")).run()
        assert not page.exception
        assert bool(page.error) == (media_type is None)
        with pool.transaction() as tx:
            found = gestures.find_prompt(tx, fist)
        assert (found and found[0]) == media_type
    act(page, f"remove-{fist}").click().run()
    with pool.transaction() as tx:
        assert gestures.find_prompt(tx, fist) is None


def test_picture_that_a_browser_sent_is_bounded_base64() -> None:
    assert content_of({"content": "AAEC"}) == b"\x00\x01\x02"
    for sent in (None, {}, {"content": 7}, {"content": ""}, {"content": "A" * 900_000}, {"content": "<svg>"}):
        with pytest.raises(InvalidValueError, match="send"):
            content_of(sent)


def test_gesture_without_a_picture_is_shown_by_a_drawn_hand(app_of_test: App, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        rest, fist, open_hand = gestures.list_gestures(tx, profile_id)
        gestures.set_prompt(tx, fist.gesture_id, picture("PNG"))
        gestures.set_prompt(tx, open_hand.gesture_id, video())
        gestures.insert_gesture(tx, profile_id, "my own")
        bank = gestures.list_gestures(tx, profile_id)
        account = accounts.find_account(tx, LOGIN)
    assert account is not None
    app = app_of_test.of(account, login_of(pool))
    uris = picture_uris(app, bank)
    assert uris["rest"].startswith("data:image/svg+xml;base64,")
    assert f"/files/prompt-{fist.gesture_id}?token=" in uris["fist"]
    assert uris["open hand"] == drawn_uri("open hand")
    assert "my own" not in uris
    found = {gesture.name: find_picture(app, gesture) for gesture in bank}
    assert {name: one and one[0] for name, one in found.items()} == {
        "rest": "image/svg+xml", "fist": "image/png", "open hand": "video/mp4", "my own": None,
    }  # fmt: skip
    assert rest.prompt_type is None
