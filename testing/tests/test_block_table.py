"""Blocks as columns: the same blocks in another form, whatever is done to all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.block_table import MAX_SPAN_US, BlockTable
from semg.domain import Block
from semg.wire.blocks import decode_table, encode_table


@st.composite
def block_lists(draw: st.DrawFn) -> list[Block]:
    """Blocks of up to four profiles with their own number of channels, in an order as a stream could have."""
    at: dict[int, int] = {}
    blocks = []
    for _ in range(draw(st.integers(0, 12))):
        user_id = draw(st.integers(1, 4))
        n = draw(st.integers(1, 5))
        first = at.get(user_id, 1000 * user_id) + draw(st.sampled_from([5_000, 5_000, 400_000, 1_500_000]))
        device_us = first + 5_000 * np.arange(n, dtype=np.int64)
        at[user_id] = int(device_us[-1])
        n_channels = draw(st.sampled_from([user_id, user_id, user_id, user_id + 1]))
        samples = np.arange(n * n_channels, dtype=np.float32).reshape(n, n_channels) + len(blocks)
        late = draw(st.sampled_from([False, False, False, True]))
        starts = not late and draw(st.sampled_from([False, False, True]))
        blocks.append(Block(user_id, 7 + draw(st.integers(0, 1)), starts, late, 50, device_us, device_us + 60, samples))
    return blocks


def seen(blocks: list[Block]) -> list[tuple[object, ...]]:
    """Every sample with all that is known of it, profile by profile."""
    found = [
        (b.user_id, b.late, b.segment_id, b.clock_offset_us, int(device), int(received), tuple(values.tolist()))
        for b in blocks
        for device, received, values in zip(b.device_us, b.received_us, b.samples, strict=True)
    ]
    return sorted(found, key=lambda item: item[:2])


@given(block_lists())
def test_columns_hold_the_same_blocks(blocks: list[Block]) -> None:
    for table in (BlockTable.from_blocks(blocks), decode_table(encode_table(BlockTable.from_blocks(blocks)))):
        assert seen(table.blocks()) == seen(blocks)
        assert [b.starts_run for b in table.blocks()] == [b.starts_run for b in blocks]


@given(block_lists(), st.randoms(use_true_random=False))
def test_chosen_blocks_are_those_at_the_places(blocks: list[Block], random: object) -> None:
    table = BlockTable.from_blocks(blocks)
    places = list(range(len(blocks)))
    random.shuffle(places)  # type: ignore[attr-defined]
    places = places[: len(places) // 2]
    chosen = table.take(np.array(places, np.int64)).blocks()
    assert [seen([b]) for b in chosen] == [seen([blocks[place]]) for place in places]


@given(block_lists())
def test_merged_blocks_hold_the_same_samples_in_their_order(blocks: list[Block]) -> None:
    merged = BlockTable.from_blocks(blocks).merged().blocks()
    assert seen(merged) == seen(blocks)
    assert len(merged) <= len(blocks)
    for block in merged:
        spans = int(block.device_us[-1] - block.device_us[0])
        assert spans < MAX_SPAN_US or any(len(other.device_us) == block.n_samples for other in blocks)
    starts = [(b.user_id, int(b.device_us[0])) for b in merged if b.starts_run]
    assert sorted(starts) == sorted((b.user_id, int(b.device_us[0])) for b in blocks if b.starts_run)


def test_tables_are_joined_in_order() -> None:
    device_us = np.arange(3, dtype=np.int64)
    one = Block(1, 1, True, False, 0, device_us, device_us, np.ones((3, 2), np.float32))
    two = Block(2, 1, True, False, 0, device_us, device_us, np.zeros((3, 4), np.float32))
    tables = [BlockTable.from_blocks([one]), BlockTable.empty(), BlockTable.from_blocks([two, one])]
    joined = BlockTable.joined(tables)
    assert [b.user_id for b in joined.blocks()] == [1, 2, 1]
    assert joined.n_bytes == sum(table.n_bytes for table in tables)
    assert len(BlockTable.joined([])) == 0


@pytest.mark.parametrize("n_channels", [(8, 8), (8, 4)])
def test_merging_joins_what_continues(n_channels: tuple[int, int]) -> None:
    blocks = []
    for flush in range(3):
        for user_id, channels in zip((1, 2), n_channels, strict=True):
            device_us = 10_000 * flush + np.arange(2, dtype=np.int64) * 5_000
            samples = np.full((2, channels), 10 * flush + user_id, np.float32)
            blocks.append(Block(user_id, 1, flush == 0, False, 5, device_us, device_us, samples))
    merged = BlockTable.from_blocks(blocks).merged().blocks()
    assert [(b.user_id, b.n_samples, b.starts_run) for b in merged] == [(1, 6, True), (2, 6, True)]
    assert merged[1].samples[:, 0].tolist() == [2, 2, 12, 12, 22, 22]
