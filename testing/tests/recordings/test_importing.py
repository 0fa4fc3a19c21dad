"""Imports: as many statements for thousands of labels as for a few, bounded in size and time, bit for bit as given."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semg.domain import Repetition
from semg.errors import ConflictError, NotFoundError, RecordingError
from semg.privacy.consent import TEST_PERSON
from semg.recordings import importing
from semg.recordings.csv_format import Recording
from semg.recordings.importing import import_recording
from semg.recordings.session_data import label_table, load_session
from semg.signals.dataset import LabelledSamples, Stretch
from semg.store import blocks, gestures, profiles, repetition_sets, retention, sessions
from semg.store.pool import Pool
from semg.store.repetition_sets import NewRepetition
from testing.kits.store_queries import count_samples

pytestmark = pytest.mark.servers
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Counted:
    """A transaction that counts its statements: each has a cursor of its own."""

    def __init__(self, tx: Any) -> None:
        self._tx, self.n = tx, 0

    def cursor(self, *given: Any, **named: Any) -> Any:
        self.n += 1
        return self._tx.cursor(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


def alternating(n: int, stretches: int) -> Recording:
    """Return a recording of ``n`` samples whose label changes so often, every other time to none at its end."""
    stretch = (np.arange(n) * stretches // n).astype(np.int32)
    labels = tuple(Stretch(("fist", "rest")[i % 2], i, "r") for i in range(stretches))
    samples = np.random.default_rng(1).standard_normal((n, 1)).astype(np.float32)
    starts_run = np.zeros(n, bool)
    starts_run[0] = True
    labelled = LabelledSamples(samples, starts_run, stretch, labels, ("a0",), 200.0)
    return Recording(labelled, np.arange(n) * 5.0, Path("r.csv"))


@pytest.fixture
def user_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)


def test_labels_of_every_row_take_as_many_statements_as_a_few(pool: Pool, user_id: int) -> None:
    counts = []
    for day, stretches in enumerate((2, 4000)):
        with pool.transaction() as tx:
            counted: Any = Counted(tx)
            started_at = START + timedelta(days=day)
            made = import_recording(counted, user_id, alternating(8000, stretches), f"S{day}", started_at)
            counts.append(counted.n)
        assert made.repetitions == stretches
    assert counts[1] <= counts[0] < 30


def test_imported_session_is_bit_for_bit_the_recording(pool: Pool, user_id: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(importing, "BLOCKS_AT_ONCE", 3)
    recording = alternating(3000, 40)
    labelled = replace(recording.labelled, stretch=np.where(np.arange(3000) % 75 < 60, recording.labelled.stretch, -1))
    labelled.starts_run[1111] = True
    with pool.transaction() as tx:
        made = import_recording(tx, user_id, replace(recording, labelled=labelled), "S", START)
        session = sessions.get_session(tx, made.session_id)
        read = load_session(tx, session)
        stored = sessions.list_repetitions(tx, made.session_id)
    assert read.samples.tobytes() == labelled.samples.tobytes()
    assert np.array_equal(read.starts_run, labelled.starts_run)
    assert np.array_equal(read.stretch, labelled.stretch)
    assert [(one.label, one.repetition) for one in read.stretches] == [
        (one.label, one.repetition) for one in labelled.stretches
    ]
    assert stored[0].started_at == START
    assert stored[0].ended_at == START + timedelta(milliseconds=300)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda made: made, "5,001 stretches of one gesture and repetition; a session has at most 5,000"),
        (lambda made: with_labels(made, [f"g{i % 201}" for i in range(402)]), "201 different gestures"),
        (lambda made: with_gaps(made, 20_001), "20,001 gaps"),
        (lambda made: replace(made, device_ms=made.device_ms * 20_000), "goes over .* days; expected at most 7"),
        (lambda made: with_labels(made, ["fist"], first=2**31), "repetitions from 2147483648"),
        (lambda made: with_labels(made, ["fist"], first=-1), "repetitions from -1"),
    ],
    ids=["stretches", "gestures", "gaps", "days", "large number", "negative number"],
)
def test_recording_that_would_be_a_burden_is_refused(pool: Pool, user_id: int, change: Any, said: str) -> None:
    recording = change(alternating(40_008, 5001) if "stretches" in said else alternating(40_008, 2))
    with pool.transaction() as tx:
        counted: Any = Counted(tx)
        with pytest.raises(RecordingError, match=said):
            import_recording(counted, user_id, recording, "S", START)
        assert counted.n < 5, "before anything is stored"


def with_labels(made: Recording, labels: list[str], first: int = 0) -> Recording:
    stretch = (np.arange(len(made.device_ms)) * len(labels) // len(made.device_ms)).astype(np.int32)
    stretches = tuple(Stretch(label, first + index, "r") for index, label in enumerate(labels))
    return replace(made, labelled=replace(made.labelled, stretch=stretch, stretches=stretches))


def with_gaps(made: Recording, n: int) -> Recording:
    starts_run = made.labelled.starts_run.copy()
    starts_run[1 : n + 1] = True
    return replace(made, labelled=replace(made.labelled, starts_run=starts_run))


def test_import_that_takes_too_long_is_taken_back(pool: Pool, user_id: int) -> None:
    ticks = iter(range(0, 10_000, 4))
    with pytest.raises(RecordingError, match=r"more than 5 s, and nothing of it was kept"), pool.transaction() as tx:
        import_recording(tx, user_id, alternating(800, 4), "S", START, max_s=5, clock=lambda: float(next(ticks)))
    with pool.transaction() as tx:
        assert sessions.list_sessions(tx, user_id) == []
        assert count_samples(tx, user_id) == 0
        assert [one.name for one in gestures.list_gestures(tx, user_id)] == ["rest"]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


@pytest.fixture
def session_id(pool: Pool, user_id: int) -> int:
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        return sessions.insert_session(
            tx, user_id, "S", "import", START, at(60), status="completed", device=device
        )  # fmt: skip


@pytest.mark.parametrize(
    "spans",
    [[(0, 2), (1, 3)], [(0, 10), (1, 2), (5, 6)], [(0, 1), (2, 5), (0.5, 0.7)], [(0, 1), (0, 2)]],
    ids=["crossing", "inside", "inside the first", "at once"],
)
def test_repetitions_in_the_same_time_are_refused_together(
    pool: Pool, user_id: int, session_id: int, spans: list[tuple[float, float]]
) -> None:
    with pytest.raises(ConflictError), pool.transaction() as tx:
        rest = gestures.list_gestures(tx, user_id)[0].gesture_id
        made = [NewRepetition(rest, i, at(begin), at(end)) for i, (begin, end) in enumerate(spans)]
        repetition_sets.insert_repetitions(tx, session_id, made)


def test_repetitions_side_by_side_are_written_and_foreign_gestures_are_not(
    pool: Pool, user_id: int, session_id: int
) -> None:
    with pool.transaction() as tx:
        rest = gestures.list_gestures(tx, user_id)[0].gesture_id
        made = [NewRepetition(rest, i, at(i), at(i + 1)) for i in (3, 0, 1, 2)]
        repetition_sets.insert_repetitions(tx, session_id, made)
        assert [one.number for one in sessions.list_repetitions(tx, session_id)] == [0, 1, 2, 3]
        other = profiles.insert_profile(tx, "Bo", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        foreign = gestures.list_gestures(tx, other)[0].gesture_id
    for wrong, number in ((NewRepetition(foreign, 1, at(9), at(10)), session_id), (made[0], session_id + 1)):
        with pytest.raises(NotFoundError), pool.transaction() as tx:
            repetition_sets.insert_repetitions(tx, number, [wrong])


def test_sample_that_two_labels_claim_belongs_to_the_one_that_started_last(pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        made = import_recording(tx, user_id, alternating(2000, 4), "S", START)
        session = sessions.get_session(tx, made.session_id)
        stored = blocks.read_session_blocks(tx, session)
    spans = [(6, 8), (0, 5), (1, 2), (8, 9)]
    labels = [
        Repetition(
            repetition_id=i,
            session_id=1,
            gesture="rest",
            number=i,
            started_at=at(begin),
            ended_at=at(end),
            excluded=False,
            exclude_reason="",
        )
        for i, (begin, end) in enumerate(spans)
    ]
    seconds = label_table(session, stored, labels).stretch[100::200]
    assert seconds.tolist() == [1, 2, 1, 1, 1, -1, 0, 0, 3, -1]
    apart = [labels[index] for index in (0, 2, 3)]
    assert label_table(session, stored, apart).stretch[100::200].tolist() == [-1, 1, -1, -1, -1, -1, 0, 0, 2, -1]


# Where a session lies


def spans(pool: Pool, user_id: int) -> list[tuple[datetime, datetime]]:
    with pool.transaction() as tx:
        found = sorted((one.started_at, one.ended_at) for one in sessions.list_sessions(tx, user_id))
    return found


def test_import_at_the_time_of_another_session_is_refused_and_leaves_nothing(pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        import_recording(tx, user_id, alternating(400, 2), "S", START)
    for shift_s in (-1.9, 0, 1.9):
        with pytest.raises(RecordingError, match="would overlap the session “S”"), pool.transaction() as tx:
            import_recording(tx, user_id, alternating(400, 2), "T", START + timedelta(seconds=shift_s))
    assert spans(pool, user_id) == [(START, START + timedelta(seconds=2))]
    with pool.transaction() as tx:
        import_recording(tx, user_id, alternating(400, 2), "T", START + timedelta(seconds=2))
    assert len(spans(pool, user_id)) == 2


def test_files_with_a_sample_a_day_make_a_partition_a_month(pool: Pool, user_id: int) -> None:
    recording = alternating(8, 1)
    labelled = replace(recording.labelled, starts_run=np.ones(8, bool))
    days = replace(recording, labelled=labelled, device_ms=np.arange(8) * 86_300_000.0)
    at = datetime(2017, 1, 1, tzinfo=UTC)
    for number in range(12):
        with pool.transaction() as tx:
            import_recording(tx, user_id, days, f"S{number}", at + timedelta(days=8 * number))
    with pool.transaction() as tx:
        names = [partition.name for partition in retention.list_partitions(tx, datetime.now(UTC).date())]
        assert count_samples(tx, user_id) == 96
    assert names == ["sample_blocks_201701", "sample_blocks_201702", "sample_blocks_201703", "sample_blocks_201704"]


@pytest.mark.parametrize("at", [datetime(1999, 12, 31, tzinfo=UTC), datetime.now(UTC) + timedelta(days=2)])
def test_import_of_a_time_that_no_recording_is_of_is_refused(pool: Pool, user_id: int, at: datetime) -> None:
    with pytest.raises(RecordingError, match="enter when it was recorded"), pool.transaction() as tx:
        import_recording(tx, user_id, alternating(400, 2), "S", at)


def test_import_of_a_day_goes_behind_the_sessions_that_lie_there(pool: Pool, user_id: int) -> None:
    for number in range(3):
        with pool.transaction() as tx:
            import_recording(tx, user_id, alternating(400, 2), f"S{number}", START, may_move=True)
    seconds = [(start - START).total_seconds() for start, _ in spans(pool, user_id)]
    assert seconds == [0, 3, 6]


def test_two_imports_at_one_moment_share_no_time(pool: Pool, user_id: int) -> None:
    barrier, made = threading.Barrier(4), []

    def run(number: int) -> None:
        barrier.wait()
        with pool.transaction() as tx:
            made.append(import_recording(tx, user_id, alternating(4000, 2), f"S{number}").session_id)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = spans(pool, user_id)
    assert len(set(made)) == len(found) == 4
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    for session_id in made:
        with pool.transaction() as tx:
            assert len(load_session(tx, sessions.get_session(tx, session_id)).samples) == 4000


def test_gestures_of_another_case_are_those_of_the_bank(pool: Pool, user_id: int) -> None:
    recording = alternating(400, 4)
    other = {"fist": "  FIST", "rest": "rest"}
    stretches = tuple(replace(one, label=other[one.label]) for one in recording.labelled.stretches)
    with pool.transaction() as tx:
        gestures.insert_gesture(tx, user_id, "Fist")
        labelled = replace(recording.labelled, stretches=stretches)
        made = import_recording(tx, user_id, replace(recording, labelled=labelled), "S", START)
        assert [one.name for one in gestures.list_gestures(tx, user_id)] == ["rest", "Fist"]
        written = sessions.list_repetitions(tx, made.session_id)
    assert [one.gesture for one in written] == ["Fist", "rest"] * 2
