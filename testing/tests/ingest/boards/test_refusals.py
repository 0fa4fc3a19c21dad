"""Who may send what: forged, replayed, unknown, unassigned and misfit datagrams are counted and never stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.domain import Device, HighWaterMark
from semg.ingest.boards.datagrams import CHECKED_OF_BOARD
from semg.ingest.pipeline import Pipeline
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.sources import REFUSED_LOOKED_AT, REFUSED_PER_S, SOURCE_IDLE_US
from semg.ingest.text.active_senders import TAKEOVER_US
from semg.wire.udp import encode_v1
from semg.wire.udp2 import TAG_BYTES, Key
from testing.kits.board_kit import ADDRESS, NOW_US, PERIOD_US, SimulatedBoard, feed, make_pipeline, numbers_of, process

OTHER = bytes(range(32))


def refused(pipeline: Pipeline, data: bytes, reason: str) -> None:
    before = Counter(pipeline.counters.dropped)
    assert feed(pipeline, data) == []
    assert Counter(pipeline.counters.dropped) - before == Counter({reason: 1})
    assert pipeline.sources.table(NOW_US)[0]["state"] == reason


def test_forged_tag_is_refused_and_does_not_block_the_real_datagram() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    real = board.next()
    for at in range(len(real)):
        forged = bytearray(real)
        forged[at] ^= 1
        assert feed(pipeline, bytes(forged)) == []
    assert set(pipeline.counters.dropped) == {"field_count", "v2_magic", "unknown_board", "bad_tag"}
    assert pipeline.counters.dropped.total() == len(real)
    refused(pipeline, SimulatedBoard(secret=OTHER).next(), "bad_tag")
    assert pipeline.counters.accepted == 0
    assert numbers_of(feed(pipeline, real)) == [0, 1, 2, 3]


@pytest.mark.parametrize("junk", [b"x", b"SE\x02\x00" + bytes(100)])
def test_junk_in_a_boards_name_does_not_take_the_boards_own_datagrams(junk: bytes) -> None:
    """The address of a datagram can be forged; the tag cannot."""
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    sent = 0
    for at_us in range(NOW_US, NOW_US + 3_000_000, 100_000):  # 20,000 datagrams of junk a second
        feed(pipeline, *[one for _ in range(20) for one in [*[junk] * 100, board.next(1)]], at_us=at_us)
        sent += 20
    assert pipeline.counters.dropped["rate_limited"] > 40_000, "the flood itself is hardly looked at"
    assert pipeline.counters.accepted == sent == 600


def test_copied_heads_from_a_limited_address_cost_a_bounded_number_of_tags() -> None:
    board, other = SimulatedBoard(), SimulatedBoard(8, OTHER)
    pipeline = make_pipeline(board.known(), other.known(22))
    feed(pipeline, *[b"x"] * (REFUSED_PER_S + 1))
    forged = SimulatedBoard(secret=OTHER).next()
    before = pipeline.counters.dropped["bad_tag"]
    feed(pipeline, *[forged] * 3000, other.next())
    assert pipeline.counters.dropped["bad_tag"] - before == REFUSED_LOOKED_AT + CHECKED_OF_BOARD
    assert pipeline.counters.accepted == 4, "those of one board are counted for that board"


def test_each_reason_is_counted_and_nothing_of_it_comes_out() -> None:
    board, stranger, idle = SimulatedBoard(), SimulatedBoard(8), SimulatedBoard(9)
    pipeline = make_pipeline(board.known(last=HighWaterMark(5, -1)), idle.known(user_id=None))
    refused(pipeline, stranger.next(), "unknown_board")
    refused(pipeline, idle.next(), "unassigned_board")
    refused(pipeline, SimulatedBoard(boot_id=4).next(), "replayed")
    refused(pipeline, SimulatedBoard(channels=3).next(), "channel_count")
    refused(pipeline, b"SE\x02", "v2_size")
    refused(pipeline, b"S" * 100, "v2_magic")
    refused(pipeline, board.next() + bytes(1400), "too_long")
    short = board.next()[: -TAG_BYTES - 2]
    refused(pipeline, short + Key(bytes(32)).tag(short), "v2_size")
    assert pipeline.counters.accepted == 0
    assert pipeline.finish(NOW_US).blocks() == []


def test_board_of_a_profile_that_is_gone_is_unassigned() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known(user_id=99))
    refused(pipeline, board.next(), "unassigned_board")


@settings(max_examples=200)
@given(data=st.binary(max_size=1500).map(lambda rest: b"S" + rest))
def test_no_bytes_crash_the_pipeline(data: bytes) -> None:
    pipeline = make_pipeline(SimulatedBoard().known())
    assert feed(pipeline, data) == []
    assert pipeline.counters.dropped.total() == 1


def test_older_boot_is_replayed_and_a_newer_one_a_segment() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    old = [board.next() for _ in range(3)]
    blocks = feed(pipeline, *old)
    held = (board.next(), board.next())[1]
    assert feed(pipeline, held) == []
    board.reboot()
    blocks += feed(pipeline, board.next())
    assert numbers_of(blocks) == [*range(12), *range(16, 24)], "what was held is not lost at a boot"
    assert [block.starts_run for block in blocks] == [True, False, False, True, True]
    assert blocks[-1].segment_id > blocks[0].segment_id
    assert feed(pipeline, *old) == []
    assert pipeline.counters.dropped == Counter(replayed=3)
    assert pipeline.counters.segments == 2


def test_boots_end_with_the_largest_number_and_never_wrap() -> None:
    board = SimulatedBoard(boot_id=(1 << 32) - 2)
    pipeline = make_pipeline(board.known())
    assert len(feed(pipeline, board.next())) == 1
    board.reboot()
    assert len(feed(pipeline, board.next())) == 1
    assert pipeline.boards.take_marks()[7].boot_id == (1 << 32) - 1
    # After a wrap, a recording of the first boot could not be told from a new one.
    refused(pipeline, SimulatedBoard(boot_id=0).next(), "replayed")


def test_sequences_wrap_within_a_boot() -> None:
    board = SimulatedBoard(first=(1 << 32) - 3)
    pipeline = make_pipeline(board.known())
    sent = [board.next() for _ in range(6)]
    sent[2], sent[3] = sent[3], sent[2]
    blocks = feed(pipeline, *sent)
    assert numbers_of(blocks) == list(range(24))
    assert [block.starts_run for block in blocks] == [True] + [False] * 5
    assert feed(pipeline, *sent) == []
    assert pipeline.counters.dropped == Counter(duplicate=6)


def test_what_was_seen_is_told_once_for_the_database_and_again_when_it_fails() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known(), SimulatedBoard(8).known(user_id=None))
    assert pipeline.boards.take_marks() == {}
    feed(pipeline, board.next(), board.next(), SimulatedBoard(8, boot_id=3).next())
    marks = pipeline.boards.take_marks()
    start_us = board.start_us
    expected = {7: HighWaterMark(5, start_us + 4 * PERIOD_US), 8: HighWaterMark(3, start_us)}
    assert marks == expected, "an unassigned board counts as well"
    assert pipeline.boards.take_marks() == {}
    feed(pipeline, board.next())
    assert pipeline.boards.take_marks() == {7: HighWaterMark(5, start_us + 8 * PERIOD_US)}, (
        "also of a stream that is followed"
    )
    board.reboot()
    feed(pipeline, board.next())
    pipeline.boards.give_back_marks(marks)
    assert pipeline.boards.take_marks() == {7: HighWaterMark(6, board.device_us(12)), 8: HighWaterMark(3, start_us)}
    pipeline.boards.set_boards([])
    pipeline.boards.set_boards([board.known(last=HighWaterMark(6, board.device_us(12)))])
    assert pipeline.boards.take_marks() == {}


def test_running_boot_goes_on_after_a_server_restart_but_nothing_before_it() -> None:
    board = SimulatedBoard()
    before, now = board.next(), board.next()
    pipeline = make_pipeline(board.known(last=HighWaterMark(5, -1)))
    (block,) = feed(pipeline, now)
    assert block.starts_run
    refused(pipeline, before, "replayed")


def test_restarted_server_takes_nothing_that_was_sent_before_even_while_the_board_is_silent() -> None:
    board = SimulatedBoard()
    first = make_pipeline(board.known())
    captured = [board.next() for _ in range(20)]
    assert numbers_of(feed(first, *captured)) == list(range(80))
    mark = first.boards.take_marks()[7]
    again = make_pipeline(board.known(last=mark))
    assert feed(again, *captured) == []
    assert again.counters.dropped == Counter(replayed=20)
    assert numbers_of(feed(again, board.next())) == [80, 81, 82, 83], "the board itself goes on"


def test_old_datagram_that_seems_ahead_after_half_of_all_sequences_is_replayed() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    old = board.next()
    feed(pipeline, old)
    for _ in range(2):  # three quarters of all sequences, in steps that can be told
        board.sequence += 3 << 29
        feed(pipeline, board.next())
    feed(pipeline, old)
    assert pipeline.counters.dropped == Counter(replayed=1)
    feed(pipeline, board.next())
    assert pipeline.counters.accepted == 16, "the board itself goes on"


def test_boot_that_the_database_learnt_elsewhere_counts() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next())
    pipeline.boards.set_boards([board.known(last=HighWaterMark(6, -1)), SimulatedBoard(8).known(None)])
    refused(pipeline, board.next(), "replayed")
    pipeline.boards.set_boards([board.known(last=HighWaterMark(2, -1))])
    refused(pipeline, board.next(), "replayed")


def test_reassignment_moves_the_stream_and_never_mixes() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known(21))
    first = feed(pipeline, board.next())
    delayed, held = board.next(), board.next()
    assert feed(pipeline, held) == []
    pipeline.boards.set_boards([board.known(22)])
    assert pipeline.holds, "what was held for the first profile is due"
    second = feed(pipeline, board.next(), delayed)
    assert [(block.user_id, numbers_of([block])) for block in first + second] == [
        (21, [0, 1, 2, 3]), (21, [8, 9, 10, 11]), (22, [12, 13, 14, 15]),
    ]  # fmt: skip
    assert second[1].starts_run
    assert pipeline.counters.dropped == Counter(replayed=1), "a datagram from before is nobody's any more"
    assert second[1].segment_id != first[0].segment_id or second[1].user_id != first[0].user_id


def test_recording_made_while_unassigned_cannot_be_stored_later() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known(None))
    recorded = [board.next() for _ in range(2)]
    for data in recorded:
        refused(pipeline, data, "unassigned_board")
    pipeline.boards.set_boards([board.known(21)])
    assert feed(pipeline, *recorded) == []
    assert pipeline.counters.dropped == Counter(unassigned_board=2, duplicate=2)
    assert numbers_of(feed(pipeline, board.next())) == [8, 9, 10, 11]


def test_swapped_boards_never_mix() -> None:
    left, right = SimulatedBoard(7), SimulatedBoard(8, OTHER)
    right.skip(1000)
    pipeline = make_pipeline(left.known(21), right.known(22))
    blocks = feed(pipeline, left.next(), right.next())
    pipeline.boards.set_boards([left.known(22), right.known(21)])
    blocks += feed(pipeline, left.next(), right.next())
    assert [(block.user_id, numbers_of([block])[0]) for block in blocks] == [(21, 0), (22, 1000), (22, 4), (21, 1004)]
    for user_id in (21, 22):
        own = [block for block in blocks if block.user_id == user_id]
        assert own[0].segment_id < own[1].segment_id
        assert own[1].starts_run


def test_revoked_board_is_refused_and_a_new_key_accepted_only_with_itself() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next())
    pipeline.boards.set_boards([])
    refused(pipeline, board.next(), "unknown_board")
    renewed = SimulatedBoard(secret=OTHER)
    pipeline.boards.set_boards([renewed.known()])
    refused(pipeline, board.next(), "bad_tag")
    renewed.skip(100)
    assert numbers_of(feed(pipeline, renewed.next())) == [100, 101, 102, 103]


def test_changed_device_starts_a_run_and_other_channels_are_refused() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next())
    device = Device(21, ("a0", "a1"), 1e6 / PERIOD_US, allow_v1=True)
    for changed in (replace(device, adc_max=1023.0), device):
        pipeline.set_devices([changed])
        (block,) = feed(pipeline, board.next())
        assert block.starts_run
    (block,) = feed(pipeline, board.next())
    assert not block.starts_run
    pipeline.set_devices([replace(device, channels=("a0",))])
    refused(pipeline, board.next(), "channel_count")
    pipeline.set_devices([])
    refused(pipeline, board.next(), "unassigned_board")


def test_text_and_board_of_one_profile_take_turns_in_growing_segments() -> None:
    board, us = SimulatedBoard(), NOW_US
    pipeline = make_pipeline(board.known())
    text = [encode_v1(21, 10_000 + 5 * number, [30_000 + number, 0]) for number in range(8)]
    turns = [text[:2], [board.next(), board.next()], text[2:4], [board.next()], [text[4]], [text[5]]]
    blocks = []
    for number, turn in enumerate(turns):  # who falls silent loses the profile
        blocks += feed(pipeline, *turn, at_us=us + number * TAKEOVER_US)
    assert [numbers_of([block])[0] for block in blocks] == [30_000, 0, 4, 30_002, 8, 30_004, 30_005]
    assert [block.starts_run for block in blocks] == [True, True, False, True, True, True, False]
    ids = [block.segment_id for block in blocks]
    assert ids == sorted(ids)
    assert len(set(ids)) == 5
    assert pipeline.counters.dropped == Counter()


def test_sources_show_the_profile_channels_values_and_rate_in_samples() -> None:
    board = SimulatedBoard()
    pipeline = Pipeline(0, Counters())
    pipeline.set_registry([Device(21, ("a0", "a1"), 200.0, allow_v1=True)], [board.known()])
    pipeline.sources.table(NOW_US)
    feed(pipeline, board.next(50), board.next(50))
    (row,) = pipeline.sources_table(NOW_US + 1_000_000)
    assert row["address"] == f"{ADDRESS[0]}:{ADDRESS[1]}"
    assert (row["user_id"], row["channels"], row["values"], row["state"]) == (21, 2, [99, 1099], "ok")
    assert row["board_id"] == board.known().board_id
    assert (row["rate_hz"], row["device_ms"]) == (100.0, 1250)
    assert row["clock_error_ms"] > 0
    assert row["clock_drift_ppm"] == 0


@pytest.mark.parametrize("reason", ["bad_tag", "unknown_board"])
def test_sources_believe_nothing_before_the_tag(reason: str) -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(*([board.known()] if reason == "bad_tag" else []))
    refused(pipeline, SimulatedBoard(secret=OTHER).next(), reason)
    (row,) = pipeline.sources_table(NOW_US)
    assert (row["user_id"], row["board_id"], row["values"], row["device_ms"]) == (None, None, [], None)
    assert (row["clock_error_ms"], row["clock_drift_ppm"]) == (None, None)


def test_sources_forget_what_was_said_for_a_profile_that_is_gone() -> None:
    board, other = SimulatedBoard(), Device(22, ("a0", "a1"), 200.0)
    pipeline = Pipeline(0, Counters())
    erased, assigned = Device(21, ("a0", "a1"), 200.0), {77: 21}
    pipeline.set_registry([erased, other], [board.known(21)], assigned)
    sent = [(board.next(), 1), (b"21,1000,5,6", 2), (b"77,1000,7,8", 3), (b"22,1000,9,9", 4), (b"99,1000,1,1", 5)]
    process(pipeline, [(datagram, NOW_US, ("10.0.0.1", port)) for datagram, port in sent], NOW_US)
    assert all(row["values"] for row in pipeline.sources_table(NOW_US))
    pipeline.set_registry([other], [board.known(None)], {})
    rows = {row["address"]: row for row in pipeline.sources_table(NOW_US)}
    for port in (1, 2, 3):
        row = rows[f"10.0.0.1:{port}"]
        assert (row["user_id"], row["board_id"], row["device_ms"], row["values"]) == (None, None, None, [])
    assert (rows["10.0.0.1:4"]["user_id"], rows["10.0.0.1:4"]["values"]) == (22, [9.0, 9.0])
    assert rows["10.0.0.1:5"]["user_id"] == 99, "nobody's number may be assigned yet"


def test_source_that_fell_silent_is_forgotten() -> None:
    board = SimulatedBoard()
    pipeline = make_pipeline(board.known())
    feed(pipeline, board.next())
    assert len(pipeline.sources_table(NOW_US + SOURCE_IDLE_US)) == 1
    assert pipeline.sources_table(NOW_US + SOURCE_IDLE_US + 1) == []
