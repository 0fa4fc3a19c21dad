"""Train on some recordings and report on others, with the product's own code; needs no database and no server.

Run it from anywhere: ``python ml_model/evaluate.py --train A.csv.gz,B.csv.gz --test C.csv.gz [--out report.json]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import json
from typing import Any

import fire

from semg.errors import SemgError
from semg.jobs.evaluation import evaluate_recordings, paths_from_argument
from semg.recordings.csv_format import LayoutAnswers


def main(
    train: str | tuple[str, ...],
    test: str | tuple[str, ...],
    out: str = "",
    sensor: str = "raw",
    rate_hz: float | None = None,
    mains_hz: float = 50.0,
    classifier: str = "cnn",
    seed: int = 0,
    calibrate: str = "",
    base: str = "",
    adapt: bool = True,
    separator: str | None = None,
    time: str | None = None,
    time_unit: str | None = None,
    channels: str | tuple[str, ...] | None = None,
    label: str | None = None,
    rest: str | None = None,
    repetition: str | None = None,
) -> None:
    """Print the report as JSON, and write it to a file when one is named.

    Parameters
    ----------
    train, test
        Recordings (gzip CSV ``millis,a0,…,aN,gesture,repetition``, or what the options below say), comma separated.
    out
        File for the report.
    sensor
        raw or envelope.
    rate_hz
        Sampling rate; found from the column millis when not given.
    mains_hz
        Frequency of the power line, 0 for none.
    classifier
        cnn, logcov_lda or td_lda.
    seed
        Of everything random in the training.
    calibrate
        Recording of 10 s of rest and one repetition of each gesture, with the band as in the test; the classifier is
        adapted to it. No row of it may be in a test.
    base
        What other people's recordings say beforehand: a file of pretrain.py.
    adapt
        Whether the classifier follows the tests' streams without labels, as it does live; cnn only.
    separator
        Of the columns: one character, or tab, blank.
    time, time_unit
        The column of time, and what it counts: ms, s, us or samples.
    channels
        The columns of values, comma separated.
    label, rest
        The column of gestures, and the label that means rest ('' for none).
    repetition
        The column of repetitions; counted from the runs of a label when there is none.
    """
    named = None if channels is None else tuple(channels if isinstance(channels, tuple) else str(channels).split(","))
    texts = {"separator": separator, "time": time, "time_unit": time_unit, "label": label, "rest": rest}
    texts["repetition"] = repetition
    said: dict[str, Any] = {name: None if text is None else str(text) for name, text in texts.items()}
    try:
        report = evaluate_recordings(
            paths_from_argument(train, "--train"),
            paths_from_argument(test, "--test"),
            sensor=sensor,
            rate_hz=rate_hz,
            mains_hz=mains_hz,
            kind=classifier,
            seed=seed,
            calibrate=Path(str(calibrate)) if calibrate else None,
            base=Path(str(base)) if base else None,
            adapt=bool(adapt),
            answers=LayoutAnswers(channels=named, **said),
        )
        text = json.dumps(report.as_json(), indent=2, ensure_ascii=False)
        if out:
            Path(str(out)).write_text(text + "\n", encoding="utf-8")
    except (SemgError, OSError) as exc:
        print(exc, file=sys.stderr)
        sys.exit(2)
    print(text)


if __name__ == "__main__":
    fire.Fire(main)
