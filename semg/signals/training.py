"""Training: labelled sessions in, a classifier and an honest report out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.domain import ClassifierKind, ConditioningSpec, DecisionSpec, WindowSpec
from semg.errors import TrainingError
from semg.signals import report as reports
from semg.signals import runtime
from semg.signals.checks import check_sessions, check_windows
from semg.signals.classifier import Classifier
from semg.signals.dataset import LabelledSamples, WindowSet, make_windows
from semg.signals.ensemble import DEFAULT_MIX, SHARES, Mix, choose_mix
from semg.signals.fitting import (
    DEFAULT_RECIPE,
    RECIPES,
    Arrays,
    NetworkOptions,
    Recipe,
    fit_branch,
    fit_network,
    fit_scale,
)
from semg.signals.options import TrainingOptions
from semg.signals.splits import Split, split_held_out

MAX_WINDOW_BYTES = 384 * 2**20
"""Bound on the windows of a training; beyond it only every second, third, … window of the grid is used."""
RECIPE_WINDOWS = 3000
"""About as many windows are enough to choose a recipe by."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far a training is. ``percent`` counts the whole training, epochs those of the current network."""

    percent: float
    epoch: int
    epochs: int
    line: str


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A classifier fitted on all data, and the report of one fitted without the held-out part."""

    classifier: Classifier
    report: dict[str, Any]


def _never() -> bool:
    return False


def _unheard(progress: TrainingProgress) -> None:
    """Take the place of a listener."""


def fit(
    sessions: Sequence[LabelledSamples],
    kind: ClassifierKind = "cnn",
    *,
    options: TrainingOptions | None = None,
    seed: int | None = None,
    progress: Callable[[TrainingProgress], None] = _unheard,
    should_stop: Callable[[], bool] = _never,
) -> Classifier:
    """Give a classifier fitted on all of some sessions, without a report: what ``evaluate.py`` tests on others.

    Parameters and errors as ``train``.
    """
    trainer = _Trainer(sessions, kind, options or TrainingOptions(), seed, progress, should_stop)
    trainer.networks = 2
    recipe, mix = trainer.choose(trainer.data)
    return trainer.fit(trainer.data, recipe, mix, "final fit")


def train(
    sessions: Sequence[LabelledSamples],
    kind: ClassifierKind = "cnn",
    *,
    options: TrainingOptions | None = None,
    seed: int | None = None,
    progress: Callable[[TrainingProgress], None] = _unheard,
    should_stop: Callable[[], bool] = _never,
) -> TrainingResult:
    """Give a classifier fitted on all sessions, with the report of one that did not see the held-out part.

    Parameters
    ----------
    sessions
        In time order; with two or more the last is held out for the report, otherwise repetitions are.
    options
        Defaults where not given.
    seed
        Takes the place of ``options.seed``.
    progress
        Called from this thread, some times a second.
    should_stop
        Asked between batches.

    Raises
    ------
    TrainingError
        When the data cannot give a classifier; the sentence says why and what to do.
    TrainingStopped
        When ``should_stop`` said so.
    """
    started = time.perf_counter()
    trainer = _Trainer(sessions, kind, options or TrainingOptions(), seed, progress, should_stop)
    split = split_held_out(trainer.data)
    if split is None:
        raise TrainingError(
            "No repetition could be held out to test the classifier: record every gesture at least twice."
        )
    seen, unseen = trainer.data.select(split.train), trainer.data.select(split.test)
    trainer.say(f"{len(seen) + len(unseen)} windows of {len(trainer.classes)} gestures, {len(unseen)} held out")
    recipe, mix = trainer.choose(seen)
    tested = trainer.fit(seen, recipe, mix, "held-out test")
    report = reports.evaluate(tested, unseen)
    baseline = tested if kind == "logcov_lda" else trainer.baseline(seen)
    scored = reports.evaluate(baseline, unseen)
    report["baseline"] = {"classifier": "logcov_lda"} | {
        name: scored[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")
    }
    trainer.say(f"held out: balanced accuracy {100 * (report['balanced_accuracy'] or 0.0):.1f} %")
    # From here on the held-out part is used too, for a classifier that no figure of the report is about.
    final_recipe = trainer.choose_recipe(trainer.data, split)
    classifier = trainer.fit(trainer.data, final_recipe, trainer.mix_of(tested, unseen), "final fit")
    report |= {
        "split": _describe(split),
        "held_out": list(split.held_out),
        "train_windows": int((split.train & trainer.usable(trainer.data)).sum()),
        "seed": trainer.seed,
        "classifier": kind,
        "n_parameters": classifier.n_parameters,
        "model_bytes": len(classifier.to_bytes()),
        "us_per_window": round(reports.serving_us(classifier, unseen.windows), 1),
        "train_s": round(time.perf_counter() - started, 2),
    }
    trainer.finish(f"done in {report['train_s']:.0f} s")
    return TrainingResult(classifier, report)


def _describe(split: Split) -> dict[str, str]:
    what = "the last session" if split.by == "session" else "whole repetitions of every gesture"
    return {"by": split.by, "description": f"{what} held out before anything was fitted"}


class _Trainer:
    """The windows of one training, and the fits on parts of them."""

    def __init__(
        self,
        sessions: Sequence[LabelledSamples],
        kind: ClassifierKind,
        options: TrainingOptions,
        seed: int | None,
        progress: Callable[[TrainingProgress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.kind, self.options = kind, options
        self.seed = options.seed if seed is None else seed
        self.networks = 3
        self._progress, self._should_stop = progress, should_stop
        self._epochs_done = 0
        self.channels = check_sessions(sessions, options.channels)
        first = sessions[0]
        self.conditioning = ConditioningSpec(first.sensor, first.rate_hz, first.mains_hz)
        if options.high_pass_hz is not None:
            self.conditioning = replace(self.conditioning, high_pass_hz=options.high_pass_hz)
        self.window = WindowSpec(first.rate_hz, options.window_ms, options.hop_ms, options.settle_ms)
        grid = _affordable(self.window, len(self.channels), sum(len(session.samples) for session in sessions))
        self.data = make_windows(sessions, self.channels, self.conditioning, grid)
        check_windows(self.data, sessions, options.window_ms)
        self.classes = tuple(sorted({str(label) for label in self.data.labels}))
        self.session_names = [stretches[0].session for s in sessions if (stretches := s.stretches)]

    @property
    def envelope(self) -> bool:
        return self.conditioning.sensor == "envelope"

    def usable(self, data: WindowSet) -> NDArray[np.bool_]:
        """Tell the windows that may be fitted on: those that do not lie at a stretch's start."""
        return data.into_stretch_ms >= np.minimum(self.options.skip_start_ms, 0.2 * data.stretch_ms)

    def truth(self, data: WindowSet) -> NDArray[np.int64]:
        return np.searchsorted(np.array(self.classes), data.labels).astype(np.int64)

    def fit(self, data: WindowSet, recipe: Recipe, mix: Mix, what: str) -> Classifier:
        """Give a classifier of this training's kind fitted on windows."""
        arrays, scaled, y = self._closed_form(data.select(self.usable(data)), self.kind, recipe)
        arrays["mix"] = mix.as_array()
        if self.kind == "cnn":
            arrays |= self._fit_network(scaled, y, recipe, what)
        return self._classifier(self.kind, arrays)

    def baseline(self, data: WindowSet) -> Classifier:
        """Give log-covariance and a linear discriminant fitted on the same windows."""
        arrays, _, _ = self._closed_form(data.select(self.usable(data)), "logcov_lda", DEFAULT_RECIPE)
        return self._classifier("logcov_lda", arrays | {"mix": DEFAULT_MIX.as_array()})

    def choose(self, data: WindowSet) -> tuple[Recipe, Mix]:
        """Give the recipe and the mix of branches chosen on a held-out part of data that a fit may see."""
        split = split_held_out(data)
        if split is None:
            return DEFAULT_RECIPE, DEFAULT_MIX
        recipe = self.choose_recipe(data, split)
        tried = self.fit(data.select(split.train), recipe, DEFAULT_MIX, "choosing the mix")
        return recipe, self.mix_of(tried, data.select(split.test))

    def choose_recipe(self, data: WindowSet, split: Split) -> Recipe:
        """Give the recipe whose closed-form branch has the least log-loss on a held-out part."""
        if self.kind != "cnn":
            return DEFAULT_RECIPE
        seen, unseen = (data.select(part & self.usable(data)) for part in (split.train, split.test))
        seen, unseen = (
            part.select(np.arange(0, len(part), max(1, len(part) // RECIPE_WINDOWS))) for part in (seen, unseen)
        )
        if len(set(seen.labels)) < len(self.classes) or len(unseen) == 0:
            return DEFAULT_RECIPE
        truth, losses = self.truth(unseen), []
        for recipe in RECIPES:
            arrays, _, _ = self._closed_form(seen, self.kind, recipe)
            features = runtime.branch_features(self.kind, arrays, runtime.scale(arrays, unseen.windows), self.envelope)
            linear = runtime.log_softmax(runtime.linear_scores(arrays, features))
            losses.append(choose_mix(linear, linear, truth, (0.0,))[1])
        return RECIPES[int(np.argmin(losses))]

    def _closed_form(
        self, data: WindowSet, kind: ClassifierKind, recipe: Recipe
    ) -> tuple[Arrays, NDArray[np.float32], NDArray[np.int64]]:
        """Give scale and closed-form branch, with the scaled windows and the truth they were fitted on."""
        y = self.truth(data)
        arrays = fit_scale(data.windows, self.envelope)
        scaled = runtime.scale(arrays, data.windows)
        arrays |= fit_branch(kind, scaled, y, len(self.classes), self.window.rate_hz, self.envelope, recipe, self.seed)
        return arrays, scaled, y

    def _classifier(self, kind: ClassifierKind, arrays: Arrays) -> Classifier:
        training = {"sessions": self.session_names, "seed": self.seed, "options": asdict(self.options)}
        decision = DecisionSpec(self.options.vote_n, self.options.min_confidence)
        return Classifier(kind, self.classes, self.channels, self.window, self.conditioning, decision, arrays, training)

    def _fit_network(self, scaled: NDArray[np.float32], y: NDArray[np.int64], recipe: Recipe, what: str) -> Arrays:
        def on_epoch(epoch: int, loss: float) -> None:
            self._epochs_done += 1
            self.say(f"{what}: epoch {epoch} of {self.options.epochs}, loss {loss:.3f}", epoch)

        return fit_network(
            scaled,
            y,
            len(self.classes),
            self.window.rate_hz,
            NetworkOptions(epochs=self.options.epochs),
            recipe,
            self.seed,
            on_epoch,
            self._should_stop,
        )

    def mix_of(self, classifier: Classifier, unseen: WindowSet) -> Mix:
        """Give the mix of a classifier's branches that is best on windows it has not seen."""
        unseen = unseen.select(self.usable(unseen))
        linear, network = reports.branch_log_probabilities(classifier, unseen.windows)
        shares = SHARES if classifier.kind == "cnn" else (0.0,)
        return choose_mix(network, linear, self.truth(unseen), shares)[0]

    def say(self, line: str, epoch: int = 0) -> None:
        """Report progress, reckoned by epochs of all networks of the training."""
        total = self.networks * self.options.epochs if self.kind == "cnn" else 1
        percent = min(99.0, 1.0 + 98.0 * self._epochs_done / total)
        self._progress(TrainingProgress(percent, epoch, self.options.epochs, line))

    def finish(self, line: str) -> None:
        """Report the end."""
        self._progress(TrainingProgress(100.0, self.options.epochs, self.options.epochs, line))


def _affordable(window: WindowSpec, n_channels: int, n_samples: int) -> WindowSpec:
    """Give the grid with its hop multiplied until all windows together stay below ``MAX_WINDOW_BYTES``."""
    window_bytes = n_channels * window.window_samples * 4
    times = int(np.ceil(n_samples / window.hop_samples * window_bytes / MAX_WINDOW_BYTES))
    return replace(window, hop_ms=window.hop_samples * max(1, times) * 1000.0 / window.rate_hz)
