"""The stored classifier: saved equals loaded, damage is found, and torch is not needed to serve it."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from semg.domain import ConditioningSpec, DecisionSpec, WindowSpec
from semg.errors import ArtifactError
from semg.signals.model import forward
from semg.signals.model.classifier import MAX_MODEL_BYTES, Classifier, spec_from_metadata


def make_classifier(channels: int = 4, window: int = 50, classes: int = 3, seed: int = 0) -> Classifier:
    import torch

    from semg.signals.training.network import Network, export, network_shape

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    n_features = channels * (channels + 1) // 2
    arrays = export(Network(network_shape(channels, window, classes, 200.0)).eval())
    arrays |= {
        "scale_offset": np.zeros(channels, np.float32),
        "scale_gain": np.ones(channels, np.float32),
        "lags": np.array([], np.float32),
        "lda_coef": rng.normal(size=(classes, n_features)).astype(np.float32),
        "lda_intercept": rng.normal(size=classes).astype(np.float32),
        "mix": np.array([0.5, 0.7], np.float32),
    }
    return Classifier(
        "cnn",
        tuple(f"gesture{i}" for i in range(classes)),
        tuple(f"a{i}" for i in range(channels)),
        WindowSpec(200.0, window * 5.0),
        ConditioningSpec("raw", 200.0),
        DecisionSpec(),
        arrays,
        {"sessions": [1, 2], "seed": seed},
    )


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return make_classifier()


def test_saved_equals_loaded(classifier):
    loaded = Classifier.from_bytes(classifier.to_bytes())
    windows = np.random.default_rng(1).normal(size=(20, 4, 50)).astype(np.float32)
    assert loaded.predict_proba(windows).tobytes() == classifier.predict_proba(windows).tobytes()
    assert loaded.metadata() == classifier.metadata()
    assert loaded.to_bytes() == classifier.to_bytes()


def test_probabilities_have_the_shape_and_sum_to_one(classifier):
    probabilities = classifier.predict_proba(np.random.default_rng(1).normal(size=(7, 4, 50)).astype(np.float32))
    assert probabilities.shape == (7, 3)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert classifier.predict_proba(np.empty((0, 4, 50), np.float32)).shape == (0, 3)


def test_a_window_alone_is_predicted_as_in_a_batch(classifier):
    windows = np.random.default_rng(2).normal(size=(1100, 4, 50)).astype(np.float32)
    together = classifier.predict_proba(windows)
    alone = np.concatenate([classifier.predict_proba(windows[i : i + 1]) for i in range(0, 1100, 100)])
    assert np.abs(together[::100] - alone).max() < 1e-5


@pytest.mark.parametrize(
    ("channels", "window", "rate_hz"), [(8, 50, 200.0), (1, 12, 50.0), (16, 500, 2000.0), (4, 5, 50.0)]
)
def test_numpy_forward_equals_torch(channels, window, rate_hz):
    import torch

    from semg.signals.training.network import Network, export, network_shape

    torch.manual_seed(0)
    network = Network(network_shape(channels, window, 6, rate_hz))
    windows = torch.randn(64, channels, window)
    network.train()
    for _ in range(3):  # running means that are not zero
        network(windows * 3 + 1)
    network.eval()
    with torch.no_grad():
        expected = torch.softmax(network(windows), dim=1).numpy()
    got = forward.softmax(forward.network_scores(export(network), windows.numpy()))
    assert np.abs(got - expected).max() < 1e-5
    assert sum(p.numel() for p in network.parameters()) <= 250_000


def test_wrong_shape_of_windows_is_refused(classifier):
    with pytest.raises(ValueError, match=r"\(N, 4, 50\)"):
        classifier.predict_proba(np.zeros((1, 5, 50), np.float32))


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=150)
def test_altered_byte_is_found_or_changes_nothing(place, flip):
    data = bytearray(STORED)
    data[int(place * len(data))] ^= flip
    try:
        loaded = Classifier.from_bytes(bytes(data))
    except ArtifactError:
        return
    assert loaded.to_bytes() == STORED


@given(kept=st.integers(0, 4000))
@settings(max_examples=60)
def test_cut_off_bytes_are_refused(kept):
    with pytest.raises(ArtifactError):
        Classifier.from_bytes(STORED[:kept])


@given(st.binary(max_size=200))
def test_noise_is_refused(data):
    with pytest.raises(ArtifactError):
        Classifier.from_bytes(data)


STORED = make_classifier(channels=2, classes=2).to_bytes()


def test_oversized_bytes_are_refused_unread():
    with pytest.raises(ArtifactError, match="at most"):
        Classifier.from_bytes(bytes(MAX_MODEL_BYTES + 1))


def test_weights_of_another_number_of_classes_are_refused(classifier):
    other = Classifier(
        "cnn",
        (*classifier.classes, "more"),
        classifier.channels,
        classifier.window,
        classifier.conditioning,
        classifier.decision,
        classifier.arrays,
    )
    with pytest.raises(ArtifactError, match="do not fit"):
        Classifier.from_bytes(other.to_bytes())


def test_metadata_survives_json_and_gives_the_spec(classifier):
    assert spec_from_metadata(json.loads(json.dumps(classifier.metadata()))) == classifier.spec


@pytest.mark.parametrize("broken", [{}, {"format": "other"}, {"format": "semg-classifier-1", "classes": ["a"]}])
def test_metadata_of_another_form_is_refused(broken):
    with pytest.raises(ArtifactError):
        spec_from_metadata(broken)


def test_serving_imports_neither_torch_nor_scikit_learn():
    code = (
        "import sys; import semg.signals.model.classifier, semg.signals.windows, semg.signals.model.decisions; "
        "print([m for m in ('torch', 'sklearn', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_one_window_is_predicted_fast():
    classifier = make_classifier(channels=8, classes=8)
    window = np.random.default_rng(0).normal(size=(1, 8, 50)).astype(np.float32)
    times = []
    for _ in range(300):
        started = time.perf_counter()
        classifier.predict_proba(window)
        times.append(time.perf_counter() - started)
    # 160 us on a quiet core; the best tenth, so that a busy machine does not fail the test.
    assert np.quantile(times, 0.1) < 1e-3


@pytest.mark.parametrize("n", [1, 7])
def test_softmax_is_that_of_scipy(n: int) -> None:
    scores = np.random.default_rng(n).normal(0, 20, (n, 6)).astype(np.float32)
    np.testing.assert_allclose(forward.softmax(scores), special.softmax(scores, axis=1), rtol=1e-6)
    np.testing.assert_allclose(forward.log_softmax(scores), special.log_softmax(scores, axis=1), rtol=1e-6)
