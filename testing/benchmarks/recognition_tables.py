"""Means, intervals and paired differences of the recognition benchmark's rows, and the tables that show them.

Intervals are percentiles of a bootstrap over people; with fewer than ``FEW_PEOPLE`` over people's days instead, which
says how much days scatter and little about other people. ``p`` is from a sign-flip test on the paired differences.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from testing.benchmarks.recognition_protocols import BASELINES, FOLLOWING, Row

WINDOWS = ("accuracy", "balanced_accuracy", "macro_f1", "trimmed_accuracy", "trimmed_macro_f1")
TRIALS = ("trial_accuracy", "trial_balanced_accuracy", "trial_macro_f1")
FEW_PEOPLE, RESAMPLES, ALL_FLIPS = 5, 4000, 12
NOISE = 0.3
"""Points by which a figure must be lower to count as a loss."""
Values = NDArray[np.float64]


def figure(rows: Sequence[Row], method: str, name: str) -> dict[tuple[str, str], float]:
    """Return one figure of a method for each person and session."""
    return {(row.person, row.session): row.values[name] for row in rows if row.method == method and name in row.values}


def over_units(values: dict[tuple[str, str], float]) -> tuple[Values, str]:
    """Return a figure for each person, or for each person's day where there are few people, and which of the two."""
    people = sorted({person for person, _ in values})
    if len(people) < FEW_PEOPLE:
        return np.array([values[key] for key in sorted(values)]), "days"
    return np.array([np.mean([v for (who, _), v in values.items() if who == person]) for person in people]), "people"


def interval(units: Values, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean over units."""
    picked = np.random.default_rng(seed).integers(len(units), size=(RESAMPLES, len(units)))
    low, high = np.percentile(units[picked].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def sign_flip_p(differences: Values, seed: int = 0) -> float:
    """Return how often the mean of differences with random signs is as far from zero as theirs: a two-sided test."""
    n = len(differences)
    if n <= ALL_FLIPS:
        signs = np.array(list(product((-1.0, 1.0), repeat=n)))
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(RESAMPLES, n))
    means = np.abs((signs * differences).mean(axis=1))
    return float(np.mean(means >= abs(differences.mean()) - 1e-9))


def paired(rows: Sequence[Row], method: str, name: str) -> dict[tuple[str, str], float]:
    """Return the product's figure minus a method's, for each person and session that both were tried on."""
    mine, other = figure(rows, FOLLOWING, name), figure(rows, method, name)
    return {key: mine[key] - other[key] for key in mine if key in other}


def table(rows: Sequence[Row], judged: Sequence[str]) -> list[str]:
    """Return a Markdown table with one line for each method: means over units, the worst, the product's difference."""
    heads = ["method", "acc. / bal. / F1", "trimmed acc. / F1", "trials: acc. / bal. / F1"]
    heads.append("worst " + " / ".join(_short(name) for name in judged))
    for name in judged:
        heads += [f"{_short(name)} [95 %]", "product over it [95 %], p"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for method in dict.fromkeys(row.method for row in rows):
        cells = [method]
        for names in (WINDOWS[:3], WINDOWS[3:], TRIALS):
            cells.append(" / ".join(f"{over_units(figure(rows, method, name))[0].mean():.1f}" for name in names))
        cells.append(" / ".join(f"{min(figure(rows, method, name).values()):.1f}" for name in judged))
        for name in judged:
            units, _ = over_units(figure(rows, method, name))
            cells += [_with_interval(units), "" if method == FOLLOWING else _difference(rows, method, name)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def heading(rows: Sequence[Row]) -> str:
    """Return how many people, days, windows and trials a protocol was tried on, and what guessing gets."""
    mine = [row for row in rows if row.method == FOLLOWING]
    people = sorted({row.person for row in mine})
    windows, trials = (sum(int(row.values[name]) for row in mine) for name in ("windows", "trials"))
    chance = float(np.mean([row.values["chance"] for row in mine]))
    kind = over_units(figure(rows, FOLLOWING, "accuracy"))[1]
    return (
        f"{len(people)} people ({', '.join(people)}), {len(mine)} sessions, {windows} windows, {trials} trials, "
        f"chance {chance:.1f}; means and intervals over {kind}"
    )


def by_session(rows: Sequence[Row], judged: Sequence[str]) -> list[str]:
    """Return a Markdown table of the two judged figures of every method, a line for each person and session."""
    methods = list(dict.fromkeys(row.method for row in rows))
    lines = [f"| person, session | windows | {' | '.join(methods)} |", "|" + "---|" * (len(methods) + 2)]
    for who in dict.fromkeys((row.person, row.session) for row in rows):
        of = {row.method: row.values for row in rows if (row.person, row.session) == who}
        cells = [" / ".join(f"{of[m][name]:.1f}" for name in judged) if m in of else "" for m in methods]
        lines.append(f"| {', '.join(who)} | {next(iter(of.values()))['windows']:.0f} | {' | '.join(cells)} |")
    return lines


def losses(rows: Sequence[Row], judged: Sequence[str]) -> list[str]:
    """Return where the product is below a baseline: in a figure's mean, in its worst, or on single days."""
    found = []
    for method, name in product(BASELINES, judged):
        apart = paired(rows, method, name)
        if not apart:
            continue
        mean = float(over_units(apart)[0].mean())
        worst = min(figure(rows, FOLLOWING, name).values()) - min(figure(rows, method, name).values())
        below = {key: value for key, value in apart.items() if value < -NOISE}
        said = [f"{what} {value:+.1f}" for what, value in (("mean", mean), ("worst", worst)) if value < -NOISE]
        if below:
            key = min(below, key=lambda unit: below[unit])
            said.append(f"{len(below)} of {len(apart)} sessions, most {below[key]:+.1f} ({' '.join(key)})")
        if said:
            found.append(f"{method} in {_short(name)}: {', '.join(said)}")
    return found


def _short(name: str) -> str:
    short = name.replace("balanced_accuracy", "bal.").replace("accuracy", "acc.").replace("macro_f1", "F1")
    return short.replace("_", " ")


def _with_interval(units: Values, sign: str = "") -> str:
    low, high = interval(units)
    return f"{units.mean():{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def _difference(rows: Sequence[Row], method: str, name: str) -> str:
    apart = paired(rows, method, name)
    if not apart:
        return ""
    units, _ = over_units(apart)
    return f"{_with_interval(units, '+')}, {sign_flip_p(units):.2f}"
