"""Recognition on real recordings of several sensors, with the plain methods on the same windows in the same run.

``python testing/benchmarks/recognition.py --recordings DIR`` runs every protocol on every data set that it finds,
prints a table for each, and at the end, for each set, one line that says where the product is below a baseline. People
that methods were chosen on (``tuned``) and those that only report stand apart. The sets: ``recognition_sets.py``; how
sessions are divided: ``recognition_protocols.py``; how figures are summarised: ``recognition_tables.py``.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import fire
import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.errors import SemgError
from semg.priors.building import make_base
from semg.signals.training.population_prior import PopulationPrior
from testing.benchmarks.recognition_protocols import PROTOCOLS, Row, Setting
from testing.benchmarks.recognition_sets import DATA_SETS, DataSet, Person, named, people_of
from testing.benchmarks.recognition_tables import by_session, heading, losses, table


def main(
    recordings: str,
    set: str = "all",  # noqa: A002 - the option's name
    protocol: str | tuple[str, ...] = "all",
    only: str = "all",
    people: int = 0,
    seed: int = 0,
    rows: str = "",
) -> None:
    """Print a table for each data set, group of people and protocol; figures in percent.

    Parameters
    ----------
    recordings
        Folder of the data sets' files.
    set, protocol
        Which of them, comma separated.
    only
        tuned, reported or all.
    people
        No more than this many of each group; 0 for all.
    seed
        Of everything random in the trainings.
    rows
        A file that every finished person's figures are added to, as JSON lines. What it holds already for the same set,
        protocol, person and seed is taken from it: an interrupted run goes on, another table costs nothing. Start a new
        one after every change of the product.
    """
    sets = [each for each in DATA_SETS if each.name in named(set, [d.name for d in DATA_SETS], "--set")]
    protocols = named(protocol, PROTOCOLS, "--protocol")
    folder, kept = Path(recordings), Kept(Path(rows) if rows else None)
    started, said = time.perf_counter(), []
    try:
        for data_set in sets:
            everybody = people_of(data_set, folder)
            for group in ("tuned", "reported") if only == "all" else (only,):
                chosen = people_of(data_set, folder, group)[: people or None]
                if chosen:
                    lost = _measure(data_set, group, chosen, everybody, protocols, seed, kept)
                    said.append(
                        f"{data_set.name}, {group}: " + ("; ".join(lost) or "the product is below no baseline.")
                    )
    except SemgError as exc:
        sys.exit(str(exc))
    if not said:
        sys.exit(f"No recordings of {', '.join(d.name for d in sets)} in {folder}: give their folder.")
    print("\n## Where the product is below a baseline\n" + "\n".join(f"- {line}" for line in said))
    print(f"\ntook {(time.perf_counter() - started) / 60:.1f} minutes")


class Kept:
    """The figures that a file of JSON lines holds; without a file those of this run only."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._rows = path, dict[str, list[Row]]()
        for line in path.read_text(encoding="utf-8").splitlines() if path and path.exists() else ():
            held = json.loads(line)
            self._rows[held["key"]] = [Row(**row) for row in held["rows"]]

    def find(self, key: str) -> list[Row] | None:
        """Return the rows of a key, or None."""
        return self._rows.get(key)

    def add(self, key: str, rows: list[Row]) -> None:
        """Keep the rows of a key."""
        self._rows[key] = rows
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "rows": [asdict(row) for row in rows]}) + "\n")


def _measure(
    data_set: DataSet,
    group: str,
    chosen: list[Person],
    everybody: list[Person],
    protocols: list[str],
    seed: int,
    kept: Kept,
) -> list[str]:
    """Run the protocols, print their tables, and return where the product is below a baseline."""
    print(f"\n## {data_set.name}, {group}: {data_set.what}, {data_set.rate_hz:g} Hz")
    base: PopulationPrior | None = None
    lost = []
    for protocol in protocols:
        found: list[Row] = []
        for person in chosen:
            key = f"{data_set.name} {protocol} {person.name} {seed}"
            made = kept.find(key)
            if made is None:
                if protocol == "1-repetition" and base is None:
                    base = make_base("everybody else", {one.name: one.everything for one in everybody})
                made = list(PROTOCOLS[protocol](person, Setting(seed, base)))
                kept.add(key, made)
            found += made
        if not found:
            continue
        print(f"\n### {data_set.name}, {group}: {protocol}\n{heading(found)}\n")
        print("\n".join([*table(found, data_set.judged), "", *by_session(found, data_set.judged)]), flush=True)
        for name, what in (
            ("moved", "accuracy moved by the turns of the band"),
            ("reported_minus_honest", "own reported minus honest accuracy"),
            ("training_s", "seconds of training until active"),
        ):
            if values := [row.values[name] for row in found if name in row.values]:
                print(f"\n{what}: mean {np.mean(values):+.1f}, most {max(values):+.1f}")
        lost += [f"{protocol}: {line}" for line in losses(found, data_set.judged)]
    return lost


if __name__ == "__main__":
    fire.Fire(main)
