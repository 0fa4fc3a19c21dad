"""The synthetic forearm: as hard as promised, seeded, and valid for every device."""

import itertools

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from semg.domain import CapturePlan, PlanStep
from semg.signals.dataset import make_windows
from semg.signals.synthesis import DEFAULT_GESTURES, SyntheticArm, make_plan
from semg.signals.training.metrics import score
from semg.signals.training.report import evaluate
from semg.signals.training.train import fit
from testing.kits.recording_kit import labelled_session


@pytest.mark.parametrize("sensor", ["raw", "envelope"])
def test_difficulty_across_sessions_is_as_promised(sensor):
    """Log-covariance and LDA reach 75-95 % balanced; the mean absolute value of one channel stays below 50 %."""
    arm = SyntheticArm(sensor=sensor)
    sessions = [labelled_session(arm, index) for index in (1, 2, 3)]
    classifier = fit(sessions[:2], "logcov_lda")
    learned, unseen = (
        make_windows(part, classifier.channels, classifier.conditioning, classifier.window)
        for part in (sessions[:2], sessions[2:])
    )
    assert 0.75 <= (evaluate(classifier, unseen).balanced_accuracy or 0.0) <= 0.95
    index = {name: i for i, name in enumerate(classifier.classes)}
    y, truth = (np.array([index[name] for name in part.labels]) for part in (learned, unseen))
    for channel in range(arm.channels):
        levels = [np.abs(part.windows[:, channel]).mean(axis=1)[:, None] for part in (learned, unseen)]
        predicted = LinearDiscriminantAnalysis().fit(levels[0], y).predict(levels[1])
        assert score(truth, predicted, len(index)).balanced_accuracy < 0.5


def test_same_seed_gives_the_same_samples_and_another_gives_others():
    plan = make_plan(repetitions=1, seconds=1)
    assert np.array_equal(SyntheticArm(5).session(1, plan).samples, SyntheticArm(5).session(1, plan).samples)
    assert not np.array_equal(SyntheticArm(5).session(1, plan).samples, SyntheticArm(6).session(1, plan).samples)
    assert not np.array_equal(SyntheticArm(5).session(1, plan).samples, SyntheticArm(5).session(2, plan).samples)


@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize("rate_hz", [50.0, 200.0, 2000.0])
@pytest.mark.parametrize("sensor", ["raw", "envelope"])
@pytest.mark.parametrize("adc", [(0.0, 4095.0), (-128.0, 127.0)])
def test_every_device_gets_whole_counts_within_its_range(channels, rate_hz, sensor, adc):
    arm = SyntheticArm(1, channels, rate_hz, sensor, *adc)
    made = arm.session(1, make_plan(("rest", "fist", "my own gesture"), repetitions=1, seconds=2))
    assert made.samples.shape == (round(6 * rate_hz), channels)
    assert made.samples.dtype == np.float32
    assert np.array_equal(made.samples, np.rint(made.samples))
    assert made.samples.min() >= adc[0]
    assert made.samples.max() <= adc[1]
    assert np.mean((made.samples == adc[0]) | (made.samples == adc[1])) < 0.1
    assert (made.samples.std(axis=0) > 0).all()


def test_a_contraction_is_stronger_than_rest():
    made = SyntheticArm(0).session(1)
    spread = {name: made.samples[made.gestures == name].std(axis=0).mean() for name in DEFAULT_GESTURES}
    assert all(spread[name] > 2 * spread["rest"] for name in DEFAULT_GESTURES if name != "rest")


def test_mains_hum_is_there_and_can_be_left_out():
    def power_at_50_hz(mains_hz: float) -> float:
        made = SyntheticArm(0, rate_hz=1000.0, mains_hz=mains_hz).session(1, make_plan(("rest",), 1, 8.0))
        spectrum = np.abs(np.fft.rfft(made.samples - made.samples.mean(axis=0), axis=0)) ** 2
        return float(spectrum[400].mean() / spectrum[380:420].mean())

    assert power_at_50_hz(50.0) > 10
    assert power_at_50_hz(0.0) < 5


def test_pause_between_prompts_is_unlabelled():
    plan = CapturePlan((PlanStep("rest", 1, 1.0, 2.0), PlanStep("fist", 1, 3.0, 4.0)))
    made = SyntheticArm(0).session(1, plan)
    assert [str(made.gestures[i]) for i in (0, 300, 500, 700)] == ["", "rest", "", "fist"]
    assert [s.label for s in labelled_session(SyntheticArm(0), 1, plan).stretches] == ["rest", "fist"]


def test_stream_continues_in_time_and_repeats_the_plan():
    arm = SyntheticArm(0, rate_hz=200.0)
    plan = make_plan(("rest", "fist"), repetitions=1, seconds=0.52)
    chunks = list(itertools.islice(arm.stream(plan=plan, chunk_samples=10, start_ms=77), 60))
    device_ms = np.concatenate([chunk.device_ms for chunk in chunks])
    assert device_ms[0] == 77
    assert set(np.diff(device_ms)) == {5}
    assert max(len(chunk.samples) for chunk in chunks) == 10
    assert chunks[0].repetitions[0] == 1
    assert chunks[-1].repetitions[0] == 3


def test_stream_equals_the_session_of_the_same_sitting_up_to_fatigue():
    arm = SyntheticArm(0)
    plan = make_plan(repetitions=1, seconds=1)
    whole = arm.session(3, plan).samples
    streamed = np.concatenate([chunk.samples for chunk in itertools.islice(arm.stream(3, plan, 200), 6)])
    assert np.corrcoef(whole.ravel(), streamed.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("given", "named"),
    [({"channels": 0}, "channels"), ({"rate_hz": 10.0}, "rate_hz"), ({"adc_min": 5.0, "adc_max": 5.0}, "adc_max")],
)
def test_impossible_device_is_refused_by_name(given, named):
    with pytest.raises(ValueError, match=named):
        SyntheticArm(**given)
