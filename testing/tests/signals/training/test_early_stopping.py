"""A network's training ends where windows that were left out say so, and only where they say so clearly."""

import numpy as np
import pytest

from semg.signals.training.early_stopping import EarlyStopping
from semg.signals.training.fitting import NetworkOptions, fit_network


@pytest.mark.parametrize(
    ("wrong", "last"),
    [
        ([], None),
        ([0.5, 0.3, 0.2], None),
        ([0.5, 0.195, 0.2], None),  # no clear difference
        ([0.5, 0.1, 0.2], 2),
    ],
)
def test_training_ends_early_only_where_it_is_clearly_better(wrong, last):
    watch = EarlyStopping(np.zeros((0, 1, 50), np.float32), np.zeros(0, np.int64))
    watch.wrong = wrong
    assert watch.last_epoch == last


def test_watched_network_is_the_one_that_is_trained_and_ends_where_it_is_told():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    windows = (rng.normal(0, 1, (200, 2, 50)) * np.where(y == 1, 3.0, 1.0)[:, None, None]).astype(np.float32)
    watch, epochs = EarlyStopping(windows, y), []
    unscaled = {"scale_offset": np.zeros(2, np.float32), "scale_gain": np.ones(2, np.float32)}
    arrays = fit_network(
        windows,
        y,
        2,
        200.0,
        NetworkOptions(epochs=12, last_epoch=9),
        0,
        lambda epoch, loss: epochs.append(epoch),
        lambda: False,
        update=lambda made: watch.update(unscaled | made),
    )
    assert epochs == list(range(1, 10))
    assert len(watch.wrong) == 9
    again = EarlyStopping(windows, y)
    again.update(unscaled | arrays)
    assert again.wrong == watch.wrong[-1:]
    assert watch.wrong[-1] < 0.1
