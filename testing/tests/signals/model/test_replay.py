"""A replay decides what the live path decided from the same state, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from semg.block_table import BlockTable
from semg.domain import Block, DecisionSpec
from semg.errors import ArtifactError
from semg.inference.streams import ActiveModel, Streams
from semg.predictor.model_cache import Loaded
from semg.predictor.people import PeopleByLayout
from semg.signals.model.adaptation import BLOCK
from semg.signals.model.classifier import Classifier
from semg.signals.model.replay import PARTS, Replay, Replayed, joined, keep_part, parts_of
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from semg.wire.windows import AlikeWindows
from testing.kits.predictor_kit import InMemory
from testing.kits.recording_kit import labelled_session

GESTURES = ("rest", "fist", "open_hand", "flexion")
ARM = SyntheticArm(2, 4, gestures=GESTURES)
DECISION = DecisionSpec(3, 0.45, 0.2)
OFFSET_US = 1_800_000_000_000_000
COLUMNS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return fit([labelled_session(ARM, 1, make_plan(GESTURES, 3, 1.5))], "cnn", options=TrainingOptions(epochs=1))


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    """Another session in blocks of 7 samples, with a gap and a late block."""
    session = labelled_session(ARM, 2, make_plan(GESTURES, 3, 2.0))
    made, n = [], min(len(session.samples), 6000)
    device_us = (np.arange(n) * 1e6 / session.rate_hz).astype(np.int64)
    device_us[n // 2 :] += 400_000
    for first in range(0, n, 7):
        part = slice(first, min(first + 7, n))
        starts = first == 0 or first <= n // 2 < first + 7
        made.append(
            Block(1, 1, starts, first == 700, OFFSET_US, device_us[part], device_us[part], session.samples[part])
        )
    return made


def live(classifier: Classifier, flushes: list[BlockTable], edges_us: tuple[int, ...] = ()) -> list[tuple]:
    """What the inference worker and the predictor make of flushes: time, label, confidence, probabilities."""
    model = ActiveModel(1, 1, classifier.spec, COLUMNS, 4, DECISION)
    streams, predictor = Streams(lambda user_id: model), InMemory({1: Loaded(1, PeopleByLayout().add(classifier))})
    found = []
    for number, flush in enumerate(flushes):
        if not number:
            stream = streams.open(1, 0.0)
            assert stream is not None
            for edge_us in edges_us:
                stream.group.add_edge(stream.slot, edge_us)
        for due in streams.push(flush, 0.0):
            cut = due.cut
            table = AlikeWindows(np.arange(len(due)), due.user_ids, due.model_versions, cut.windows, cut.numbers)
            answers = predictor.predict_windows([table])
            decided = streams.decide(due, answers.probabilities, answers.n_classes, 0)
            found += [
                (one.window_end_us, one.label, one.confidence, answers.probabilities[index].tobytes())
                for index, one in enumerate(decided)
            ]
    return found


def rows(found: Replayed) -> list[tuple]:
    return [
        (at_us, label, confidence, row.tobytes())
        for at_us, label, confidence, row in zip(
            found.ends_us.tolist(), found.labels, found.confidences.tolist(), found.probabilities, strict=True
        )
    ]


@pytest.mark.parametrize("together", [1, 5, 200])
def test_replay_equals_live_bit_for_bit(classifier: Classifier, blocks: list[Block], together: int) -> None:
    edge_us = OFFSET_US + 9_000_000
    flushes = [BlockTable.from_blocks(blocks[at : at + 1]) for at in range(len(blocks))]
    expected = live(classifier, flushes, (edge_us,))
    replay = Replay(classifier, COLUMNS, 4, DECISION)
    replay.add_edge(edge_us)
    pieces = [replay.push(BlockTable.from_blocks(blocks[at : at + together])) for at in range(0, len(blocks), together)]
    found = joined(pieces, classifier)
    assert len(found) > 10 * BLOCK
    assert rows(found) == expected
    assert len({label for _, label, *_ in expected}) > 2
    cut = found.between(edge_us, edge_us + 1_000_000)
    assert len(cut) < len(found)
    assert rows(cut) == [one for one in expected if edge_us <= one[0] < edge_us + 1_000_000]


def test_without_following_each_window_is_answered_as_stored(classifier: Classifier, blocks: list[Block]) -> None:
    table = BlockTable.from_blocks(blocks)
    fixed = Replay(classifier, COLUMNS, 4, DECISION, follows=False).push(table)
    following = Replay(classifier, COLUMNS, 4, DECISION).push(table)
    np.testing.assert_array_equal(fixed.probabilities[:BLOCK], following.probabilities[:BLOCK])
    assert not np.allclose(fixed.probabilities[BLOCK:], following.probabilities[BLOCK:], atol=1e-2)


def test_each_kept_classifier_can_decide_alone(classifier: Classifier, blocks: list[Block]) -> None:
    table = BlockTable.from_blocks(blocks[:200])
    assert parts_of(classifier) == PARTS
    answers = {
        part: Replay(keep_part(classifier, part), COLUMNS, 4, DECISION, follows=False).push(table).probabilities
        for part in PARTS
    }
    logs = {part: np.log(np.maximum(row, 1e-30)) for part, row in answers.items()}
    share, dense_share, _ = classifier.arrays["mix"]
    mean = share * logs["network"] + dense_share * logs["dense"] + (1 - share - dense_share) * logs["closed form"]
    mixed = np.exp(mean) / np.exp(mean).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixed, answers["all"], atol=1e-4)
    assert not np.allclose(answers["network"], answers["closed form"], atol=1e-3)


def test_version_of_one_classifier_has_no_other(classifier: Classifier) -> None:
    plain = replace(classifier, kind="logcov_lda")
    assert parts_of(plain) == ("all",)
    assert keep_part(plain, "all") is plain
    with pytest.raises(ArtifactError, match="not dense"):
        keep_part(plain, "dense")
    old = replace(classifier, arrays={k: v for k, v in classifier.arrays.items() if not k.startswith("dense")})
    assert parts_of(old) == ("all", "closed form", "network")
