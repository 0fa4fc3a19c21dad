"""Where in one row of floats each array of a classifier lies: classifiers with equal layouts share a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from semg.domain import ClassifierKind
from semg.errors import ArtifactError

Arrays = Mapping[str, NDArray[np.float32]]
Section = tuple[str, tuple[int, ...]]
"""Name and shape of an array."""

_SPECTRAL = ("lags", "crossing", "level_floor")


@dataclass(frozen=True)
class Layout:
    """What classifiers of one table have in common; hashable.

    Attributes
    ----------
    spectral
        Name and values of the arrays that say how features are computed.
    layers
        Of each convolution the rows of its weight, its outputs and its stride.
    dense
        Inputs and outputs of each dense layer.
    n_dynamic
        Number of dynamic gestures, whose probabilities follow those of the held ones.
    adapts
        Whether they can follow a stream (``adaptation``).
    """

    kind: ClassifierKind
    n_channels: int
    n_samples: int
    envelope: bool
    spectral: tuple[tuple[str, tuple[float, ...]], ...]
    n_classes: int
    n_features: int
    layers: tuple[tuple[int, int, int], ...]
    dense: tuple[tuple[int, int], ...]
    n_dynamic: int
    adapts: bool

    @cached_property
    def parts(self) -> tuple[tuple[Section, ...], ...]:
        """The sections of each part of a row, in the order in which ``kernels`` reads them."""
        linear = (("lda_coef", (self.n_classes, self.n_features)), ("lda_intercept", (self.n_classes,)))
        dense: list[Section] = []
        for index, (inputs, outputs) in enumerate(self.dense):
            dense += [(f"dense{index}_weight", (inputs, outputs)), (f"dense{index}_bias", (outputs,))]
        return (
            (("scale_offset", (self.n_channels,)),),
            (("scale_gain", (self.n_channels,)),),
            (("centre", (self.n_features,)),),
            (("mix", (3,)),),
            linear,
            tuple(dense),
            network_sections(self.layers, self.n_classes),
            (("class_means", (self.n_classes, self.n_features)),) if self.adapts else (),
        )

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """All arrays of a row, in their order."""
        return tuple(section for part in self.parts for section in part)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Index at which each of ``parts`` begins."""
        sizes = [sum(prod(shape) for _, shape in part) for part in self.parts]
        return np.cumsum([0, *sizes[:-1]])

    @cached_property
    def size(self) -> int:
        """Number of floats in a row."""
        return sum(prod(shape) for _, shape in self.sections)

    def write(self, arrays: Arrays, row: NDArray[np.float32]) -> None:
        """Fill a row ``(size,)`` with a classifier's arrays.

        Raises
        ------
        ArtifactError
            The arrays do not fit each other.
        """
        at = 0
        for array in _complete(arrays, self).values():
            row[at : at + array.size] = array.ravel()
            at += array.size

    def views(self, row: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of a row by their names, without a copy."""
        found, at = {}, 0
        for name, shape in self.sections:
            found[name] = row[at : at + prod(shape)].reshape(shape)
            at += prod(shape)
        return found


def layout_of(
    kind: ClassifierKind, arrays: Arrays, shape: tuple[int, int], envelope: bool, n_dynamic: int = 0
) -> Layout:
    """Return the layout of a classifier's arrays.

    Parameters
    ----------
    shape
        Channels and samples of its windows.

    Raises
    ------
    ArtifactError
        The arrays do not fit each other, or the windows.
    """
    try:
        n_classes, n_features = arrays["lda_coef"].shape
        layout = Layout(
            kind,
            *shape,
            envelope,
            tuple((name, tuple(arrays[name].tolist())) for name in _SPECTRAL if name in arrays),
            n_classes,
            n_features,
            layers_of(arrays) if kind == "cnn" else (),
            _dense_of(arrays) if kind == "cnn" else (),
            n_dynamic,
            "class_means" in arrays,
        )
    except (KeyError, ValueError) as exc:
        raise ArtifactError(f"The classifier lacks weights ({exc}).") from exc
    if kind == "cnn" and not layout.layers:
        raise ArtifactError("The classifier lacks its convolutions.")
    _complete(arrays, layout)
    inputs, length = shape
    for rows, outputs, stride in layout.layers:
        if rows % inputs or stride < 1 or rows // inputs > length:
            raise ArtifactError("The classifier's convolutions do not fit its channels or window.")
        length, inputs = (length - rows // inputs) // stride + 1, outputs
    held = n_features
    for inputs, outputs in layout.dense:
        if inputs != held:
            raise ArtifactError("The classifier's dense layers do not fit each other.")
        held = outputs
    if layout.dense and held != n_classes:
        raise ArtifactError("The classifier's dense branch does not fit its classes.")
    return layout


def layers_of(arrays: Arrays) -> tuple[tuple[int, int, int], ...]:
    """Return the rows of weights, the outputs and the stride of each convolution."""
    layers: list[tuple[int, int, int]] = []
    while f"conv{len(layers)}_weight" in arrays:
        rows, outputs = arrays[f"conv{len(layers)}_weight"].shape
        layers.append((rows, outputs, int(arrays[f"conv{len(layers)}_stride"][0])))
    return tuple(layers)


def network_sections(layers: tuple[tuple[int, int, int], ...], n_classes: int) -> tuple[Section, ...]:
    """Return the sections of the convolutional branch; none without convolutions."""
    found: list[Section] = []
    for index, (rows, outputs, _) in enumerate(layers):
        found += [(f"conv{index}_weight", (rows, outputs)), (f"conv{index}_bias", (outputs,))]
    if layers:
        found += [("head_weight", (n_classes, 2 * layers[-1][1])), ("head_bias", (n_classes,))]
    return tuple(found)


def _dense_of(arrays: Arrays) -> tuple[tuple[int, int], ...]:
    layers: list[tuple[int, int]] = []
    while f"dense{len(layers)}_weight" in arrays:
        inputs, outputs = arrays[f"dense{len(layers)}_weight"].shape
        layers.append((inputs, outputs))
    return tuple(layers)


def _complete(arrays: Arrays, layout: Layout) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of a row, with those that older or simpler classifiers lack.

    ``mix`` holds the shares of the network and of the dense branch, and the inverse temperature.
    """
    mix = arrays["mix"]
    if not 1 <= mix.size <= 3:
        raise ArtifactError(f"The classifier's ensemble has {mix.size} weights, expected 1 to 3.")
    made = {
        "centre": np.zeros(layout.n_features, np.float32),
        **arrays,
        "mix": np.concatenate([mix[:-1], np.zeros(3 - mix.size, np.float32), mix[-1:]]),
    }
    found = {}
    for name, shape in layout.sections:
        if name not in made or made[name].shape != shape:
            given = made[name].shape if name in made else None
            raise ArtifactError(f"The classifier's {name} has the shape {given}, expected {shape}.")
        found[name] = made[name]
    return found
