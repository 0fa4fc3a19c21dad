"""Recognition on real recordings against its goals, with the plain methods on the same windows in the same run.

``python testing/benchmarks/recognition.py --recordings DIR`` prints every protocol's figures for each person, their
means, the worst, and the goals. People whose recordings were looked at while methods were chosen (``tuned``) stand
apart from those that only report. How sessions are divided: ``recognition_protocols.py``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import fire
import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from recognition_protocols import (
    TUNED_ON,
    Person,
    few,
    load_person,
    mean_of,
    people_in,
    times_us,
    tried,
    turned,
    within,
)

from semg.errors import SemgError
from semg.priors.building import make_base
from semg.signals.model.electrode_rotation import rotations_of
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.train import fit, train

COLUMNS = ("accuracy", "balanced_accuracy", "macro_f1", "trimmed_accuracy", "trimmed_macro_f1", "calibration_error")
HEADS = ("accuracy", "balanced", "macro-F1", "trimmed acc", "trimmed F1", "calib. error")
Rows = dict[str, list[dict[str, float]]]
PARTS = ("across", "calibrated", "within", "few", "turns")


def main(
    recordings: str,
    quick: bool = False,
    only: str = "all",
    parts: str | tuple[str, ...] = PARTS,
    short: bool = False,
    seed: int = 0,
) -> None:
    """Print the figures of every person, their mean and the worst, in percent at window level.

    Parameters
    ----------
    recordings
        Folder of ``myo_<person>-<session>.csv.gz``.
    quick
        One person of each group, and no more than one turn of the band.
    only
        tuned, reported or all.
    parts
        Which protocols, comma separated: across, calibrated, within, few, turns.
    short
        Session 3 from ``-3.short`` where there is one; other people are left out.
    seed
        Of everything random in the trainings.
    """
    if only not in ("all", "tuned", "reported"):
        sys.exit(f"--only must be all, tuned or reported, got {only!r}.")
    wanted = parts.split(",") if isinstance(parts, str) else list(parts)
    folder, ending = Path(recordings), "-3.short.csv.gz" if short else "-3.csv.gz"
    people = people_in(folder, ending)
    if not people:
        sys.exit(f"No myo_<person>{ending} in {folder}: give the folder of the recordings.")
    started = time.perf_counter()
    groups = {
        "tuned": [person for person in people if person in TUNED_ON],
        "reported": [person for person in people if person not in TUNED_ON],
    }
    chosen = {name: members[:1] if quick else members for name, members in groups.items() if only in ("all", name)}
    try:
        base = _base(folder, people, 3 if quick else len(people)) if "few" in wanted else None
        found: dict[str, Rows] = {}
        for group, members in chosen.items():
            print(f"--- {group}: {len(members)} people")
            print(f"{'':<46}" + "".join(f"{name:>13}" for name in HEADS) + " windows chance")
            found[group] = {}
            for place, name in enumerate(members):
                person = load_person(folder, name, ending)
                _measure(person, wanted, seed, base, 1 if quick else 2, found[group], place == 0)
            _summary(found[group])
    except SemgError as exc:
        sys.exit(str(exc))
    if len(found) > 1:
        everybody = {name: [row for group in found.values() for row in group.get(name, [])] for name in found["tuned"]}
        print("--- all")
        _summary(everybody)
    print(f"took {(time.perf_counter() - started) / 60:.1f} minutes")


def _base(folder: Path, people: list[str], count: int) -> PopulationPrior:
    """Return a base of everybody; whoever is tested is left out of it."""
    sessions = {}
    for name in [*people[:2], *people[-count:]][: max(4, count)] if count < len(people) else people:
        person = load_person(folder, name)
        sessions[name] = (*person.learned, person.third)
    return make_base("everybody else", sessions)


def _measure(
    person: Person, parts: list[str], seed: int, base: PopulationPrior | None, n_turns: int, rows: Rows, timed: bool
) -> None:
    def note(what: str, values: dict[str, float]) -> None:
        rows.setdefault(what, []).append(values)
        shown = "".join(f"{values[name]:>13.1f}" for name in COLUMNS)
        print(f"{person.name:<10}{what:<36}{shown}{values['windows']:>8.0f}{values['chance']:>7.1f}", flush=True)

    learned = list(person.learned)
    if "across" in parts:
        result = train(learned, "cnn", seed=seed)
        following = tried(result.classifier, person.test)
        following["reported"] = 100 * (result.report.accuracy or 0.0)
        note("1+2 -> 3: cnn, following", following)
        note("1+2 -> 3: cnn as stored", tried(result.classifier, person.test, adapt=False))
        note("1+2 -> 3: logcov_lda", tried(fit(learned, "logcov_lda"), person.test))
        note("1+2 -> 3: td_lda", tried(fit(learned, "td_lda"), person.test))
        if timed:
            shown = ", ".join(f"{name} {us:.0f}" for name, us in times_us(result.classifier, person.test).items())
            print(f"{'':<10}microseconds a window: {shown}; training {result.report.train_s:.0f} s until active")
    if "calibrated" in parts or "turns" in parts:
        adapted = fit(learned, "cnn", seed=seed, calibration=person.calibration)
        as_worn = tried(adapted, person.test)
        note("calibrated: cnn", as_worn)
        note("calibrated: logcov_lda", tried(fit(learned, "logcov_lda", calibration=person.calibration), person.test))
    if "turns" in parts:
        possible = rotations_of(len(person.test.channels))[1:]
        picked = np.random.default_rng([seed, int(person.name)]).permutation(len(possible))[:n_turns]
        for turn in (possible[place] for place in picked):
            other = fit(learned, "cnn", seed=seed, calibration=turned(person.calibration, turn))
            values = tried(other, turned(person.test, turn))
            values["moved"] = abs(values["accuracy"] - as_worn["accuracy"])
            note(f"calibrated, band as {''.join(map(str, turn))}", values)
            rows.setdefault("turns", []).append(values)
    if "within" in parts:
        note("within 3: cnn", within(person, "cnn", seed))
        note("within 3: logcov_lda", within(person, "logcov_lda", seed))
    if "few" in parts and base is not None:
        others = base.without(names=[person.name])
        note("1 repetition and base: cnn", few(person, 1, "cnn", seed, others))
        note("3 repetitions: cnn", few(person, 3, "cnn", seed, None))
        note("3 repetitions: logcov_lda", few(person, 3, "logcov_lda", seed, None))
        note("1 repetition: logcov_lda", few(person, 1, "logcov_lda", seed, None))


def _summary(rows: Rows) -> None:
    shown = {name: each for name, each in rows.items() if not name.startswith(("calibrated, band", "turns"))}
    for name, each in shown.items():
        print(f"{'mean':<10}{name:<36}" + "".join(f"{mean_of(each, column):>13.1f}" for column in COLUMNS))
    for name, each in shown.items():
        least = "".join(f"{min(row[column] for row in each):>13.1f}" for column in COLUMNS[:-1])
        print(f"{'worst':<10}{name:<36}{least}")
    for what, mine, plain, must, aim in (
        ("1+2 -> 3, trimmed", "1+2 -> 3: cnn, following", "1+2 -> 3: logcov_lda", "above", "+6 / +9"),
        ("calibrated, trimmed", "calibrated: cnn", "calibrated: logcov_lda", "above", "+3.5 / +5"),
        ("within, trimmed", "within 3: cnn", "within 3: logcov_lda", "above", "97.5"),
        ("1 repetition and base against 3", "1 repetition and base: cnn", "3 repetitions: cnn", "", "equal"),
    ):
        if mine in rows and plain in rows:
            apart = [mean_of(rows[mine], c) - mean_of(rows[plain], c) for c in ("trimmed_accuracy", "trimmed_macro_f1")]
            print(f"goal      {what}: {apart[0]:+.1f} / {apart[1]:+.1f} points (must {must or '-'}, aim {aim})")
    if "turns" in rows:
        worst = max(row["moved"] for row in rows["turns"])
        print(f"goal      turned band, calibrated: accuracy moves by at most {worst:.2f} points (must 1)")
    if "1+2 -> 3: cnn, following" in rows:
        apart = [row["reported"] - row["accuracy"] for row in rows["1+2 -> 3: cnn, following"]]
        mean, worst = float(np.mean(apart)), max(apart)
        print(f"goal      reported minus honest accuracy: {mean:+.1f} (must 1.0 at most), worst {worst:+.1f}")


if __name__ == "__main__":
    fire.Fire(main)
