"""Recognition across sessions on real recordings: train on sessions 1 and 2 of a person, test on session 3.

``python testing/benchmarks/recognition.py --recordings DIR`` prints one row per person and kind of classifier.
People whose recordings were looked at while methods were chosen stand apart from those that only report. The row
``worst`` holds the least of every column, which need not be one person's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import fire
import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.errors import SemgError
from semg.evaluation import evaluate_recordings

TUNED_ON = ("10000", "12378", "12548", "19999", "26082", "40052")
FIGURES = ("accuracy", "balanced", "macro-F1", "trimmed acc", "trimmed F1")


def _row(report: dict) -> list[float]:
    trimmed = report["trimmed"]
    values = (
        report["accuracy"],
        report["balanced_accuracy"],
        report["macro_f1"],
        trimmed["accuracy"],
        trimmed["macro_f1"],
    )
    return [100 * value for value in values]


def _line(name: str, kind: str, values: list[float], extra: str = "") -> None:
    print(f"{name:<22}{kind:<12}" + "".join(f"{value:>13.1f}" for value in values) + extra, flush=True)


def main(
    recordings: str,
    quick: bool = False,
    kinds: str | tuple[str, ...] = ("cnn", "logcov_lda", "td_lda"),
    only: str = "all",
    short: bool = False,
    seed: int = 0,
) -> None:
    """Print the figures of every person, their mean and the worst, in percent at window level.

    Parameters
    ----------
    recordings
        Folder of ``myo_<person>-<session>.csv.gz``.
    quick
        Two people of each group only.
    kinds
        Classifiers to compare, comma separated.
    only
        tuned, reported or all.
    short
        Test on ``-3.short`` where there is one, and leave the other people out.
    seed
        Of everything random in the trainings.
    """
    if only not in ("all", "tuned", "reported"):
        sys.exit(f"--only must be all, tuned or reported, got {only!r}.")
    folder = Path(recordings)
    chosen = kinds.split(",") if isinstance(kinds, str) else list(kinds)
    ending = "-3.short.csv.gz" if short else "-3.csv.gz"
    people = sorted(path.name.removeprefix("myo_").removesuffix(ending) for path in folder.glob(f"myo_*{ending}"))
    if not people:
        sys.exit(f"No myo_<person>{ending} in {folder}: give the folder of the recordings.")
    groups = {
        "tuned": [person for person in people if person in TUNED_ON],
        "reported": [person for person in people if person not in TUNED_ON],
    }
    print(f"{'':<34}" + "".join(f"{name:>13}" for name in FIGURES) + "   train s  us/window   bytes windows chance")
    for group, members in groups.items():
        if only not in ("all", group) or not members:
            continue
        print(f"--- {group}: {len(members[:2] if quick else members)} people, sessions 1+2 -> {ending[1:-7]}")
        rows: dict[str, list[list[float]]] = {kind: [] for kind in chosen}
        for person in members[:2] if quick else members:
            for kind in chosen:
                try:
                    report = evaluate_recordings(
                        [folder / f"myo_{person}-1.csv.gz", folder / f"myo_{person}-2.csv.gz"],
                        [folder / f"myo_{person}{ending}"],
                        kind=kind,
                        seed=seed,
                    )
                except SemgError as exc:
                    sys.exit(str(exc))
                rows[kind].append(_row(report))
                extra = f"{report['train_s']:>10.1f}{report['us_per_window']:>11.0f}{report['model_bytes']:>8}"
                extra += f"{report['windows']:>8}{100 * report['chance']:>7.1f}"
                _line(person, kind, rows[kind][-1], extra)
        for kind in chosen:
            _line("mean", kind, list(np.mean(rows[kind], axis=0)))
        for kind in chosen:
            _line("worst", kind, list(np.min(rows[kind], axis=0)))


if __name__ == "__main__":
    fire.Fire(main)
