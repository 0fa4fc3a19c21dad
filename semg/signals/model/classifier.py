"""The classifier as stored, served and evaluated: weights with the specs needed to interpret them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from semg.domain import MAX_CHANNELS, MAX_OVERLAP, ClassifierKind, ConditioningSpec, DecisionSpec, Device, WindowSpec
from semg.errors import ArtifactError
from semg.signals.model.dynamic import DynamicRecogniser, TrialSpec, judge
from semg.signals.model.layout import Layout, layout_of
from semg.signals.model.strength import AmplitudeRange

FORMAT = "semg-classifier-1"
MAX_MODEL_BYTES = 1_048_576
MAX_CLASSES = 64


@dataclass(frozen=True, slots=True)
class ClassifierSpec:
    """Inputs and outputs of a classifier, without its weights: sufficient for cutting its windows.

    ``trials`` describes the trials of short dynamic gestures; None where there is no such gesture. ``amplitude`` is the
    person's range, None where the training did not show it.
    """

    classes: tuple[str, ...]
    channels: tuple[str, ...]
    window: WindowSpec
    conditioning: ConditioningSpec
    decision: DecisionSpec
    trials: TrialSpec | None = None
    amplitude: AmplitudeRange | None = None

    @property
    def dynamic(self) -> tuple[str, ...]:
        """The short dynamic gestures; their probabilities follow those of ``classes``."""
        return () if self.trials is None else self.trials.dynamic


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained classifier.

    Attributes
    ----------
    classes
        Names of the held gestures in the order of the probabilities.
    channels
        Channel names in the order of the windows' rows; a device's columns are chosen by these names.
    arrays
        Float32 weights by name; see ``semg.signals.model.layout``.
    training
        Its training: data ids, seed, options. JSON-serialisable.
    trials
        The trials of short dynamic gestures, which ``arrays`` hold a classifier of their own for; see
        ``semg.signals.model.dynamic``. None without such a gesture.
    amplitude
        Of the training's windows, for the strength of gesture events; None where it does not show.
    """

    kind: ClassifierKind
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    window: WindowSpec
    conditioning: ConditioningSpec
    decision: DecisionSpec
    arrays: Mapping[str, NDArray[np.float32]]
    training: dict[str, Any] = field(default_factory=dict)
    trials: TrialSpec | None = None
    amplitude: AmplitudeRange | None = None

    @property
    def spec(self) -> ClassifierSpec:
        """The spec, without the weights."""
        return ClassifierSpec(
            self.classes,
            self.channels,
            self.window,
            self.conditioning,
            self.decision,
            self.trials,
            self.amplitude,
        )

    def dynamic_recogniser(self) -> DynamicRecogniser | None:
        """Return what recognises the dynamic gestures of one stream, from its begin; None without such a gesture."""
        if self.trials is None:
            return None
        envelope = self.conditioning.sensor == "envelope"
        return DynamicRecogniser(self.trials, self.arrays, self.window.hop_samples, envelope)

    @property
    def layout(self) -> Layout:
        """How its arrays lie in a table of many people's weights.

        Raises
        ------
        ArtifactError
            They do not fit each other, its channels or its window.
        """
        shape = (len(self.channels), self.window.window_samples)
        n_dynamic = len(self.spec.dynamic)
        return layout_of(self.kind, self.arrays, shape, self.conditioning.sensor == "envelope", n_dynamic)

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return sum(int(array.size) for array in self.arrays.values())

    def predict_proba(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of conditioned windows.

        Parameters
        ----------
        windows
            Float32 ``(N, C, T)`` of this classifier's channels and window length.

        Returns
        -------
        Float32 ``(N, K)`` in the order of ``classes``; rows sum to 1.

        Raises
        ------
        ValueError
            When the shape differs.
        """
        from semg.signals.model.stack import Stack  # brings numba: 0.2 s and 72 MB, for who predicts

        self.check_shape(windows)
        stack = Stack(self.layout, 1)
        stack.put(0, self.arrays)
        return stack.answer(np.zeros(len(windows), np.int64), windows)[0]

    def check_shape(self, windows: NDArray[np.float32]) -> None:
        """Raise ``ValueError`` unless windows are ``(N, C, T)`` of this classifier's channels and window length."""
        expected = (len(self.channels), self.window.window_samples)
        if windows.ndim != 3 or windows.shape[1:] != expected:
            raise ValueError(f"windows must be (N, {expected[0]}, {expected[1]}), got {windows.shape}")

    def metadata(self) -> dict[str, Any]:
        """Return everything but the weights, JSON-serialisable, as stored in ``models.metadata``."""
        optional = {"trials": self.trials, "amplitude": self.amplitude}
        return {
            "format": FORMAT,
            "kind": self.kind,
            "classes": list(self.classes),
            "channels": list(self.channels),
            "window": asdict(self.window),
            "conditioning": asdict(self.conditioning),
            "decision": asdict(self.decision),
            "window_samples": self.window.window_samples,
            "n_parameters": self.n_parameters,
            "training": self.training,
        } | {name: value.as_json() for name, value in optional.items() if value is not None}

    def to_bytes(self) -> bytes:
        """Return the stored form: safetensors, with the metadata as JSON and a digest of all in its header."""
        arrays = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in self.arrays.items()}
        text = json.dumps(self.metadata(), sort_keys=True, allow_nan=False)
        # One key only: safetensors writes several in an order that changes from call to call.
        return bytes(save(arrays, metadata={"semg": _digest(text, arrays) + text}))

    @staticmethod
    def from_bytes(data: bytes) -> Classifier:
        """Return the classifier of stored bytes.

        Raises
        ------
        ArtifactError
            When the bytes are cut off, altered, too large, or of another format.
        """
        if len(data) > MAX_MODEL_BYTES:
            raise ArtifactError(f"A classifier has at most {MAX_MODEL_BYTES:,} bytes, these are {len(data):,}.")
        try:
            arrays = load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
            digest, text = header["semg"][:64], header["semg"][64:]
            if digest != _digest(text, arrays):
                raise ArtifactError("The classifier's digest does not match its content: the bytes were altered.")
            described = json.loads(text)
            spec = spec_from_metadata(described)
            classifier = Classifier(
                described["kind"],
                spec.classes,
                spec.channels,
                spec.window,
                spec.conditioning,
                spec.decision,
                arrays,
                dict(described["training"]),
                spec.trials,
                spec.amplitude,
            )
            _check(classifier)
        except ArtifactError:
            raise
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise ArtifactError(f"The bytes are no stored classifier, or only a part of one ({exc}).") from exc
        return classifier


def spec_from_metadata(metadata: Mapping[str, Any]) -> ClassifierSpec:
    """Return the spec that ``Classifier.metadata()`` describes.

    Raises
    ------
    ArtifactError
        When a field is missing or the format is another one.
    """
    if metadata.get("format") != FORMAT:
        raise ArtifactError(f"Expected a classifier of format {FORMAT}, got {str(metadata.get('format'))[:40]!r}.")
    try:
        trials, amplitude = metadata.get("trials"), metadata.get("amplitude")
        spec = ClassifierSpec(
            classes=tuple(str(name) for name in metadata["classes"]),
            channels=tuple(str(name) for name in metadata["channels"]),
            window=WindowSpec(**metadata["window"]),
            conditioning=ConditioningSpec(**metadata["conditioning"]),
            decision=DecisionSpec(**metadata["decision"]),
            trials=None if trials is None else TrialSpec.from_json(trials),
            amplitude=None if amplitude is None else AmplitudeRange.from_json(amplitude),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ArtifactError(f"The classifier's description lacks or misnames a field ({exc}).") from exc
    if not (1 <= len(spec.channels) <= MAX_CHANNELS and 1 <= len(spec.classes) <= MAX_CLASSES):
        raise ArtifactError(f"{len(spec.channels)} channels and {len(spec.classes)} classes are out of bounds.")
    return spec


def _digest(text: str, arrays: Mapping[str, NDArray[np.float32]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"|{name}|{array.dtype}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _check(classifier: Classifier) -> None:
    """Run the classifier on one silent window, so that mismatched shapes are found when it is loaded."""
    if classifier.kind not in get_args(ClassifierKind):
        raise ArtifactError(f"Unknown kind of classifier {classifier.kind!r}.")
    if classifier.window.window_ms > MAX_OVERLAP * classifier.window.hop_ms:
        raise ArtifactError(
            f"A sample may be in at most {MAX_OVERLAP} windows of a classifier: train with a longer hop."
        )
    if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in classifier.arrays.values()):
        raise ArtifactError("A classifier's weights must be finite float32 numbers.")
    silent = np.zeros((1, len(classifier.channels), classifier.window.window_samples), np.float32)
    row = classifier.predict_proba(silent)
    if row.shape != (1, len(classifier.classes)) or not np.isfinite(row).all():
        raise ArtifactError("The classifier's weights do not fit its classes, channels or window.")
    if classifier.trials is not None:
        _check_trials(classifier, classifier.trials)


def _check_trials(classifier: Classifier, spec: TrialSpec) -> None:
    """Judge one silent trial, so that mismatched shapes are found when the classifier is loaded."""
    hop = classifier.window.hop_samples
    if hop >= classifier.window.window_samples or set(spec.dynamic) & set(classifier.classes):
        raise ArtifactError("The classifier's dynamic gestures do not fit its windows or its held gestures.")
    silent = np.zeros((1, len(classifier.channels), spec.hops * hop), np.float32)
    row = judge(classifier.arrays, silent, classifier.conditioning.sensor == "envelope")
    levels = classifier.arrays["dynamic_levels"]
    if row.shape != (1, len(spec.classes)) or not np.isfinite(row).all() or levels.shape != (3,):
        raise ArtifactError("The weights for dynamic gestures do not fit their labels, the channels or the trials.")
    recogniser = classifier.dynamic_recogniser()
    assert recogniser is not None
    recogniser.push(np.zeros((len(classifier.channels), classifier.window.window_samples), np.float32))


def columns_of(channels: tuple[str, ...], device: Device) -> tuple[int, ...]:
    """Return the index of each channel of a model in a sample of the device.

    Raises
    ------
    ArtifactError
        The device has no such channel.
    """
    indices = {name: index for index, name in enumerate(device.channels)}
    missing = [name for name in channels if name not in indices]
    if missing:
        raise ArtifactError(
            f"the model needs channels {', '.join(missing)}, which the device of profile {device.user_id} does not "
            f"have ({', '.join(device.channels)}): train again, or name the device's channels as before"
        )
    return tuple(indices[name] for name in channels)
