"""The streams of many profiles at once give what each profile's samples give offline, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.domain import Block, ConditioningSpec, DecisionSpec, WindowSpec
from semg.inference.streams import ActiveModel, Streams
from semg.signals.conditioning import condition
from semg.signals.model.classifier import ClassifierSpec
from semg.signals.model.decisions import Voter
from semg.signals.model.dynamic import TrialSpec
from semg.signals.windows import cut
from testing.kits.window_grid import window_ends

OFFSET_US = 1_800_000_000_000_000
N = 400


def model(user_id: int, columns: tuple[int, ...], n_device: int, window: WindowSpec, version: int = 1) -> ActiveModel:
    names = tuple(f"a{column}" for column in columns)
    conditioning = ConditioningSpec("envelope" if user_id % 5 == 0 else "raw", window.rate_hz)
    spec = ClassifierSpec(("rest", "fist"), names, window, conditioning, DecisionSpec())
    return ActiveModel(user_id, version, spec, columns, n_device, DecisionSpec())


@dataclass
class Person:
    """Samples of a profile, and where runs start in them."""

    model: ActiveModel
    samples: NDArray[np.float32]
    device_us: NDArray[np.int64]
    starts: set[int]
    pieces: list[Block] = field(default_factory=list)

    def expected(self) -> list[tuple[int, bytes]]:
        """Device time and bytes of every window that is cut offline."""
        spec, found = self.model.spec, []
        edges = [*sorted(self.starts), len(self.samples)]
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            run = condition(spec.conditioning, self.samples[first:last, list(self.model.columns)])
            ends = window_ends(spec.window, len(run))
            windows = cut(run, ends, spec.window)
            found += [(int(self.device_us[first + end]), w.tobytes()) for end, w in zip(ends, windows, strict=True)]
        return found


def block(person: Person, first: int, last: int, starts_run: bool) -> Block:
    part = slice(first, last)
    device_us, samples = person.device_us[part], person.samples[part]
    return Block(person.model.user_id, 7, starts_run, False, OFFSET_US, device_us, device_us + OFFSET_US + 3, samples)


def collected(streams: Streams, flushes: list[list[Block]]) -> dict[int, list[tuple[int, bytes]]]:
    found: dict[int, list[tuple[int, bytes]]] = {}
    for flush in flushes:
        for due in streams.push(BlockTable.from_blocks(flush), 0.0):
            assert len({id(stream) for stream in due.streams}) == len(due)
            columns = (due.user_ids.tolist(), due.cut.device_us.tolist(), due.cut.windows)
            for user_id, device_us, window in zip(*columns, strict=True):
                found.setdefault(user_id, []).append((device_us, window.tobytes()))
            assert (due.cut.server_us - due.cut.device_us == OFFSET_US).all()
            assert (due.cut.received_us - due.cut.server_us == 3).all()
    return found


def people(draw: st.DrawFn, n: int) -> list[Person]:
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    made = []
    for user_id in range(1, n + 1):
        n_device = draw(st.sampled_from([4, 8, 16]))
        columns = tuple(rng.permutation(n_device)[: draw(st.integers(1, 4))].tolist())
        rate_hz = draw(st.sampled_from([100.0, 200.0]))
        window = WindowSpec(
            rate_hz, 250, draw(st.sampled_from([10.0, 50.0, 400.0])), draw(st.sampled_from([0.0, 100.0]))
        )
        device_us = np.cumsum(np.full(N, round(1e6 / rate_hz)))
        samples = (2048 + 100 * rng.standard_normal((N, n_device))).astype(np.float32)
        made.append(Person(model(user_id, columns, n_device, window), samples, device_us, {0}))
    return made


@st.composite
def streamed(draw: st.DrawFn) -> tuple[list[Person], list[list[Block]], list[tuple[int, int]]]:
    """People, their blocks by flush, and session edges ``(user, server time)``; with losses and repeats."""
    everybody = people(draw, draw(st.integers(1, 4)))
    flushes: list[list[Block]] = [[] for _ in range(12)]
    edges = []
    for person in everybody:
        cuts = sorted(draw(st.sets(st.integers(1, N - 1), max_size=20)))
        spans = list(zip([0, *cuts], [*cuts, N], strict=True))
        resets = draw(st.sets(st.integers(0, len(spans) - 1), max_size=2))
        lost = draw(st.sets(st.integers(1, max(1, len(spans) - 1)), max_size=1)) & set(range(len(spans) - 1))
        kept, where = [], 0
        for number, (first, last) in enumerate(spans):
            if number in lost:
                continue
            starts = number == 0 or number in resets
            if starts or number - 1 in lost:
                person.starts.add(sum(b - a for a, b in kept))
            kept.append((first, last))
            where = min(len(flushes) - 1, where + draw(st.integers(0, 2)))
            piece = block(person, first, last, starts)
            flushes[where].append(piece)
            if draw(st.booleans()):
                flushes[where] += [piece, replace(piece, late=True)]  # delivered twice, and late
        chosen = np.concatenate([np.arange(a, b) for a, b in kept])
        person.samples, person.device_us = person.samples[chosen], person.device_us[chosen]
        for edge in draw(st.sets(st.integers(1, len(chosen) - 1), max_size=2)):
            person.starts.add(edge)
            edges.append((person.model.user_id, int(person.device_us[edge]) + OFFSET_US - draw(st.integers(0, 1))))
    return everybody, flushes, edges


@pytest.mark.slow
@given(streamed())
@settings(max_examples=150)
def test_windows_of_many_equal_those_of_each_offline(
    case: tuple[list[Person], list[list[Block]], list[tuple[int, int]]],
) -> None:
    everybody, flushes, edges = case
    models = {person.model.user_id: person.model for person in everybody}
    streams = Streams(models.get)
    for user_id, server_us in edges:
        stream = streams.open(user_id, 0.0)
        stream.group.add_edge(stream.slot, server_us)
    found = collected(streams, flushes)
    for person in everybody:
        assert found.get(person.model.user_id, []) == person.expected()


def one_person(user_id: int = 1) -> Person:
    rng = np.random.default_rng(user_id)
    window = WindowSpec(200.0, 250, 50, 100)
    samples = rng.normal(2048, 100, (N, 4)).astype(np.float32)
    return Person(model(user_id, (0, 2), 4, window), samples, np.arange(N, dtype=np.int64) * 5000, {0})


def test_profile_without_a_model_costs_no_buffer() -> None:
    person = one_person()
    streams = Streams({}.get)
    assert collected(streams, [[block(person, 0, N, True)]]) == {}
    assert len(streams) == 0


def test_newer_boot_whose_first_block_was_lost_starts_a_run() -> None:
    person = one_person()
    streams = Streams({1: person.model}.get)
    collected(streams, [[block(person, 0, 33, True)]])
    second = replace(block(person, 33, N, False), segment_id=8)
    rest = replace(person, samples=person.samples[33:], device_us=person.device_us[33:])
    assert collected(streams, [[second]]) == {1: rest.expected()}


def test_block_of_an_older_boot_is_left_out() -> None:
    person = one_person()
    streams = Streams({1: person.model}.get)
    older = replace(block(person, 0, N, True), segment_id=6)
    assert collected(streams, [[block(person, 0, N, True)], [older]]) == {1: person.expected()}


def test_other_number_of_channels_gives_no_window() -> None:
    person = one_person()
    streams = Streams({1: person.model}.get)
    wide = replace(block(person, 0, N, True), samples=np.ones((N, 5), np.float32))
    assert collected(streams, [[wide]]) == {}


def test_numbers_that_are_none_cost_their_own_profile_only() -> None:
    broken, good = one_person(1), one_person(2)
    models = {1: broken.model, 2: good.model}
    broken.samples[100, 0] = np.nan
    streams = Streams(models.get)
    flushes = [[block(p, a, a + 20, a == 0) for p in (broken, good)] for a in range(0, N, 20)]
    found = collected(streams, flushes)
    assert found[2] == good.expected()
    assert streams.not_finite == 1
    assert all(np.isfinite(np.frombuffer(window, np.float32)).all() for _, window in found[1])
    assert found[1][-1][0] > int(broken.device_us[300])


def test_slot_of_a_forgotten_profile_starts_empty_for_the_next() -> None:
    first, second = one_person(1), one_person(2)
    models = {1: first.model, 2: second.model}
    streams = Streams(models.get)
    collected(streams, [[block(first, 0, 60, True)]])
    streams.drop(1)
    assert collected(streams, [[block(second, 0, N, False)]]) == {2: second.expected()}
    assert len(streams) == 1


def test_idle_streams_are_forgotten_and_busy_ones_stay() -> None:
    first, second = one_person(1), one_person(2)
    streams = Streams({1: first.model, 2: second.model}.get)
    streams.push(BlockTable.from_blocks([block(first, 0, 9, True), block(second, 0, 9, True)]), 1.0)
    streams.push(BlockTable.from_blocks([block(second, 9, 12, False)]), 5.0)
    streams.drop_idle(3.0)
    assert [streams.is_current(streams.open(user, 6.0)) for user in (1, 2)] == [True, True]
    assert len(streams) == 2
    streams.drop_idle(5.5)
    assert len(streams) == 1


def test_new_version_with_the_same_windows_keeps_the_buffers() -> None:
    person = one_person()
    models = {1: person.model}
    streams = Streams(models.get)
    before = collected(streams, [[block(person, 0, 200, True)]])
    models[1] = replace(person.model, version=2)
    streams.follow_models(0.0)
    after = streams.push(BlockTable.from_blocks([block(person, 200, N, False)]), 0.0)
    assert {int(version) for due in after for version in due.model_versions} == {2}
    windows = [w.tobytes() for due in after for w in due.cut.windows]
    assert [window for _, window in before[1]] + windows == [window for _, window in person.expected()]


def test_new_version_with_other_windows_starts_anew() -> None:
    person = one_person()
    models = {1: person.model}
    streams = Streams(models.get)
    collected(streams, [[block(person, 0, 200, True)]])
    models[1] = model(1, (1,), 4, WindowSpec(200.0, 100, 25, 0), version=2)
    streams.follow_models(0.0)
    rest = Person(models[1], person.samples[200:], person.device_us[200:], {0})
    assert collected(streams, [[block(person, 200, N, False)]]) == {1: rest.expected()}


@pytest.mark.parametrize("vote_n", [1, 3])
def test_decisions_equal_those_of_a_voter_for_each_profile(vote_n: int) -> None:
    everybody = [one_person(user_id) for user_id in (1, 2, 3)]
    specs = {p.model.user_id: DecisionSpec(vote_n, 0.3 * p.model.user_id, 0.5) for p in everybody}
    models = {user_id: replace(one_person(user_id).model, decision=spec) for user_id, spec in specs.items()}
    streams, voters = Streams(models.get), {user_id: Voter(spec, 2) for user_id, spec in specs.items()}
    rng = np.random.default_rng(0)
    flushes = [[block(p, a, a + 20, a in (0, 200)) for p in everybody] for a in range(0, N, 20)]
    seen = 0
    for flush in flushes:
        for due in streams.push(BlockTable.from_blocks(flush), 0.0):
            probabilities = rng.dirichlet([1, 1], len(due)).astype(np.float32)
            decided = streams.decide(due, probabilities, np.full(len(due), 2), 5, {2})
            for decision, row, fresh in zip(decided, probabilities, due.cut.starts_run, strict=True):
                if fresh:
                    voters[decision.user_id].reset()
                winner, confidence = voters[decision.user_id].push(row)
                assert decision.label == (None if winner is None else ("rest", "fist")[winner])
                assert (decision.confidence, decision.decided_us) == (confidence, 5)
                assert decision.window_end_us == decision.window_end_device_us + OFFSET_US
                assert (decision.probabilities is not None) == (decision.user_id == 2)
                if decision.probabilities is not None:
                    assert list(decision.probabilities) == ["rest", "fist"]
                    assert sum(decision.probabilities.values()) == pytest.approx(1)
                    told = (
                        dict(decision.probabilities)
                        if winner is None
                        else {decision.label: decision.probabilities[decision.label]}
                    )
                    assert any(confidence == pytest.approx(value) for value in told.values())
                    assert decision.needed == specs[2].begin_confidence
                seen += 1
    assert seen > 50


def test_number_of_a_stream_changes_at_session_edges_and_at_no_gap() -> None:
    person = one_person()
    streams = Streams({1: person.model}.get)
    stream = streams.open(1, 0.0)
    edge = 205
    stream.group.add_edge(stream.slot, int(person.device_us[edge]) + OFFSET_US)
    numbers: dict[int, int] = {}
    for first, last in ((0, 100), (110, 200), (200, 300), (300, N)):
        for due in streams.push(BlockTable.from_blocks([block(person, first, last, first == 110)]), 0.0):
            numbers |= dict(zip(due.cut.device_us.tolist(), due.cut.numbers.tolist(), strict=True))
    before = {number for at, number in numbers.items() if at < person.device_us[edge]}
    after = {number for at, number in numbers.items() if at >= person.device_us[edge]}
    assert (len(before), len(after)) == (1, 1)
    assert before != after
    assert 1 <= min(before | after) <= max(before | after) <= 65_535


def test_performance_is_decided_once_and_the_vote_goes_on_behind_it() -> None:
    person = one_person()
    trials = TrialSpec(("snap", "tap", "rest"), 2, 6, 14)
    dynamic = replace(person.model, spec=replace(person.model.spec, trials=trials))
    streams, voter = Streams({1: dynamic}.get), Voter(DecisionSpec(), 2)
    held, once = np.array([0.8, 0.2], np.float32), {5: [0.0, 0.9], 9: [0.3, 0.2], 12: [0.7, 0.1]}
    decided = []
    for first in range(0, N, 20):
        for due in streams.push(BlockTable.from_blocks([block(person, first, first + 20, first == 0)]), 0.0):
            for k in range(len(due)):
                row = np.concatenate([held, np.array(once.get(len(decided), [0, 0]), np.float32)])
                one = due.take(np.array([k]))
                decided += streams.decide(one, row[None], np.array([4]), 5, {1} if len(decided) == 12 else ())
    assert len(decided) > 15
    expected = [voter.push(held) for _ in decided]
    for k, decision in enumerate(decided):
        if k in (5, 12):
            assert (decision.label, decision.once) == ({5: "tap", 12: "snap"}[k], True)
            assert decision.confidence == pytest.approx(max(once[k]))
        else:
            assert (decision.label, decision.confidence, decision.once) == ("rest", expected[k][1], False)
    assert decided[12].probabilities == pytest.approx({"rest": 0.8, "fist": 0.2, "snap": 0.7, "tap": 0.1})
