"""How often one gesture tells how a band was put on, over every rotation of the band.

    python testing/benchmarks/donning.py --recordings DIR [--only 10000,12378] [--each 4]

For each person a classifier is fitted on all days but the last; of the last day a few seconds of rest and of one
performance of a gesture are compared with it (``semg.signals.model.donning``), worn as they were and with the band
turned by every number of electrodes and the other way round. Nobody knows how the band really lay on the last day: it
is taken as it is. Prints a table: *said* is the share of checks that were clear, *right* those of them that named the
rotation, *near* those that named it within one electrode.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import REST, Sensor  # noqa: E402
from semg.recordings.csv_format import read_recording  # noqa: E402
from semg.signals.dataset import LabelledSamples  # noqa: E402
from semg.signals.model.donning import find_turn  # noqa: E402
from semg.signals.model.electrode_rotation import Rotation, inverse, rotations_of  # noqa: E402
from semg.signals.training.options import TrainingOptions  # noqa: E402
from semg.signals.training.train import fit  # noqa: E402
from testing.benchmarks.recognition_sets import DATA_SETS  # noqa: E402
from testing.benchmarks.wear import people_in  # noqa: E402

REACT_S, UNTIL_S = 0.8, 3.4
"""Of each performance: without the reaction, and as long as the check on *Capture* is."""
Samples = NDArray[np.float32]


def near(found: Rotation, right: Rotation) -> bool:
    """Return whether a rotation is another one within one electrode, worn the same way round."""
    n = len(right)
    same_way = (found[1] - found[0]) % n == (right[1] - right[0]) % n
    return same_way and min((found[0] - right[0]) % n, (right[0] - found[0]) % n) <= 1


def checks(day: LabelledSamples, each: int) -> Iterator[tuple[str, Samples, Samples]]:
    """Yield gesture, rest and contraction of checks, some for each gesture."""
    first, last = round(REACT_S * day.rate_hz), round(UNTIL_S * day.rate_hz)
    by_label: dict[str, list[Samples]] = defaultdict(list)
    for number, one in enumerate(day.stretches):
        by_label[one.label].append(day.samples[day.stretch == number][first:last])
    for gesture, performed in by_label.items():
        for index, strong in enumerate(performed[:each] if gesture != REST else []):
            yield gesture, by_label[REST][index % len(by_label[REST])], strong


def measure(paths: Sequence[Path], sensor: Sensor, each: int) -> list[tuple[bool, bool, bool, bool]]:
    """Return of each check: whether the band was left as it was, said, right, near."""
    *days, last = (read_recording(path, sensor=sensor) for path in paths)
    classifier = fit(days, "cnn", options=TrainingOptions(epochs=1), seed=0)  # rotations are compared in closed form
    columns = tuple(last.channels.index(name) for name in classifier.channels)
    made = []
    for gesture, rest, strong in checks(last, each):
        for rotation in rotations_of(len(columns)):
            worn = [columns[index] for index in rotation]
            found = find_turn(
                classifier, tuple(range(len(columns))), np.ascontiguousarray(rest[:, worn]),
                np.ascontiguousarray(strong[:, worn]), gesture,
            )  # fmt: skip
            if found is not None:
                right = inverse(rotation)
                as_it_was = rotation == tuple(range(len(columns)))
                made.append((as_it_was, found.is_clear, found.rotation == right, near(found.rotation, right)))
    return made


def main() -> None:
    """Measure everybody in a folder, set by set, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--only", default="", help="people, comma separated; everybody without")
    parser.add_argument("--each", type=int, default=4, help="checks of each gesture")
    arguments = parser.parse_args()
    sensors: dict[str, Sensor] = {one.name: one.sensor for one in DATA_SETS}
    only = {one for one in arguments.only.split(",") if one}
    rows: dict[str, list[tuple[bool, bool, bool, bool]]] = defaultdict(list)
    for (data_set, person), paths in people_in(arguments.recordings).items():
        if not only or person in only:
            own = measure(paths, sensors.get(data_set, "raw"), arguments.each)
            rows[data_set] += own
            sys.stderr.write(f"{data_set} {person}: {_shares(own)}\n")
    sys.stdout.write("| set | band | checks | said | right | near |\n|---|---|---|---|---|---|\n")
    for data_set, found in rows.items():
        for as_it_was, name in ((True, "as it was"), (False, "turned")):
            own = [one for one in found if one[0] == as_it_was]
            sys.stdout.write(f"| {data_set} | {name} | {len(own)} | {_shares(own)} |\n")


def _shares(checks_made: Sequence[tuple[bool, bool, bool, bool]]) -> str:
    """Return the share of checks that said something, and of those the shares that were right and near."""
    said = [one for one in checks_made if one[1]]
    right, close = (np.mean([one[index] for one in said] or [0]) for index in (2, 3))
    return f"{len(said) / max(1, len(checks_made)):.1%} | {right:.1%} | {close:.1%}"


if __name__ == "__main__":
    main()
