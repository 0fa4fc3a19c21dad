"""Cut blocks to a time range, and to the length of a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.block_table import MAX_SPAN_US, STARTS_RUN, BlockTable


def trimmed(table: BlockTable, since_us: int, until_us: int) -> BlockTable:
    """Return the samples in a range of server time; those of a row are in time order."""
    if not len(table):
        return table
    counts = table.counts
    server_us = table.device_us + np.repeat(table.rows["clock_offset_us"], counts)
    inside = (server_us >= since_us) & (server_us < until_us)
    if bool(inside.all()):
        return table
    starts = np.cumsum(counts) - counts
    left = np.add.reduceat(inside, starts, dtype=np.int64)
    rows = table.rows.copy()
    rows["n_samples"] = left
    rows["flags"][~inside[starts]] &= ~np.uint16(STARTS_RUN)
    rows = rows[left > 0]
    device_us, received_us = table.device_us[inside], table.received_us[inside]
    firsts = np.cumsum(left[left > 0]) - left[left > 0]
    rows["device_us"], rows["received_us"] = device_us[firsts], received_us[firsts]
    channels = np.repeat(table.rows["n_channels"].astype(np.int64), counts)
    return BlockTable(rows, device_us, received_us, table.values[np.repeat(inside, channels)])


def cut_long(table: BlockTable) -> BlockTable:
    """Split blocks into chunks shorter than ``MAX_SPAN_US`` whose first sample is the earliest, the last the latest."""
    counts = table.counts
    starts = np.cumsum(counts) - counts
    first, last = table.device_us[starts], table.device_us[starts + counts - 1]
    low, high = np.minimum.reduceat(table.device_us, starts), np.maximum.reduceat(table.device_us, starts)
    if not bool(((last - first >= MAX_SPAN_US) | (low < first) | (high > last)).any()):
        return table
    positions: list[int] = []
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        positions += [start + position for position in _cuts(table.device_us[start : start + count])]
    cut = np.array(positions, np.int64)
    origin = np.searchsorted(starts, cut, side="right") - 1
    rows = table.rows[origin]
    rows["n_samples"] = np.diff(np.append(cut, table.n_samples))
    rows["device_us"], rows["received_us"] = table.device_us[cut], table.received_us[cut]
    rows["flags"][cut != starts[origin]] &= ~np.uint16(STARTS_RUN)
    return BlockTable(rows, table.device_us, table.received_us, table.values)


def _cuts(times: NDArray[np.int64]) -> list[int]:
    """Return where the chunks of a block begin: a row's times increase, and span less than ``MAX_SPAN_US``."""
    back = np.append(np.flatnonzero(np.diff(times) < 0) + 1, len(times))
    cuts, at = [0], 0
    for end in back.tolist():
        while True:
            at += int(np.searchsorted(times[at:end], times[at] + MAX_SPAN_US))
            if at >= end:
                break
            cuts.append(at)
        if end < len(times):
            cuts.append(end)
        at = end
    return cuts
