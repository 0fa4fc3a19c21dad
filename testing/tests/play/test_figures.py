"""Figures of measured play: against values computed by hand, and the same as the browser's script computes."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from typing import Any

import pytest

from semg.errors import InvalidValueError
from semg.play.fitts import Trial, fitts_figures, sequence_figures
from semg.play.played import measure
from semg.play.reaction import Reaction, reaction_figures
from semg.settings import PROJECT_DIR
from testing.tests.conftest import skip_or_fail

RAW: dict[str, Any] = json.loads((PROJECT_DIR / "testing/tests/golden/play.json").read_text(encoding="utf-8"))
NAMES = ("fist", "point", "open", "flex", "rest")
FITTS: dict[str, Any] = {
    "kind": "fitts",
    "model_version": 2,
    "settings": {
        "targets": 7, "dwell_ms": RAW["dwell_ms"], "speed": 300, "limit_s": 20,
        "gestures": {"left": "fist", "right": "point", "up": "open", "down": "flex"},
    },
    "raw": {"sequences": RAW["sequences"]},
}  # fmt: skip
REACTION: dict[str, Any] = {
    "kind": "reaction",
    "model_version": 2,
    "settings": {"gestures": ["fist", "point"], "limit_s": 4},
    "raw": {"trials": RAW["trials"]},
}
SCRIPT = """
import { load } from "./scripts.mjs";
import { readFileSync } from "node:fs";
const raw = JSON.parse(readFileSync(process.argv[1], "utf8"));
const { fittsFigures } = await load("ui/play/fitts.js", "fittsFigures");
const { reactionFigures } = await load("ui/play/reaction.js", "reactionFigures");
console.log(JSON.stringify([fittsFigures(raw.sequences, raw.dwell_ms), reactionFigures(raw.trials)]));
"""


def moved(off: float, *, ms: float = 1000.0, travelled: float = 125.0, selected: bool = True) -> Trial:
    """A movement of 100 to the right that ends ``off`` the target's centre."""
    return Trial(
        origin=(0, 0), target=(100, 0), start=(0, 0), end=(100 + off, 7), ms=ms, travelled=travelled, overshoots=1,
        selected=selected,
    )  # fmt: skip


def test_throughput_is_that_of_an_example_worked_by_hand() -> None:
    # SD of -10, -5, 0, 0, 5, 10 is sqrt(250 / 5) = 7.0711; We = 4.133 SD = 29.2247; Ae = 100;
    # IDe = log2(100 / 29.2247 + 1) = log2(4.42176) = 2.14463; movement time 0.8 s, so 2.68078 bits/s.
    trials = [
        moved(off, ms=ms) for off, ms in zip((-10, -5, 0, 0, 5, 10), (600, 700, 800, 800, 900, 1000), strict=True)
    ]
    found = sequence_figures(100, 20, trials)
    assert found.effective_width == pytest.approx(29.2247, abs=1e-4)
    assert found.effective_amplitude == pytest.approx(100)
    assert found.effective_index == pytest.approx(2.14463, abs=1e-5)
    assert found.throughput == pytest.approx(2.68078, abs=1e-4)
    assert found.index == pytest.approx(math.log2(6))
    assert (found.trials, found.errors) == (6, 2), "12.2 and 12.2 from the centre are outside of a width of 20"


def test_a_test_is_the_mean_of_its_sequences_and_time_outs_are_errors() -> None:
    first = [moved(off) for off in (-10, -5, 0, 0, 5, 10)]
    second = [moved(off, ms=2000, travelled=250) for off in (-10, -5, 0, 0, 5, 10)]
    found = fitts_figures([(100, 40, first), (100, 40, [*second, moved(-60, selected=False)])])
    assert found.throughput == pytest.approx((2.14463 + 2.14463 / 2) / 2, abs=1e-5)
    assert found.error_rate == pytest.approx(1 / 13)
    straight = [math.hypot(100 + off, 7) for off in (-10, -5, 0, 0, 5, 10)]
    assert found.path_efficiency == pytest.approx(sum(s / 125 + s / 250 for s in straight) / 12)
    assert (found.overshoots, found.movement_s) == (1, 1.5)


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([moved(off) for off in (-5, 0, 5, 10)], "had 4 selections, and 5 are needed"),
        ([moved(off, selected=off < 0) for off in (-5, -4, -3, 0, 5, 10)], "had 3 selections"),
        ([moved(-100) for _ in range(6)], "no movement"),
        ([moved(0) for _ in range(6)], "no movement"),
        ([moved(off, ms=0) for off in (-10, -5, 0, 5, 10)], "no movement"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(trials: list[Trial], said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        fitts_figures([(100, 20, trials)])


def test_quartiles_of_reactions_are_those_worked_by_hand() -> None:
    times = (400, 500, 600, 700, 1000, 900)  # in order: quartiles at 1.25, 2.5 and 3.75
    trials = [Reaction(gesture="fist", foreperiod_ms=2000, ms=ms, first="fist", early=0) for ms in times]
    trials.append(Reaction(gesture="fist", foreperiod_ms=2000, ms=None, first="point", early=2))
    found = reaction_figures(trials)
    assert (found.q1_ms, found.median_ms, found.q3_ms, found.iqr_ms) == (525, 650, 850, 325)
    assert (found.trials, found.answered, found.missed, found.wrong_first, found.early) == (7, 6, 1, 1, 2)
    with pytest.raises(InvalidValueError, match="at least 5 prompts: there were 4"):
        reaction_figures(trials[:4])
    nothing = reaction_figures([Reaction(gesture="fist", foreperiod_ms=1, ms=None, first=None, early=0)] * 5)
    assert (nothing.median_ms, nothing.iqr_ms, nothing.missed) == (None, None, 5)


def test_browser_computes_the_same_of_the_same_selections() -> None:
    node = shutil.which("node")
    if node is None:
        skip_or_fail("node is not there")
    golden = PROJECT_DIR / "testing/tests/golden/play.json"
    run = subprocess.run(
        [str(node), "--input-type=module", "-e", SCRIPT, str(golden)],
        cwd=PROJECT_DIR / "testing/javascript", capture_output=True, text=True, check=True,
    )  # fmt: skip
    fitts, reaction = json.loads(run.stdout)
    here = json.loads(json.dumps([measure(FITTS, NAMES).result, measure(REACTION, NAMES).result]))
    assert flat(fitts) == pytest.approx(flat(here[0]), rel=1e-9)
    assert flat(reaction) == pytest.approx(flat(here[1]), rel=1e-9)
    assert here[0]["sequences"][1]["errors"] >= 1, "one was too late"


def flat(document: Any, name: str = "") -> dict[str, Any]:
    if isinstance(document, dict):
        return {k: v for key, value in document.items() for k, v in flat(value, f"{name}.{key}").items()}
    if isinstance(document, list):
        return {k: v for i, value in enumerate(document) for k, v in flat(value, f"{name}.{i}").items()}
    return {name: document}


def changed(report: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    made = json.loads(json.dumps(report))
    at: Any = made
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in steps:
        at = at[step]
    at[last] = value
    return made


@pytest.mark.parametrize(
    ("report", "path", "value"),
    [
        (FITTS, "kind", "chess"),
        (FITTS, "model_version", 0),
        (FITTS, "model_version", True),
        (FITTS, "settings.gestures.left", "nobody's"),
        (FITTS, "settings.speed", float("nan")),
        (FITTS, "raw.sequences", []),
        (FITTS, "raw.sequences", FITTS["raw"]["sequences"] * 5),
        (FITTS, "raw.sequences.0.trials", FITTS["raw"]["sequences"][0]["trials"] * 2),
        (FITTS, "raw.sequences.0.trials.0.end", [0, 1e9]),
        (FITTS, "raw.sequences.0.trials.0.end", "0,0"),
        (FITTS, "raw.sequences.0.trials.0.travelled", 1),
        (FITTS, "raw.sequences.0.trials.0.selected", 1),
        (FITTS, "raw.sequences.0.trials.0.overshoots", 1.5),
        (FITTS, "raw.sequences.0.trials.0.origin", FITTS["raw"]["sequences"][0]["trials"][0]["target"]),
        (REACTION, "raw.trials", REACTION["raw"]["trials"] * 9),
        (REACTION, "raw.trials.0.gesture", "open"),
        (REACTION, "raw.trials.0.ms", -1),
        (REACTION, "raw.trials.0.ms", 10**400),
        (REACTION, "raw.trials.0.ms", math.nan),
    ],
)
def test_what_no_page_sends_is_refused(report: dict[str, Any], path: str, value: Any) -> None:
    with pytest.raises(InvalidValueError):
        measure(changed(report, path, value), NAMES)


def test_of_what_is_sent_only_what_is_known_is_kept() -> None:
    played = measure(FITTS | {"note": "x" * 100, "settings": FITTS["settings"] | {"note": "x"}}, NAMES)
    assert "x" not in played.settings
    assert set(played.settings) == {"targets", "dwell_ms", "speed", "limit_s", "gestures"}
    first = played.raw["sequences"][0]["trials"][0]
    assert first["ms"] == RAW["sequences"][0]["trials"][0]["ms"] - RAW["dwell_ms"], "the dwell time is not movement"
