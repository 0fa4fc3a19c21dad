"""The training of short dynamic gestures: beside the held ones, and reported per performance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from semg.domain import REST, ConditioningSpec, WindowSpec
from semg.errors import TrainingError
from semg.signals.dataset import LabelledSamples, make_windows
from semg.signals.training.dynamic_fit import DynamicSet, dynamic_set, fit_dynamic, try_dynamic
from semg.signals.training.label_alignment import measure_alignment
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit, train
from semg.signals.training.training_report import TrainingReport
from testing.kits.short_gestures import HELD, SHORT, marked, short_recording

WINDOW, RAW = WindowSpec(200.0), ConditioningSpec("raw", 200.0)


@pytest.fixture(scope="module")
def sessions() -> list[LabelledSamples]:
    return [short_recording(3, index, 4).labelled for index in (1, 2)]


def set_of(sessions: list[LabelledSamples], calibration: LabelledSamples | None = None) -> DynamicSet:
    found = dynamic_set(sessions, calibration, sessions[0].channels, RAW, WINDOW)
    assert found is not None
    return found


def silenced(session: LabelledSamples, label: str) -> LabelledSamples:
    """Return a session in which nothing was performed when a gesture was prompted."""
    wanted = [i for i, one in enumerate(session.stretches) if one.label == label]
    chosen = np.isin(session.stretch, wanted)
    rest = np.isin(session.stretch, [i for i, one in enumerate(session.stretches) if one.label == REST][:1])
    samples = session.samples.copy()
    samples[chosen] = np.resize(session.samples[rest][100:], samples[chosen].shape)
    return replace(session, samples=samples)


@pytest.mark.parametrize("n_sessions", [1, 2])
def test_report_counts_every_performance_once(sessions, n_sessions) -> None:
    result = train(sessions[:n_sessions], "logcov_lda")
    figures = result.report.dynamic
    assert figures is not None
    assert figures.by == ("repetition" if n_sessions == 1 else "session")
    assert figures.classes == (*sorted(SHORT), "")
    assert figures.performances == 16 * n_sessions == sum(map(sum, figures.confusion[:-1]))
    assert figures.balanced_accuracy is not None
    assert figures.balanced_accuracy > 0.8
    assert sum(figures.confusion[-1]) >= 12 * n_sessions - 2, "held gestures begin too, and are none of them"
    assert (figures.missed_onsets <= 2, figures.doubled) == (True, 0)
    assert figures.false_per_min_rest is not None
    assert figures.false_per_min_rest < 1
    assert figures.false_per_min_held is not None
    assert TrainingReport.from_json(result.report.as_json()).dynamic == figures
    assert result.classifier.spec.dynamic == tuple(sorted(SHORT))
    assert set(result.classifier.classes) == {REST, *HELD}, "no posture is learned from a short gesture"


def test_short_gestures_give_no_window_and_no_evidence_against_labels(sessions) -> None:
    held = {str(label) for label in make_windows(sessions, sessions[0].channels, RAW, WINDOW).labels}
    assert held == {REST, *HELD}
    plain = [marked(each, lambda _: False) for each in sessions]
    as_held, as_short = measure_alignment(plain), measure_alignment(sessions)
    assert as_held is not None
    assert as_short is not None
    assert as_short.correlation > as_held.correlation + 0.1


def test_sessions_without_short_gestures_train_as_they_did(sessions) -> None:
    plain = [marked(each, lambda _: False) for each in sessions]
    assert dynamic_set(plain, None, plain[0].channels, RAW, WINDOW) is None
    result = train(plain, "logcov_lda")
    assert "dynamic" not in result.report.as_json()
    assert not [name for name in result.classifier.arrays if name.startswith("dynamic")]


def test_what_is_held_out_is_not_fitted_on(sessions) -> None:
    data = set_of(sessions)
    first = set(range(len(sessions[0].stretches)))
    _, alone = fit_dynamic(data, [first, set()])
    other = set_of([sessions[0], silenced(sessions[1], "snap")])
    _, again = fit_dynamic(other, [first, set()])
    for name in alone:
        np.testing.assert_array_equal(alone[name], again[name])


def test_gesture_that_nobody_hears_is_named(sessions) -> None:
    quiet = [silenced(each, "flick") for each in sessions]
    with pytest.raises(TrainingError, match="No performance of flick stands out"):
        fit_dynamic(set_of(quiet))


def test_calibration_counts_two_fifths_and_is_never_held_out(sessions) -> None:
    calibration = short_recording(3, 3, 1).labelled
    spec, arrays = fit_dynamic(set_of(sessions, calibration))
    _, without = fit_dynamic(set_of(sessions))
    assert spec.dynamic == tuple(sorted(SHORT))
    assert not np.allclose(arrays["dynamic_coef"], without["dynamic_coef"])
    figures = try_dynamic(set_of(sessions, calibration), 0.46)
    assert figures is not None
    assert figures.performances == 32
    assert fit(sessions, "logcov_lda", calibration=calibration).spec.dynamic == tuple(sorted(SHORT))


def test_one_performance_of_each_is_refused_in_words_and_two_are_enough() -> None:
    with pytest.raises(TrainingError, match="at least twice"):
        fit_dynamic(set_of([short_recording(4, 1, 1).labelled]))
    figures = try_dynamic(set_of([short_recording(4, 1, 2).labelled]), 0.46)
    assert figures is not None
    assert figures.performances == 8, "also where one of each is too few to fit on"
    assert (figures.missed_onsets, figures.balanced_accuracy) == (8, 0.0)


def test_windows_that_do_not_overlap_are_refused_in_words(sessions) -> None:
    with pytest.raises(TrainingError, match="need windows that overlap"):
        train(sessions, "logcov_lda", options=TrainingOptions(hop_ms=250))


def test_only_short_gestures_and_rest_are_refused_in_words() -> None:
    only = short_recording(5, 1, 2, held=()).labelled
    with pytest.raises(TrainingError, match="Only the held gesture rest was recorded"):
        train([only], "logcov_lda")


@pytest.mark.parametrize(("channels", "short"), [(1, ("snap",)), (16, SHORT)])
def test_any_number_of_channels_is_trained(channels, short) -> None:
    one = short_recording(6, 1, 3, short=short, channels=channels).labelled
    assert fit([one], "logcov_lda").spec.dynamic == tuple(sorted(short))
