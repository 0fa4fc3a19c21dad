"""Merging of blocks and the journal's buffer, without a bus."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.block_table import MAX_SPAN_US, BlockTable
from semg.domain import Block
from semg.ingest.journal.chunks import MAX_MESSAGE_BYTES
from semg.ingest.journal.publisher import JournalBuffer
from semg.wire.blocks import decode_blocks

T0_US = 1_790_000_000_000_000


def block(
    user_id: int,
    first_ms: int,
    n: int,
    *,
    starts_run: bool = False,
    late: bool = False,
    offset: int = 0,
    segment_id: int = 1,
    n_channels: int = 2,
) -> Block:
    device = (first_ms + np.arange(n, dtype=np.int64)) * 1000
    samples = np.arange(n * n_channels, dtype=np.float32).reshape(n, n_channels) + first_ms
    return Block(user_id, segment_id, starts_run, late, T0_US + offset, device, device + T0_US, samples)


def merge_blocks(blocks: list[Block]) -> list[Block]:
    return BlockTable.from_blocks(blocks).merged().blocks()


def test_blocks_that_continue_each_other_become_one() -> None:
    merged = merge_blocks([block(1, 0, 10, starts_run=True), block(2, 0, 5), block(1, 10, 10), block(2, 5, 5)])
    assert [(b.user_id, b.n_samples, b.starts_run) for b in merged] == [(1, 20, True), (2, 10, False)]
    assert merged[0].device_us.tolist() == [1000 * n for n in range(20)]


def test_run_segment_offset_width_and_late_keep_blocks_apart() -> None:
    first = block(1, 0, 10)
    for other in (
        block(1, 10, 10, starts_run=True),
        block(1, 10, 10, segment_id=2),
        block(1, 10, 10, offset=700),
        block(1, 10, 10, n_channels=3),
        block(1, 3, 1, late=True),
    ):
        assert len(merge_blocks([first, other])) == 2


def test_late_block_does_not_interrupt_its_profile() -> None:
    merged = merge_blocks([block(1, 0, 10), block(1, 3, 1, late=True), block(1, 10, 10)])
    assert [(b.late, b.n_samples) for b in merged] == [(False, 20), (True, 1)]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 400), st.booleans(), st.booleans()), max_size=60))
def test_merging_keeps_every_sample_and_the_order_of_each_profile(plan: list[tuple[int, int, bool, bool]]) -> None:
    at = dict.fromkeys((1, 2, 3), 0)
    blocks = []
    for user_id, n, starts_run, late in plan:
        blocks.append(block(user_id, at[user_id], n, starts_run=starts_run, late=late))
        at[user_id] += n
    merged = merge_blocks(blocks)
    for user_id in at:
        for late in (False, True):
            before = [b for b in blocks if b.user_id == user_id and b.late is late]
            after = [b for b in merged if b.user_id == user_id and b.late is late]
            for column in ("device_us", "received_us", "samples"):
                flat = [np.concatenate([getattr(b, column) for b in side]).tolist() for side in (before, after) if side]
                assert len(flat) == 0 or flat[0] == flat[1]
            runs_before = [int(b.device_us[0]) for b in before if b.starts_run]
            assert runs_before == [int(b.device_us[0]) for b in after if b.starts_run]
            assert all(b.device_us[-1] - b.device_us[0] < MAX_SPAN_US for b in after)


async def test_messages_stay_below_the_limit_of_nats_and_in_order() -> None:
    buffer = JournalBuffer("x")
    for number in range(200):
        buffer.add(BlockTable.from_blocks([block(1, number * 500, 500, n_channels=16)]))
    ids, numbers = [], []
    while len(numbers) < 100_000:
        message = await buffer.oldest()
        assert len(message.payload) <= MAX_MESSAGE_BYTES
        ids.append(message.message_id)
        for found in decode_blocks(message.payload):
            numbers += (found.device_us // 1000).tolist()
        buffer.remove_oldest()
    assert numbers == list(range(100_000))
    assert len(set(ids)) == len(ids) > 5
