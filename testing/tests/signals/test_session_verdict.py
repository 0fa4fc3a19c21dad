"""A session's stored quality in plain words."""

from __future__ import annotations

import numpy as np
import pytest

from semg.signals.repetition_quality import RepetitionQuality, judge_session
from semg.signals.session_verdict import judge_recorded
from semg.verdicts import Verdict, worst

CHANNELS = ("a1", "a10", "a3")
FLAT = "a3: flat: the electrode or its wire is off"


@pytest.mark.parametrize(
    ("level", "reason", "text"),
    [
        ("good", "40 of 40 intervals are good", "Good. All 3 channels are clean."),
        ("good", "38 of 40 intervals are good", "Good. 38 of 40 intervals are clean."),
        ("fair", f"5 of 40 intervals: {FLAT}",
         "Usable. Channel a3 was loose in 12 % of the intervals. Consider leaving it out, or press the electrode on "
         "and record again."),
        ("bad", "40 of 40 intervals: a10: mains hum is 80% of the signal: check skin contact and ground",
         "Do not use. Channel a10 had mains hum in every interval. Check skin contact and ground."),
        ("fair", "4 of 40 intervals: as quiet as rest: was it performed?",
         "Usable. The muscles were as quiet as at rest in 10 % of the intervals. Leave out what was not performed."),
        ("bad", "20 of 40 intervals: no samples",
         "Do not use. No samples are stored in 50 % of the intervals. The device was not streaming: leave these out."),
        ("bad", "9 of 40 intervals: 7.0% of the samples are lost in transit",
         "Do not use. Samples were lost in transit in 22 % of the intervals (7.0% in one of them). Check the Wi-Fi "
         "before the next session."),
        ("fair", "9 of 40 intervals: 189 samples/s, the device is set to 200",
         "Usable. The rate was wrong in 22 % of the intervals: 189 samples/s, the device is set to 200. Correct the "
         "rate on the Profiles page, and record again."),
        ("bad", "9 of 40 intervals: 50% of the samples repeat the one before",
         "Do not use. Samples were sent twice in 22 % of the intervals (50% repeat the one before in one of them). "
         "Send each sample once, set the converter's real rate, and record again."),
        ("fair", "5 of 40 intervals: all channels stand still for up to 0.35 s",
         "Usable. All channels stood still in 12 % of the intervals (up to 0.35 s in one of them). Leave these out, "
         "and check the converter and the sending program."),
        ("fair", "5 of 40 intervals: a10: stands still now and then while others move",
         "Usable. Channel a10 stood still now and then in 12 % of the intervals. Check its wire and how the converter "
         "is read, or leave it out."),
        ("fair", "nothing is labelled",
         "Usable. Nothing is labelled in this session. Label it on the Review page, or leave it out."),
        ("fair", "something new", "Usable. Something new."),
    ],
)  # fmt: skip
def test_stored_quality_is_told_in_words(level: str, reason: str, text: str) -> None:
    assert judge_recorded((level, reason), CHANNELS).text == text


def test_session_that_is_not_judged_yet_is_not_known() -> None:
    assert judge_recorded(None, CHANNELS).level == "unknown"


def test_what_the_judge_says_today_is_understood() -> None:
    """Each reason of ``judge_session`` leads to a code of its own; an unknown one would be ``other``."""
    found = [RepetitionQuality("fist", "good", "good", np.ones(3))] * 8
    bad = [RepetitionQuality("fist", "bad", FLAT, np.zeros(3))] * 2
    assert judge_recorded(judge_session(found), CHANNELS).code == "good"
    assert judge_recorded(judge_session(found + bad), CHANNELS).code == "loose"
    assert judge_recorded(judge_session([]), CHANNELS).code == "unlabelled"


def test_figures_count_intervals_and_name_the_channels() -> None:
    stored = {1: ("good", "good"), 2: ("bad", FLAT), 3: ("fair", "a10: noisy in quiet moments"), 4: ("bad", FLAT)}
    figures = judge_recorded(("bad", f"2 of 4 intervals: {FLAT}"), CHANNELS, stored).figures
    assert [(one.name, one.value) for one in figures] == [
        ("Intervals", "4"), ("Clean intervals", "1 of 4"), ("Bad intervals", "2 of 4"),
        ("Channel a3", "2 of 4"), ("Channel a10", "1 of 4"),
    ]  # fmt: skip


def test_worst_verdict_is_found() -> None:
    good, usable, bad = (Verdict(level, "") for level in ("good", "usable", "do not use"))
    assert worst(good, usable, bad) is bad
    assert worst(good, usable, Verdict("unknown", "")) is usable
