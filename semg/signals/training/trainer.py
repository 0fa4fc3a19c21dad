"""Fit classifiers on the windows of one training, and test them on held-out folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, ClassifierKind, ConditioningSpec, DecisionSpec, WindowSpec
from semg.signals.dataset import LabelledSamples, WindowSet, make_windows
from semg.signals.model import forward
from semg.signals.model.adaptation import Adapter
from semg.signals.model.classifier import Classifier
from semg.signals.model.ensemble import DEFAULT_WEIGHTS, EnsembleWeights, choose_inverse_temperature
from semg.signals.model.strength import measure_range
from semg.signals.training.alignment import align
from semg.signals.training.dense import DenseOptions
from semg.signals.training.dynamic_fit import dynamic_set
from semg.signals.training.early_stopping import EarlyStopping
from semg.signals.training.fitting import Arrays, NetworkOptions, class_shares, fit_linear, fit_scale
from semg.signals.training.hybrid_fit import PersonalOptions, TrainingSet, fit_personal
from semg.signals.training.options import TrainingOptions
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.progress import EpochPoint, TrainingProgress
from semg.signals.training.session_checks import check_calibration, check_sessions, check_windows
from semg.signals.training.splits import Fold, first_stretches

MAX_WINDOW_BYTES = 384 * 2**20
"""Bound on the windows of a training; beyond it only every second, third, … window of the grid is used."""

DENSE_STEPS = 27
"""Batches of the dense branch for each epoch of the network; it takes about a tenth of its time."""


@dataclass(frozen=True, slots=True)
class FoldResult:
    """Predictions of a classifier for the held-out windows of a fold; log-probabilities before calibration."""

    data: WindowSet
    truth: NDArray[np.int64]
    log_probabilities: NDArray[np.float64]
    held_out: tuple[str, ...]
    classifier: Classifier
    last_epoch: int | None = None


class Trainer:
    """One training.

    Parameters
    ----------
    sessions
        In time order.
    calibration
        A short session of the current placement, or None.
    base
        Population prior, or None.
    """

    def __init__(
        self,
        sessions: Sequence[LabelledSamples],
        kind: ClassifierKind,
        options: TrainingOptions,
        seed: int | None,
        progress: Callable[[TrainingProgress], None],
        should_stop: Callable[[], bool],
        *,
        calibration: LabelledSamples | None = None,
        base: PopulationPrior | None = None,
        single_repetitions: bool = False,
    ) -> None:
        self.kind, self.options = kind, options
        self.seed = options.seed if seed is None else seed
        self.networks = 2
        self._progress, self._should_stop = progress, should_stop
        self._epochs_done = 0
        self._percent = 0.0
        everything = [*sessions, *([] if calibration is None else [calibration])]
        self.channels = check_sessions(everything, options.channels)
        first = sessions[0]
        self.conditioning = ConditioningSpec(first.sensor, first.rate_hz, first.mains_hz)
        if options.high_pass_hz is not None:
            self.conditioning = replace(self.conditioning, high_pass_hz=options.high_pass_hz)
        self.window = WindowSpec(first.rate_hz, options.window_ms, options.hop_ms, options.settle_ms)
        grid = _affordable(self.window, len(self.channels), sum(len(session.samples) for session in everything))
        self.data = make_windows(sessions, self.channels, self.conditioning, grid)
        check_windows(self.data, sessions, options.window_ms, 1 if single_repetitions or calibration is not None else 2)
        self.dynamic = dynamic_set(sessions, calibration, self.channels, self.conditioning, self.window)
        self.classes = tuple(sorted({str(label) for label in self.data.labels}))
        self.calibration: WindowSet | None = None
        self.calibration_names: list[str] = []
        if calibration is not None:
            self.calibration = make_windows([calibration], self.channels, self.conditioning, grid)
            check_calibration(self.calibration, self.classes)
            self.calibration_names = [calibration.stretches[0].session]
        self.session_names = [stretches[0].session for s in sessions if (stretches := s.stretches)]
        self.base = None if base is None else base.fitting(self.window, self.conditioning, len(self.channels))
        self.base_refusal = "" if base is None or self.base is not None else base.describe()

    @property
    def envelope(self) -> bool:
        """Whether the signals are envelopes."""
        return self.conditioning.sensor == "envelope"

    def usable(self, data: WindowSet) -> NDArray[np.bool_]:
        """Return the windows that may be fitted on: those after the start of their stretch."""
        return np.asarray(data.into_stretch_ms >= np.minimum(self.options.skip_start_ms, 0.2 * data.stretch_ms))

    def truth(self, data: WindowSet) -> NDArray[np.int64]:
        """Return the class of each window."""
        return np.searchsorted(np.array(self.classes), data.labels).astype(np.int64)

    def fit(
        self,
        data: WindowSet,
        what: str,
        calibration: WindowSet | None = None,
        ensemble_weights: EnsembleWeights = DEFAULT_WEIGHTS,
        kind: ClassifierKind | None = None,
        network: bool = True,
        watch: EarlyStopping | None = None,
        last_epoch: int | None = None,
    ) -> Classifier:
        """Return a classifier fitted on windows, and on those of a calibration.

        ``watch`` is updated after every epoch of the network, and ``last_epoch`` is the last one.
        """
        kind = kind or self.kind
        if calibration is not None:
            data = join(data, calibration)
        y, usable = self.truth(data), self.usable(data)
        _, session = np.unique(data.session_index, return_inverse=True)
        if kind == "cnn":
            training_set = TrainingSet(
                data.windows,
                y,
                session.astype(np.int64),
                usable,
                data.stretch,
                len(self.classes),
                self.window.rate_hz,
                self.envelope,
                calibration is not None,
            )
            epochs = self.options.epochs if network else 1
            chosen = PersonalOptions(
                NetworkOptions(epochs=epochs, last_epoch=last_epoch),
                DenseOptions(steps=DENSE_STEPS * self.options.epochs),
                self.seed,
                ensemble_weights,
            )

            def on_epoch(epoch: int, loss: float) -> None:
                if network:
                    self._epochs_done += 1
                    wrong = None if watch is None else watch.last_error
                    self._say_epoch(EpochPoint(what=what, epoch=epoch, epochs=epochs, loss=loss, held_out_error=wrong))

            arrays = fit_personal(training_set, chosen, self.base, self.classes, on_epoch, self._should_stop, watch)
        else:
            arrays = self._fit_plain(kind, data, y, session.astype(np.int64), usable, calibration is not None)
            arrays["mix"] = ensemble_weights.as_array()
        training = {
            "sessions": self.session_names,
            "seed": self.seed,
            "options": asdict(self.options),
            "calibrated": calibration is not None,
            "calibration_sessions": self.calibration_names if calibration is not None else [],
            "base": None if self.base is None or kind != "cnn" else self.base.name,
        }
        decision = DecisionSpec(self.options.vote_n, self.options.min_confidence, self.options.hysteresis)
        newest, is_rest = usable & (session == session.max()), data.labels == REST
        amplitude = measure_range(data.windows[newest], is_rest[newest])
        return Classifier(
            kind=kind,
            classes=self.classes,
            channels=self.channels,
            window=self.window,
            conditioning=self.conditioning,
            decision=decision,
            arrays=arrays,
            training=training,
            amplitude=amplitude or measure_range(data.windows[usable], is_rest[usable]),
        )

    def _fit_plain(
        self,
        kind: ClassifierKind,
        data: WindowSet,
        y: NDArray[np.int64],
        session: NDArray[np.int64],
        usable: NDArray[np.bool_],
        calibrated: bool,
    ) -> Arrays:
        """Fit a baseline; with a calibration log-covariance is re-centred and the electrode rotation is corrected."""
        shares = class_shares(y[usable & (session < session.max())] if calibrated else y[usable], len(self.classes), 0)
        if calibrated and kind == "logcov_lda":
            aligned = align(
                data.windows,
                y,
                session,
                len(self.classes),
                0.0,
                envelope=self.envelope,
                calibrated=True,
                usable=usable,
                levels=False,
            )
            arrays = {"scale_offset": aligned.offset, "scale_gain": aligned.gain}
            arrays |= fit_linear(aligned.features[usable], y[usable], shares)
            arrays["lda_intercept"] = arrays["lda_intercept"] - arrays["lda_coef"] @ aligned.centre
            return arrays
        arrays = fit_scale(data.windows[usable], self.envelope)
        scaled = forward.scale(arrays, data.windows[usable])
        return arrays | fit_linear(forward.branch_features(kind, arrays, scaled, self.envelope), y[usable], shares)

    def try_fold(self, fold: Fold, what: str, kind: ClassifierKind | None = None, network: bool = True) -> FoldResult:
        """Fit on a fold's training set and predict its held-out set as a live stream: in order, with adaptation.

        With a calibration in this training, the held-out set's first stretch of each gesture serves as one.
        """
        seen, unseen = self.data.select(fold.train), self.data.select(fold.test)
        calibration = None
        if self.calibration is not None:
            first = first_stretches(unseen)
            calibration, unseen = unseen.select(first), unseen.select(~first)
        watch = EarlyStopping(unseen.windows, self.truth(unseen))
        classifier = self.fit(seen, what, calibration, UNCALIBRATED, kind, network, watch)
        return FoldResult(
            unseen, self.truth(unseen), log_follow(classifier, unseen), fold.held_out, classifier, watch.last_epoch
        )

    def weights_of(self, results: Sequence[FoldResult]) -> EnsembleWeights:
        """Return the ensemble weights with the best calibrated confidences on held-out windows."""
        if not results or not any(len(each.truth) for each in results):
            return DEFAULT_WEIGHTS
        rows = [self.usable(each.data) for each in results]
        log_probabilities = np.concatenate([each.log_probabilities[r] for each, r in zip(results, rows, strict=True)])
        truth = np.concatenate([each.truth[r] for each, r in zip(results, rows, strict=True)])
        return replace(DEFAULT_WEIGHTS, inverse_temperature=choose_inverse_temperature(log_probabilities, truth))

    def say(self, line: str) -> None:
        """Report progress, measured in epochs of all networks of the training."""
        self._report(line, 0, None)

    def _say_epoch(self, point: EpochPoint) -> None:
        self._report(point.as_line(), point.epoch, point)

    def _report(self, line: str, epoch: int, point: EpochPoint | None) -> None:
        total = self.networks * self.options.epochs if self.kind == "cnn" else 1
        # Never backward: the estimated number of networks changes during the training.
        self._percent = max(self._percent, min(99.0, 1.0 + 98.0 * self._epochs_done / max(1, total)))
        epochs = self.options.epochs
        self._progress(TrainingProgress(percent=self._percent, epoch=epoch, epochs=epochs, line=line, point=point))

    def finish(self, line: str) -> None:
        """Report the end."""
        epochs = self.options.epochs
        self._progress(TrainingProgress(percent=100.0, epoch=epochs, epochs=epochs, line=line))


UNCALIBRATED = replace(DEFAULT_WEIGHTS, inverse_temperature=1.0)


def follow(classifier: Classifier, data: WindowSet) -> NDArray[np.float32]:
    """Return the probabilities of windows as in a live stream: in order, with a new adapter for each session."""
    answers = np.zeros((len(data), len(classifier.classes)), np.float32)
    for session in np.unique(data.session_index):
        mine = data.session_index == session
        answers[mine] = Adapter(classifier).predict_proba(data.windows[mine])
    return answers


def log_follow(classifier: Classifier, data: WindowSet) -> NDArray[np.float64]:
    """Return the logarithms of ``follow``."""
    return np.log(np.maximum(follow(classifier, data).astype(np.float64), 1e-12))


def join(first: WindowSet, second: WindowSet) -> WindowSet:
    """Concatenate two sets of windows, with the second's sessions numbered after the first's."""
    behind = int(first.session_index.max()) + 1 if len(first) else 0
    return WindowSet(
        np.concatenate([first.windows, second.windows]),
        np.concatenate([first.stretch, second.stretch + np.int32(len(first.stretches))]),
        first.stretches + second.stretches,
        np.concatenate([first.into_stretch_ms, second.into_stretch_ms]),
        np.concatenate([first.stretch_ms, second.stretch_ms]),
        np.concatenate([first.end_index, second.end_index]),
        np.concatenate([first.session_index, second.session_index + np.int32(behind)]),
    )


def _affordable(window: WindowSpec, n_channels: int, n_samples: int) -> WindowSpec:
    """Return the grid with its hop multiplied until all windows together stay below ``MAX_WINDOW_BYTES``."""
    window_bytes = n_channels * window.window_samples * 4
    times = int(np.ceil(n_samples / window.hop_samples * window_bytes / MAX_WINDOW_BYTES))
    return replace(window, hop_ms=window.hop_samples * max(1, times) * 1000.0 / window.rate_hz)
