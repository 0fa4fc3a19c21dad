"""Consecutive blocks of a profile put together, so that messages and rows are few."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from semg.domain import Block

MAX_SPAN_US = 1_000_000
"""A merged block covers less than this much device time: the length of a row in ``sample_blocks``."""


def merge_blocks(blocks: Iterable[Block]) -> list[Block]:
    """Give the same samples in fewer blocks.

    A block is added to the profile's previous one when it continues it: same segment, same clock offset, same
    channels, no run started, not late. The order of a profile's blocks is kept.
    """
    groups: list[list[Block]] = []
    last: dict[int, list[Block]] = {}
    for block in blocks:
        group = last.get(block.user_id)
        if group is not None and _continues(group, block):
            group.append(block)
            continue
        group = [block]
        groups.append(group)
        if not block.late:
            last[block.user_id] = group
    return [group[0] if len(group) == 1 else _joined(group) for group in groups]


def _continues(group: list[Block], block: Block) -> bool:
    first = group[0]
    return (
        not block.starts_run
        and not block.late
        and block.segment_id == first.segment_id
        and block.clock_offset_us == first.clock_offset_us
        and block.samples.shape[1] == first.samples.shape[1]
        and int(block.device_us[-1]) - int(first.device_us[0]) < MAX_SPAN_US
    )


def _joined(group: list[Block]) -> Block:
    first = group[0]
    return Block(
        user_id=first.user_id,
        segment_id=first.segment_id,
        starts_run=first.starts_run,
        late=False,
        clock_offset_us=first.clock_offset_us,
        device_us=np.concatenate([block.device_us for block in group]),
        received_us=np.concatenate([block.received_us for block in group]),
        samples=np.concatenate([block.samples for block in group]),
    )
