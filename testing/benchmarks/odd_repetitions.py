"""How often good repetitions are called odd, and wrong ones found, on recordings with labels.

    python testing/benchmarks/odd_repetitions.py ../shared/data/myo_26082-*.csv.gz [--sensor envelope] [--each 14]

Every recording is one session. First it is judged as it is: what is found is counted as *odd*. Then, one repetition at
a time, an error is put in its place and it is asked whether that repetition is found: *nothing* performed (rest in its
place), *wrong* (another gesture in its place), *late* (1.5 s of rest before it). Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import REST, ConditioningSpec, Sensor  # noqa: E402
from semg.recordings.csv_format import read_recording  # noqa: E402
from semg.signals.odd_repetitions import Performance, find_odd, perform  # noqa: E402

LATE_BY_S = 1.5
ERRORS = ("nothing", "wrong", "late")
Samples = NDArray[np.float32]


def measure(path: Path, sensor: Sensor, each: int, seed: int = 0) -> tuple[int, Counter[str], Counter[str]]:
    """Return the performances of a recording, what is odd about it as it is, and the errors tried and found."""
    read = read_recording(path, sensor=sensor)
    spec = ConditioningSpec(sensor, read.rate_hz, read.mains_hz)
    raw = {k: (one.label, read.samples[read.stretch == k]) for k, one in enumerate(read.stretches)}
    whole = {k: perform(gesture, samples, spec) for k, (gesture, samples) in raw.items()}
    performed = [k for k, (gesture, _) in raw.items() if gesture != REST]
    counts: Counter[str] = Counter()
    generator = np.random.default_rng(seed)
    for k in generator.permutation(performed)[:each].tolist():
        for error, samples in _wrong(k, raw, read.rate_hz, generator).items():
            counts[f"{error} tried"] += 1
            changed: dict[int, Performance] = {**whole, k: perform(raw[k][0], samples, spec)}
            counts[f"{error} found"] += k in find_odd(changed)
    return len(performed), Counter(one.kind for one in find_odd(whole).values()), counts


def _wrong(
    k: int, raw: dict[int, tuple[str, Samples]], rate_hz: float, generator: np.random.Generator
) -> dict[str, Samples]:
    """Return what stands in the place of a repetition; no *late* where too little of it would be left."""
    gesture, right = raw[k]
    rests = [samples for label, samples in raw.values() if label == REST]
    rest = rests[generator.integers(len(rests))]
    rest = np.concatenate([rest] * (1 + len(right) // len(rest)))[: len(right)]
    others = [samples for label, samples in raw.values() if label not in (REST, gesture)]
    made = {"nothing": rest, "wrong": others[generator.integers(len(others))]}
    n = round(LATE_BY_S * rate_hz)
    if len(right) > n + 0.7 * rate_hz:
        made["late"] = np.concatenate([rest[:n], right[:-n]])
    return made


def main() -> None:
    """Measure the recordings that are named, and print the figures of each and of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--sensor", choices=["raw", "envelope"], default="raw")
    parser.add_argument("--each", type=int, default=14, help="repetitions of each recording that an error replaces")
    arguments = parser.parse_args()
    performed, odd, counts = 0, Counter[str](), Counter[str]()
    shares: dict[str, float] = {}
    for path in arguments.recordings:
        n, found, tried = measure(path, arguments.sensor, arguments.each)
        performed, odd, counts = performed + n, odd + found, counts + tried
        shares[path.name] = round(found.total() / n, 3)
    said = {
        "repetitions": performed,
        "odd": round(odd.total() / performed, 4),
        "kinds": dict(odd),
        "found": {error: round(counts[f"{error} found"] / counts[f"{error} tried"], 4) for error in ERRORS},
        "tried": {error: counts[f"{error} tried"] for error in ERRORS},
        "odd_by_recording": shares,
    }
    sys.stdout.write(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
