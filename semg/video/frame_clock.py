"""Estimate when each frame was taken, on the server's clock.

A frame's media time is the browser's capture clock. Its RTCP sender reports (RFC 3550, section 6.4.1) map media
times to the browser's clock, and the lower envelope of the reports' delays ties the browser's clock to
the server's, as for sensors (``semg.ingest.streams.device_clock``). A frame's own arrival is of little use: it
comes through encoder, jitter buffer and decoder, 42 to 46 ms late in the median and up to 0.9 s at the start
(``testing/benchmarks/video.py`` shows both).
"""

from __future__ import annotations

import numpy as np

from semg.ingest.streams.device_clock import ClockFit
from semg.video.part_log import CLOCK_HZ, FrameLog, Int64

US_PER_TICK = 1e6 / CLOCK_HZ
HINDSIGHT_US = 45_000_000
"""A report's offset is taken from the fit of that much time before and after it."""
MIN_REPORTS = 3
"""Fewer of them are used, but without an error bound."""
SMOOTHED_REPORTS = 5
"""The browser rounds a report's media time to 1 ms; a running median takes that, and an odd report, out."""
MIN_ERROR_US = 1000
MAX_ERROR_US = 1_000_000
"""Beyond this the browser's clock was set meanwhile, or worse: nothing is promised then."""
SUPPORT = 0.2
"""Share of the reports whose distance from the line beneath them tells how well that line is supported. The median
would tell how busy the server was: beside a load of 8 on two cores it was 60 ms, and the frames were within 1 ms."""
MIN_STEP_US = 100


def frame_times(log: FrameLog) -> tuple[Int64, int | None]:
    """Return the server time of each frame, and its error bound except for the network's minimum delay.

    Returns
    -------
    int64 ``(n,)`` microseconds since the epoch, rising; and the error in microseconds, None when there were too few
    reports to tell. Without any, the least delay of the frames themselves stays in their times.
    """
    if len(log.media) == 0:
        return np.zeros(0, np.int64), None
    if len(log.report_media):
        times, error_us = _by_reports(log)
        known = len(log.report_media) >= MIN_REPORTS and error_us <= MAX_ERROR_US
        return rising(np.rint(times).astype(np.int64)), error_us if known else None
    capture_us = log.media * US_PER_TICK
    origin_us = int(log.arrival_us[0])
    offsets = _offsets(np.rint(capture_us).astype(np.int64), log.arrival_us - origin_us)
    return rising(np.rint(capture_us + offsets).astype(np.int64) + origin_us), None


def rising(times_us: Int64, after_us: int | None = None) -> Int64:
    """Return times that increase from frame to frame, changing as few as possible.

    Parameters
    ----------
    after_us
        Time of the frame before the first.
    """
    steps = np.arange(len(times_us), dtype=np.int64) * MIN_STEP_US
    levelled = times_us - steps
    if after_us is not None and len(levelled):
        levelled[0] = max(int(levelled[0]), after_us + MIN_STEP_US)
    return np.maximum.accumulate(levelled) + steps


def _by_reports(log: FrameLog) -> tuple[np.ndarray, int]:
    order = np.argsort(log.report_media, kind="stable")
    media, clock_us, arrival_us = log.report_media[order], log.report_clock_us[order], log.report_arrival_us[order]
    origin_us = int(clock_us[0])
    # Browser's clock less media time: nearly constant, so that a median of neighbours keeps its slow change.
    ahead_us = (clock_us - origin_us) - media * US_PER_TICK
    smooth_us = _running_median(ahead_us, SMOOTHED_REPORTS)
    offsets_us = _offsets(clock_us - origin_us, arrival_us - origin_us)
    total_us = np.interp(log.media, media, smooth_us + offsets_us)
    rough_us = float(np.quantile(np.abs(ahead_us - smooth_us), 0.95))
    unsupported_us = float(np.quantile(arrival_us - clock_us - offsets_us, SUPPORT))
    return log.media * US_PER_TICK + total_us + origin_us, round(MIN_ERROR_US + rough_us + 2 * max(0, unsupported_us))


def _offsets(clock_us: Int64, arrival_us: Int64) -> np.ndarray:
    """Return ``server time - clock`` at each of some increasing clock times."""
    fit = ClockFit()
    offsets = np.zeros(len(clock_us))
    done = 0
    for at_us, came_us in zip(clock_us.tolist(), arrival_us.tolist(), strict=True):
        fit.add(at_us, came_us)
        while clock_us[done] < at_us - HINDSIGHT_US:
            offsets[done] = fit.offset_us(int(clock_us[done]))
            done += 1
    for index in range(done, len(clock_us)):
        offsets[index] = fit.offset_us(int(clock_us[index]))
    return offsets


def _running_median(values: np.ndarray, width: int) -> np.ndarray:
    """Return the median of each value and its neighbours, of fewer at the ends."""
    padded = np.pad(values.astype(np.float64), width // 2, constant_values=np.nan)
    return np.asarray(np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))
