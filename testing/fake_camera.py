"""A webcam whose every picture shows its own number: for tests of video and their measurement.

Chromium plays the clip in place of a webcam, over and over. What it shows itself (``watch``, its own time of each
picture's capture) is the truth that a recorded video is compared with.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page

from semg.video.files import VideoFiles

WIDTH, HEIGHT, RATE_HZ = 160, 120, 30
BITS, CHECK_BITS = 12, 4
NUMBERS = 1024
"""Pictures of the clip, 34 seconds: a number comes back after that, and the clip begins anew with each connection."""
DARK, LIGHT, GREY = 16, 235, 110

_WATCH = """
(video) => {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 160, height: 120 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.semgSeen = [];
  const look = (now, picture) => {
    context.drawImage(video, 0, 0, 160, 120);
    const { data } = context.getImageData(0, 0, 160, 120);
    let bits = 0;
    for (let place = 0; place < 16; place++) {
      const x = (place % 4) * 40 + 20, y = Math.floor(place / 4) * 30 + 15;
      if (data[4 * (y * 160 + x)] > 128) bits |= 1 << place;
    }
    if (picture.captureTime !== undefined) {
      window.semgSeen.push([bits, performance.timeOrigin + picture.captureTime]);
    }
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}
"""


def browser_arguments(clip: Path) -> list[str]:
    """Return what Chromium is started with so that a clip is its webcam, on loopback, without a question."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
        "--allow-loopback-in-peer-connection",
    ]


def write_clip(path: Path, numbers: int = NUMBERS) -> Path:
    """Write the clip (YUV4MPEG2, which Chromium plays at the rate that the file names), and give its path."""
    colours = np.full(WIDTH * HEIGHT // 2, 128, np.uint8).tobytes()
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE_HZ}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(numbers):
            file.write(b"FRAME\n" + draw(number).tobytes() + colours)
    return path


def draw(number: int) -> NDArray[np.uint8]:
    """Draw a number: sixteen squares, light for a one; the last four repeat the first four, inverted."""
    bits = [number >> place & 1 for place in range(BITS)]
    bits += [1 - bit for bit in bits[:CHECK_BITS]]
    picture = np.full((HEIGHT, WIDTH), GREY, np.uint8)
    high, wide = HEIGHT // 4, WIDTH // 4
    for place, bit in enumerate(bits):
        row, column = divmod(place, 4)
        square = picture[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
        square[4:-4, 4:-4] = LIGHT if bit else DARK
    return picture


def read(picture: NDArray[np.uint8]) -> int | None:
    """Read the number off a grey picture of any size; None when it is not readable."""
    high, wide = picture.shape
    bits = sum(
        1 << place
        for place in range(BITS + CHECK_BITS)
        if picture[int((place // 4 + 0.5) * high / 4), int((place % 4 + 0.5) * wide / 4)] > 128
    )
    return number_of(bits)


def number_of(bits: int) -> int | None:
    """Return the number of sixteen squares; None when the check does not hold."""
    number, check = bits & ((1 << BITS) - 1), bits >> BITS
    return number if check == ~number & ((1 << CHECK_BITS) - 1) else None


def watch(video: Locator) -> None:
    """Let the page keep what its video element shows, with the browser's time of capture."""
    video.evaluate(_WATCH)


def seen(page: Page) -> list[tuple[int, float]]:
    """Return the numbers that ``watch`` has kept, and when each was captured, in microseconds since the epoch."""
    found = page.evaluate("window.semgSeen || []")
    return [(number, at_ms * 1000) for bits, at_ms in found if (number := number_of(bits)) is not None]


def recorded(files: VideoFiles) -> list[int | None]:
    """Return the numbers that the pictures of a finished video show, in order."""
    with files.open(files.video) as video, av.open(video, "r") as container:
        return [read(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]


def errors_us(numbers: list[int | None], times_us: NDArray[np.int64], truth: list[tuple[int, float]]) -> np.ndarray:
    """Return ``recorded time - true time`` of every picture of a video that the browser has shown as well.

    A number comes back after the clip's length: the nearest moment at which it was shown is its truth, and a picture
    that the browser has not shown finds none. All pictures are of one connection.
    """
    shown: dict[int, list[float]] = {}
    for number, at_us in truth:
        shown.setdefault(number, []).append(at_us)
    half_us = NUMBERS / RATE_HZ * 1e6 / 2
    found = []
    for number, at_us in zip(numbers, times_us.tolist(), strict=True):
        nearest = min((at_us - true for true in shown.get(-1 if number is None else number, [])), key=abs, default=None)
        if nearest is not None and abs(nearest) < half_us:
            found.append(nearest)
    return np.array(found)
