"""Parts of videos made without a webcam: pictures that show their number, and logs with clocks of every kind."""

from __future__ import annotations

import av
import numpy as np

from semg.security.encrypted_files import EncryptedWriter, Vault
from semg.video.files import VideoFiles
from semg.video.part_log import CLOCK_HZ, FrameLog
from semg.video.writer import PartWriter
from testing import fake_camera

SERVER_US = 1_777_000_000_000_000
VAULT = Vault("k" * 48)
"""Of the tests' settings."""
TICKS = CLOCK_HZ // 30


def picture(number: int, width: int = 0, height: int = 0) -> av.VideoFrame:
    """Return a picture that shows a number, in another size than drawn if one is given."""
    frame = av.VideoFrame.from_ndarray(fake_camera.draw(number), format="gray")
    return frame.reformat(width=width or frame.width, height=height or frame.height, format="yuv420p")


def write_part(
    part: tuple[EncryptedWriter, EncryptedWriter],
    numbers: range,
    start_us: int = SERVER_US,
    *,
    reports: bool = True,
    size: tuple[int, int] | None = None,
    media: int = 7_000,
) -> None:
    """Write a part of 30 pictures a second, whose browser's clock is the server's."""
    writer = PartWriter(*part, size)
    for index, number in enumerate(numbers):
        at_us = start_us + round(index * 1e6 / 30)
        writer.add_frame(picture(number), media + index * TICKS, at_us + 45_000)
        if reports and index % 30 == 0:
            writer.add_report(media + index * TICKS, at_us, at_us)
    writer.close()


def simulated_log(
    seconds: float,
    *,
    drift_ppm: float = 0.0,
    ahead_us: int = 0,
    delay_us: int = 0,
    reports: bool = True,
    seed: int = 0,
) -> tuple[FrameLog, np.ndarray]:
    """Return a log and the true server time of each frame.

    Parameters
    ----------
    drift_ppm
        How much faster the browser's clock runs than the server's.
    ahead_us
        How far it is ahead at the start.
    delay_us
        Mean of what the network and a busy server add to a report's way, beside its least delay of 0.
    """
    generator = np.random.default_rng(seed)
    true_us = SERVER_US + np.arange(round(seconds * 30)) * 1_000_000 // 30

    def browser_us(server_us: np.ndarray) -> np.ndarray:
        return server_us + ahead_us + (server_us - SERVER_US) * drift_ppm / 1e6

    def media_of(clock_us: np.ndarray) -> np.ndarray:
        # The browser rounds to a millisecond before it counts in 1/90,000 s.
        return np.rint((clock_us - SERVER_US) / 1000).astype(np.int64) * (CLOCK_HZ // 1000) + 123_456

    arrival_us = true_us + 45_000 + generator.exponential(8_000, len(true_us))
    report_us = SERVER_US + np.cumsum(generator.uniform(0.5e6, 1.5e6, round(seconds))) if reports else np.zeros(0)
    report_clock_us = browser_us(report_us)
    waited_us = generator.exponential(delay_us, len(report_us)) if delay_us else np.zeros(len(report_us))
    log = FrameLog(
        media=media_of(browser_us(true_us)),
        arrival_us=arrival_us.astype(np.int64),
        report_media=media_of(report_clock_us),
        report_clock_us=report_clock_us.astype(np.int64),
        report_arrival_us=(report_us + waited_us).astype(np.int64),
    )
    return log, true_us


def read_times(files: VideoFiles) -> np.ndarray:
    """Return the server time of each frame of a finished video, int64 microseconds since the epoch."""
    with files.open(files.times) as file:
        content = file.read() or b""
    return np.frombuffer(content[: len(content) // 8 * 8], "<i8").astype(np.int64)


def frame_at(times_us: np.ndarray, at_us: int) -> int:
    """Return the index of the frame that shows a moment: the last one taken until then, or the first."""
    return max(0, int(np.searchsorted(times_us, at_us, side="right")) - 1)
