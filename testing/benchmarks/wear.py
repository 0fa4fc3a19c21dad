"""A person's days in order: false events on rest, missed events and latency, as live use would have them.

    python testing/benchmarks/wear.py --recordings DIR [--first 1] [--only 10000,12378] [--classifier cnn] [--json]

Files are ``<set>_<person>-<day>.csv.gz``, days counted by whole numbers. A classifier is fitted on a person's first
days; every later one is replayed by the live path (``semg.signals.model.replay``) with the usual decision settings, the
band having been taken off and put on between them. Three ways:

fixed       as stored: nothing is learned from the stream.
following   as served: the classifier follows the stream, and begins anew with each day's session.
worn on     the same without a new session: what was learned on a day is carried into the next one.

An event is a press (``semg.signals.model.gesture_events``).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.block_table import BlockTable  # noqa: E402
from semg.domain import Block, ClassifierKind, DecisionSpec, Sensor  # noqa: E402
from semg.event_types import EventSpec, EventTimes  # noqa: E402
from semg.recordings.csv_format import read_recording  # noqa: E402
from semg.signals.dataset import LabelledSamples  # noqa: E402
from semg.signals.model.classifier import Classifier  # noqa: E402
from semg.signals.model.event_scores import EventScore, Span, score_events  # noqa: E402
from semg.signals.model.replay import Replay  # noqa: E402
from semg.signals.training.train import fit  # noqa: E402
from testing.benchmarks.recognition_sets import DATA_SETS  # noqa: E402

WAYS = ("fixed", "following", "worn on")
_NAME = re.compile(r"(?P<set>[a-z]+)_(?P<person>[^-]+)-(?P<day>\d+)\.csv\.gz")
GAP_US = 1_000_000
"""Between two runs of a recording: what happened there is not in the file."""
BLOCK_S = 0.5
NOTHING = EventScore(0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Day:
    """A day as a stream: its blocks, labels, and times, in microseconds from the first day's begin on."""

    table: BlockTable
    spans: tuple[Span, ...]
    begin_us: int
    end_us: int


def people_in(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Return each person's recordings, by set and person, days in order; people with one day are left out."""
    found: dict[tuple[str, str], list[tuple[int, Path]]] = defaultdict(list)
    for path in sorted(folder.glob("*.csv.gz")):
        matched = _NAME.fullmatch(path.name)
        if matched is not None:
            found[matched["set"], matched["person"]].append((int(matched["day"]), path))
    return {person: [path for _, path in sorted(days)] for person, days in found.items() if len(days) > 1}


def day_of(session: LabelledSamples, begin_us: int) -> Day:
    """Return a recording as the blocks of a stream that begins at a time."""
    period_us = 1e6 / session.rate_hz
    starts = session.starts_run.copy()
    starts[0] = True
    at_us = begin_us + np.round(np.arange(len(starts)) * period_us).astype(np.int64)
    at_us += GAP_US * (np.cumsum(starts) - 1)
    width = max(1, round(BLOCK_S * session.rate_hz))
    runs = np.append(np.flatnonzero(starts), len(starts)).tolist()
    cuts = [(at, min(at + width, end)) for start, end in zip(runs, runs[1:], strict=False)
            for at in range(start, end, width)]  # fmt: skip
    blocks = [
        Block(1, 1, bool(starts[first]), False, 0, at_us[first:last], at_us[first:last], session.samples[first:last])
        for first, last in cuts
    ]
    end_us = int(at_us[-1] + round(period_us))
    return Day(BlockTable.from_blocks(blocks), tuple(_spans(session, at_us, end_us)), begin_us, end_us)


def _spans(session: LabelledSamples, at_us: np.ndarray, end_us: int) -> Iterator[Span]:
    edges = np.flatnonzero(np.diff(session.stretch)) + 1
    firsts = [0, *edges.tolist()]
    for first, last in zip(firsts, [*firsts[1:], len(at_us)], strict=True):
        number = int(session.stretch[first])
        if number >= 0:
            yield Span(session.stretches[number].label, int(at_us[first]), int(at_us[last - 1]) + 1)


def wear(classifier: Classifier, days: Sequence[Day], way: str, decision: DecisionSpec, spec: EventSpec) -> EventScore:
    """Return the score of days that are worn one after the other."""
    columns = tuple(range(len(classifier.channels)))
    replay = Replay(classifier, columns, len(columns), decision, follows=way != "fixed")
    total = NOTHING
    for day in days:
        if way == "following":
            replay.add_edge(day.begin_us)
        events = replay.push(day.table).events(spec)
        total += score_events(events, day.spans, day.begin_us, day.end_us)
    return total


def measure(
    paths: Sequence[Path], first: int, kind: ClassifierKind, sensor: Sensor, seed: int, spec: EventSpec
) -> dict[str, EventScore]:
    """Return a person's scores by the way of wearing."""
    sessions = [read_recording(path, sensor=sensor) for path in paths]
    classifier = fit(sessions[:first], kind, seed=seed)
    columns = [sessions[0].channels.index(name) for name in classifier.channels]
    days, at_us = [], 0
    for session in sessions[first:]:
        chosen = LabelledSamples(
            samples=np.ascontiguousarray(session.samples[:, columns]), starts_run=session.starts_run,
            stretch=session.stretch, stretches=session.stretches, channels=classifier.channels,
            rate_hz=session.rate_hz, sensor=session.sensor, mains_hz=session.mains_hz,
        )  # fmt: skip
        days.append(day_of(chosen, at_us))
        at_us = days[-1].end_us + 60 * GAP_US
    return {way: wear(classifier, days, way, classifier.decision, spec) for way in WAYS}


def figures(scores: Mapping[str, EventScore]) -> dict[str, object]:
    """Return the figures of people together, with the worst of them by false and by missed events."""
    total = sum(scores.values(), NOTHING)
    worst_false = max(scores, key=lambda one: scores[one].false_per_hour or 0.0)
    worst_missed = max(scores, key=lambda one: scores[one].missed / max(1, scores[one].prompts))
    missed = scores[worst_missed]
    return {
        "people": len(scores),
        "rest_h": round(total.rest_s / 3600, 2),
        "false_per_hour": _rounded(total.false_per_hour),
        "prompts": total.prompts,
        "missed": round(total.missed / max(1, total.prompts), 4),
        "latency_ms": _rounded(total.median_latency_ms),
        "worst_false": [worst_false, _rounded(scores[worst_false].false_per_hour)],
        "worst_missed": [worst_missed, round(missed.missed / max(1, missed.prompts), 4)],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _line(data_set: str, way: str, found: Mapping[str, object]) -> str:
    false, missed = found["worst_false"], found["worst_missed"]
    assert isinstance(false, list)
    assert isinstance(missed, list)
    return (
        f"| {data_set} | {way} | {found['people']} | {found['false_per_hour']} | {found['missed']:.1%} of "
        f"{found['prompts']} | {found['latency_ms']} | {false[0]}: {false[1]} | {missed[0]}: {missed[1]:.1%} |"
    )


def main(given: Sequence[str] | None = None) -> None:
    """Measure everybody in a folder, set by set, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--first", type=int, default=1, help="days to train on")
    parser.add_argument("--only", default="", help="people, comma separated; everybody without")
    parser.add_argument("--classifier", choices=["cnn", "logcov_lda", "td_lda"], default="cnn")
    parser.add_argument("--dwell-ms", type=int, default=EventTimes().dwell_ms)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(given)
    sensors: dict[str, Sensor] = {one.name: one.sensor for one in DATA_SETS}
    scores: dict[tuple[str, str], dict[str, EventScore]] = defaultdict(dict)
    only = {one for one in arguments.only.split(",") if one}
    for (data_set, person), paths in people_in(arguments.recordings).items():
        if (only and person not in only) or len(paths) <= arguments.first:
            continue
        found = measure(
            paths, arguments.first, arguments.classifier, sensors.get(data_set, "raw"), arguments.seed,
            EventSpec(EventTimes(dwell_ms=arguments.dwell_ms)),
        )  # fmt: skip
        for way, score in found.items():
            scores[data_set, way][person] = score
        sys.stderr.write(f"{data_set} {person} measured\n")
    if not scores:
        sys.exit(
            f"{arguments.recordings} has nobody with more than {arguments.first} days: <set>_<person>-<day>.csv.gz"
        )
    made = {f"{data_set}, {way}": figures(people) for (data_set, way), people in scores.items()}
    if arguments.json:
        sys.stdout.write(json.dumps(made, indent=1) + "\n")
        return
    sys.stdout.write(
        "| set | way | people | false events per hour of rest | missed | median latency (ms) | worst: false per hour | "
        "worst: missed |\n|---|---|---|---|---|---|---|---|\n"
    )
    for (data_set, way), people in scores.items():
        sys.stdout.write(_line(data_set, way, figures(people)) + "\n")


if __name__ == "__main__":
    main()
