"""What a prediction costs: windows of 1 to 200 people, each with an own model, in one request.

    python testing/benchmarks/predict.py [--kinds cnn,logcov_lda,td_lda] [--channels 4,8,16] [--out FILE.json]

Measures a whole request inside the API's process, from the body's bytes to the answer's, without HTTP: microseconds of
wall clock (best of several passes) and of CPU for each window, windows per second, memory for each person's model, and
how far the answers are from those of each classifier alone and from a forward in torch. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from semg.domain import ClassifierKind  # noqa: E402 - after the path is set
from semg.predictor.model_cache import Loaded, Predictor  # noqa: E402
from semg.predictor.people import ROWS, People, PeopleByLayout  # noqa: E402
from semg.signals.dataset import grid_windows  # noqa: E402
from semg.signals.model.classifier import Classifier  # noqa: E402
from semg.signals.synthesis import SyntheticArm, make_plan  # noqa: E402
from semg.signals.training.options import TrainingOptions  # noqa: E402
from semg.signals.training.train import fit  # noqa: E402
from semg.wire.windows import decode_alike, encode_alike, encode_answer_table  # noqa: E402
from testing.kits.recording_kit import synthetic_recording  # noqa: E402

USERS = (1, 10, 50, 200)
WINDOWS_PER_USER = (1, 8)
MEASURE_S = 0.4


class InMemory(Predictor):
    """A predictor whose models are all there; nothing is read from a store."""

    def __init__(self, loaded: dict[int, Loaded]) -> None:
        super().__init__(cast(Any, None), len(loaded))
        self._loaded = loaded

    def find(self, user_id: int) -> Loaded | None:
        """Return the model."""
        return self._loaded.get(user_id)


def people(bases: Sequence[Classifier], n: int) -> Iterator[Classifier]:
    """Yield classifiers with weights of their own, of each base in turn."""
    for index in range(n):
        rng, base = np.random.default_rng(index), bases[index % len(bases)]
        exact = ("crossing", "mix")
        arrays = {
            name: array if name in exact or name.endswith("_stride") else array * rng.uniform(0.98, 1.02, array.shape)
            for name, array in base.arrays.items()
        }
        yield Classifier.from_bytes(replace(base, arrays=arrays).to_bytes())


def in_torch(classifier: Classifier, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities by torch, features and discriminant in float64: the reference."""
    arrays = {name: torch.from_numpy(np.array(array)) for name, array in classifier.arrays.items()}
    scaled = (torch.from_numpy(windows) - arrays["scale_offset"][:, None]) * arrays["scale_gain"][:, None]
    inverse_temperature = arrays["mix"][-1].double()
    features = _features(classifier, scaled.double())
    if "centre" in arrays:
        features = features - arrays["centre"]
    linear = features @ arrays["lda_coef"].T.double() + arrays["lda_intercept"]
    if classifier.kind != "cnn":
        return torch.softmax(linear * inverse_temperature, 1).numpy().astype(np.float32)
    held, layer = scaled, 0
    while (name := f"conv{layer}") + "_weight" in arrays:
        weight = arrays[f"{name}_weight"]
        kernel = weight.reshape(-1, held.shape[1], weight.shape[1]).permute(2, 1, 0)
        stride = int(arrays[f"{name}_stride"][0])
        held = torch.relu(torch.nn.functional.conv1d(held, kernel, arrays[f"{name}_bias"], stride))
        layer += 1
    pooled = torch.cat([held.mean(2), torch.sqrt(held.square().mean(2) + 1e-6)], 1)
    network = torch.log_softmax((pooled @ arrays["head_weight"].T + arrays["head_bias"]).double(), 1)
    shares = [float(share) for share in arrays["mix"][:-1]]
    branches, layer = [network], 0
    while f"dense{layer}_weight" in arrays:
        features = torch.relu(features) if layer else features
        features = features @ arrays[f"dense{layer}_weight"].double() + arrays[f"dense{layer}_bias"]
        layer += 1
    branches += [torch.log_softmax(features, 1)] if layer else []
    mixed = (1 - sum(shares[: len(branches)])) * torch.log_softmax(linear, 1)
    for share, branch in zip(shares, branches, strict=False):
        mixed = mixed + share * branch
    return torch.softmax(mixed * inverse_temperature, 1).numpy().astype(np.float32)


def _features(classifier: Classifier, scaled: torch.Tensor) -> torch.Tensor:
    if classifier.kind == "td_lda":
        step, length = scaled.diff(dim=2), scaled.shape[2]
        level = torch.log(scaled.abs().mean(2) + 1e-3)
        path = torch.log(step.abs().sum(2) / length + 1e-3)
        crossings = (scaled[:, :, 1:] * scaled[:, :, :-1] < 0).double().sum(2) / length
        turns = (step[:, :, 1:] * step[:, :, :-1] < 0).double().sum(2) / length
        return torch.cat([level, path, crossings, turns], 1)
    crossing = float(classifier.arrays["crossing"][0]) if classifier.kind == "cnn" else 0.0
    if crossing <= 0:
        return _logarithms(scaled)
    length = scaled.shape[2]
    order = torch.arange(length, dtype=torch.float64)
    cosines = torch.cos(torch.pi * (order + 0.5) * order[:, None] / length) * (2 / length) ** 0.5
    cosines[0] /= 2**0.5
    ratio = order / (2 * length * crossing)
    spectrum = scaled @ cosines.T / torch.sqrt(1 + ratio**2)
    return torch.cat([_logarithms(spectrum), _logarithms(spectrum * ratio)], 1)


def _logarithms(joined: torch.Tensor) -> torch.Tensor:
    size = joined.shape[1]
    covariance = joined @ joined.transpose(1, 2) / joined.shape[2]
    load = 1e-3 * covariance.diagonal(dim1=1, dim2=2).mean(1) + 1e-9
    values, vectors = torch.linalg.eigh(covariance + load[:, None, None] * torch.eye(size))
    logs = vectors @ torch.diag_embed(torch.log(values)) @ vectors.transpose(1, 2)
    rows, columns = np.triu_indices(size)
    return logs[:, rows, columns] * torch.from_numpy(np.where(rows == columns, 1.0, np.sqrt(2.0)))


def ask(predictor: InMemory, body: bytes) -> bytes:
    """Answer a body as the API does."""
    return encode_answer_table(predictor.predict_windows(decode_alike(body)))


def bytes_of(people: People) -> int:
    """Return the memory of a table of people: weights, and what is learned from streams."""
    kept = [*vars(people.stack).values(), *vars(people.following or object).values()]
    return sum(value.nbytes for value in kept if isinstance(value, np.ndarray))


def cost(predictor: InMemory, body: bytes, n: int) -> dict[str, float]:
    """Return wall clock and CPU of a window."""
    ask(predictor, body)
    best, passes, started, cpu = np.inf, 0, time.perf_counter(), time.process_time()
    while passes < 3 or time.perf_counter() - started < MEASURE_S:
        begun = time.perf_counter()
        ask(predictor, body)
        best = min(best, time.perf_counter() - begun)
        passes += 1
    cpu_us = (time.process_time() - cpu) / passes / n * 1e6
    return {
        "us_per_window": round(best / n * 1e6, 1),
        "cpu_us_per_window": round(cpu_us, 1),
        "windows_per_s": round(n / best),
    }


def measure(kind: ClassifierKind, channels: int, rate_hz: float) -> dict[str, Any]:
    """Return the figures of a kind of classifier."""
    arm = SyntheticArm(0, channels, rate_hz)
    bases = []
    for gestures in (arm.gestures, arm.gestures[:-1]):  # people who have chosen other gestures
        recording = synthetic_recording(arm, arm.session(1, make_plan(gestures, 2, 1.5)), "s")
        bases.append(fit([recording.labelled], kind, options=TrainingOptions(epochs=1)))
    base = bases[0]
    fresh = synthetic_recording(arm, arm.session(2, make_plan(arm.gestures, 2, 1.5)), "t").labelled
    windows, _ = grid_windows(fresh, base.channels, base.conditioning, base.window)
    by_layout = PeopleByLayout()
    loaded = {index: Loaded(1, by_layout.add(made)) for index, made in enumerate(people(bases, max(USERS)))}
    predictor, rng, costs = InMemory(loaded), np.random.default_rng(0), []
    for users in USERS:
        for each in WINDOWS_PER_USER if users > 1 else (*WINDOWS_PER_USER, 64):
            ids = np.repeat(np.arange(users), each)
            chosen = windows[rng.integers(0, len(windows), len(ids))]
            for stream in (0, 1) if kind == "cnn" else (0,):
                numbers = np.full(len(ids), stream)
                body = encode_alike([(ids, np.ones(len(ids), np.int64), numbers, chosen)])
                what = {"users": users, "windows_per_request": len(ids), "follows": bool(stream)}
                costs.append(what | cost(predictor, body, len(ids)))
    return {
        "kind": kind,
        "channels": channels,
        "window_samples": base.window.window_samples,
        "parameters": base.n_parameters,
        "crossing": [round(float(each), 4) for each in base.arrays.get("crossing", ())],
        "kib_per_person": round(bytes_of(loaded[0].member.people) / ROWS / 1024, 1),
        **differences(predictor, loaded, windows),
        "costs": costs,
    }


def differences(predictor: InMemory, loaded: dict[int, Loaded], windows: NDArray[np.float32]) -> dict[str, float]:
    """Return the largest difference of a request of everybody to each one alone and to torch."""
    ids = np.arange(len(loaded))
    chosen = windows[np.random.default_rng(1).integers(0, len(windows), len(ids))]
    body = encode_alike([(ids, np.ones_like(ids), np.zeros_like(ids), chosen)])
    answers = predictor.predict_windows(decode_alike(body))
    to_single, to_torch = [], []
    for index in ids:
        classifier, window = loaded[index].classifier, chosen[index : index + 1]
        answer = answers.probabilities[index, : len(classifier.classes)]
        to_single.append(np.abs(answer - classifier.predict_proba(window)[0]).max())
        to_torch.append(np.abs(answer - in_torch(classifier, window)[0]).max())
    return {"difference_to_single": float(max(to_single)), "difference_to_torch": float(max(to_torch))}


def main() -> int:
    """Measure what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="cnn,logcov_lda,td_lda")
    parser.add_argument("--channels", default="4,8,16")
    parser.add_argument("--rate-hz", type=float, default=200.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [
        measure(cast(ClassifierKind, kind), int(channels), options.rate_hz)
        for kind in options.kinds.split(",")
        for channels in options.channels.split(",")
    ]
    resident = round(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    result = {
        "resident_mb": resident,
        "rate_hz": options.rate_hz,
        "load_average": round(os.getloadavg()[0], 2),
        "measured": found,
    }
    text = json.dumps(result, indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
