"""A stream's judgement in plain words, with its figures by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semg.domain import Device
from semg.ingest.stream_health import judge_stream
from semg.ingest.stream_verdict import signal_verdict, stream_verdict
from semg.signals.held_samples import HeldSamples
from semg.signals.quality import ChannelQuality
from semg.wire.stream_status import DecidedStatus, ReceivedStatus

DEVICE = Device(21, channels=("a0", "a1"), rate_hz=200.0)
GOOD = ReceivedStatus(
    age_s=0.1,
    seconds=10.0,
    datagrams=2000,
    samples=2000,
    long_s=60.0,
    runs=1,
    segments=1,
    low=100.0,
    high=900.0,
    channels=2,
)


@pytest.mark.parametrize(
    ("changes", "level", "sentence", "step"),
    [
        ({}, "good", "Dr. Ada's stream is good.", ""),
        ({"missing": 400, "samples": 1600}, "do not use", "20.0% of Dr. Ada's samples are lost in transit.",
         "Check the Wi-Fi."),
        ({"runs": 21}, "usable", "gaps a minute, and a window cannot span a gap.", "Check the Wi-Fi."),
        ({"segments": 30}, "do not use", "29 times in the last 60 s.", "Check its power supply."),
        ({"samples": 900}, "do not use", "sends 90 samples/s, but 200 is set.",
         "Change the rate in the device's sketch or on the Profiles page."),
        ({"high": 70_000.0}, "do not use", "that is set.", "Correct the range on the Profiles page."),
        ({"lead_off": 2}, "do not use", "reports no contact at a1.", "Press the electrodes on, or replace them."),
        ({"battery_percent": 9}, "usable", "is at 9 %.", "Charge it soon."),
        ({"refused": {"second_sender": 2000}}, "do not use", "only the first one is accepted.",
         "Give each its own number, or switch one off."),
        ({"refused": {"bad_tag": 2000}}, "do not use", "not signed with the board's key.", ""),
        ({"datagrams": 0, "samples": 0}, "unknown", "No data is arriving for Dr. Ada at the moment.",
         "Switch the device on, and check its Wi-Fi."),
    ],
)  # fmt: skip
def test_judgement_is_told_as_reason_and_next_step(
    changes: dict[str, object], level: str, sentence: str, step: str
) -> None:
    health = judge_stream("Dr. Ada", DEVICE, replace(GOOD, **changes))  # type: ignore[arg-type]
    verdict = stream_verdict(health)
    assert (verdict.level, verdict.next_step, verdict.code) == (level, step, health.code)
    assert verdict.sentence.endswith(sentence)
    assert f"{verdict.sentence} {verdict.next_step}".strip() == health.sentence


def test_a_loss_is_named_when_it_begins() -> None:
    begun = replace(GOOD, samples=1960, missing=40, recent_samples=560, recent_missing=40)  # 2 s of 10 %
    health = judge_stream("Ada", DEVICE, begun)
    assert (health.level, health.code) == ("bad", "lost")
    assert health.sentence == "6.7% of Ada's samples are lost in transit. Check the Wi-Fi."
    slower = replace(GOOD, samples=1000, missing=0, runs=60, recent_samples=300, recent_missing=20)
    assert judge_stream("Ada", DEVICE, slower).code == "rate", "what a slow device never sent is not lost"


def test_faults_at_the_same_time_are_all_named() -> None:
    lossy = {"missing": 400, "samples": 1600}
    health = judge_stream("Ada", DEVICE, replace(GOOD, lead_off=2, battery_percent=9, **lossy))  # type: ignore[arg-type]
    assert (health.level, health.code) == ("bad", "lead_off")
    for part in ("no contact at a1", "20.0% of Ada's samples are lost", "at 9 %", "Check the Wi-Fi."):
        assert part in health.sentence
    assert stream_verdict(health).next_step == "Press the electrodes on, or replace them."
    assert "Press the electrodes on" not in stream_verdict(health).sentence


def test_no_window_is_explained_by_the_loss_that_prevents_it() -> None:
    none = DecidedStatus(seconds=10.0)
    lossy = replace(GOOD, missing=1000, samples=1000)
    assert judge_stream("Ada", DEVICE, lossy, none, active_s=60.0).code == "lost"
    assert judge_stream("Ada", DEVICE, replace(GOOD, runs=300), none, active_s=60.0).code == "gaps"
    assert judge_stream("Ada", DEVICE, GOOD, none, active_s=60.0).code == "no_windows"


def test_figures_have_names_and_are_those_of_the_line() -> None:
    health = judge_stream("Ada", DEVICE, GOOD)
    assert [one.name for one in health.measured] == ["Rate", "Loss", "Refused", "Gaps", "Restarts"]
    assert health.figures == "200 samples/s · 0.0% lost · 0% refused · 0 gaps/min · 0 restarts/min"
    assert all(one.meaning for one in health.measured)


def channel(name: str, level: str, reason: str) -> ChannelQuality:
    return ChannelQuality(channel=name, level=level, reason=reason, rms=1.0, saturated=0.0, hum=0.0)  # type: ignore[arg-type]


def test_signal_is_as_bad_as_its_worst_channel_or_its_stream() -> None:
    good = judge_stream("Ada", DEVICE, GOOD)
    lossy = judge_stream("Ada", DEVICE, replace(GOOD, missing=400, samples=1600))
    clean = [channel("a0", "good", "good"), channel("a1", "good", "good")]
    hum = [
        channel("a0", "fair", "clipped 0.3% of the time"),
        channel("a1", "bad", "mains hum is 90% of the signal: check"),
    ]
    assert signal_verdict(good, clean).text == "Good. All 2 channels are clean."
    assert signal_verdict(good, hum).text == (
        "Do not use. Channel a1: mains hum is 90% of the signal. Check skin contact and ground."
    )
    assert signal_verdict(lossy, clean).code == "lost"
    assert signal_verdict(lossy, hum).text == (
        "Do not use. 20.0% of Ada's samples are lost in transit. Channel a1: mains hum is 90% of the signal. "
        "Check the Wi-Fi. Check skin contact and ground."
    )
    some = judge_stream("Ada", DEVICE, replace(GOOD, missing=60, samples=1940))
    assert signal_verdict(some, hum).text.startswith("Do not use. Channel a1: mains hum is 90% of the signal. 3.0% of")
    assert signal_verdict(None, clean).level == "good"
    assert signal_verdict(None, []).level == "unknown"
    named = [one.name for one in signal_verdict(good, clean).figures]
    assert named == ["Rate", "Loss", "Refused", "Gaps", "Restarts", "a0", "a1"]


def test_samples_that_are_sent_again_are_said_with_what_to_do() -> None:
    good, lossy = (
        judge_stream("Ada", DEVICE, GOOD),
        judge_stream("Ada", DEVICE, replace(GOOD, missing=60, samples=1940)),
    )
    clean = [channel("a0", "good", "good"), channel("a1", "good", "good")]
    flat = [channel(name, "bad", "flat: the electrode or its wire is off") for name in ("a0", "a1")]
    again = HeldSamples(0.5, 0.0, 0.0, 3.0)
    assert signal_verdict(good, clean, HeldSamples(0.0, 0.0, 0.0, 3.0)) == signal_verdict(good, clean)
    assert signal_verdict(good, clean, again).code == "repeated"
    assert signal_verdict(good, clean, again).text == (
        "Do not use. The device sends samples again: 50% of the samples repeat the one before. Send each sample once, "
        "and set the rate at which the converter really measures."
    )
    assert [one.name for one in signal_verdict(good, (), again).figures][:2] == ["Rate", "Loss"]
    stalled = signal_verdict(good, clean, HeldSamples(0.05, 0.2, 0.15, 3.0))
    assert (stalled.level, stalled.code) == ("usable", "held")
    assert "all channels stand still for up to 0.15 s" in stalled.sentence
    assert "lost in transit" in signal_verdict(lossy, clean, again).sentence
    all_still = signal_verdict(good, flat, HeldSamples(1.0, 3.0, 3.0, 3.0))
    assert (all_still.code, "flat" in all_still.sentence) == ("held", False)
    assert "Channel a1: flat" in signal_verdict(good, [clean[0], flat[1]], again).sentence


def test_a_wrong_range_is_not_also_called_saturated_channels() -> None:
    health = judge_stream("Ada", DEVICE, replace(GOOD, high=70_000.0))
    beyond = [channel(name, "bad", "saturated 35% of the time: lower the gain") for name in ("a0", "a1")]
    said = signal_verdict(health, beyond)
    assert (said.sentence, said.next_step) == (
        stream_verdict(health).sentence,
        "Correct the range on the Profiles page.",
    )
    flat = channel("a1", "bad", "flat: check the electrode")
    assert "Channel a1: flat." in signal_verdict(health, [beyond[0], flat]).sentence
