"""Assess whether a profile's stream is fit for recognition, once for all pages and programs that show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from semg.domain import MAX_CHANNELS, Device
from semg.ingest.stream_figures import GAPS_BAD, GAPS_FAIR, LOSS_BAD, LOSS_FAIR, STARTS_BAD, loss, missing
from semg.ingest.stream_figures import figures as stream_figures
from semg.verdicts import Figure
from semg.wire.stream_status import DecidedStatus, ReceivedStatus
from semg.words import counted

HealthLevel = Literal["good", "fair", "bad", "silent"]
FixKind = Literal["range", "rate", "channels", "allow_v1"]

FRESH_S = 3.5
"""A sender last received longer ago is silent: it is reported every two seconds."""
MEASURED_S = 3.0
"""Shorter measurements say nothing about a rate."""
DECIDED_S = 5.0
"""Maximum time until the first decision of a good stream."""
ACTIVATED_S = 15.0
"""Maximum time from the activation of a profile's first version until its decisions are reported.

Measured on two cores at load 11: 2.2 s, 4.6 s, 6.7 s.
"""
RATE_FAIR, RATE_BAD = 0.03, 0.15

RANGES = (
    (0, 1023), (0, 4095), (0, 16_383), (0, 65_535), (-128, 127), (-2048, 2047), (-32_768, 32_767),
    (-8_388_608, 8_388_607),
)  # fmt: skip
"""Value ranges of common converters, the likeliest first."""

REFUSALS = {
    "ok": "accepted",
    "unknown_profile": "no profile has this number",
    "v1_not_allowed": "the profile does not accept the plain text format (v1): allow it, or use a board with a key",
    "v1_network": "the plain text format (v1) is not accepted from this network (setting V1_NETWORKS)",
    "rate_limited": "it sends far more samples than its rate allows, or only datagrams that are refused",
    "second_sender": "another device is already sending for this profile: give each device its own number",
    "channel_count": "the number of channels differs from that of the profile's device",
    "json": "JSON was received; send one line userid,millis,a0,a1,… per sample",
    "field_count": "expected userid,millis and 1 to 16 values, separated by commas",
    "lines_differ": "the lines of one datagram name different profiles, or have different numbers of values",
    "not_integer": "userid and millis must be whole numbers without a sign",
    "not_number": "a value is not a number, or is missing",
    "not_text": "the datagram is neither text nor of the binary format",
    "value_range": "a value is outside ±16,777,216",
    "time_range": "millis is too large: it would be a time after the year 2100",
    "time_unit": "millis advances 1,000 times too fast: is it in microseconds? Send milliseconds",
    "time_jump": "the time jumps back and forth: millis is not a clock, or two devices use the same number",
    "time_stands": "millis hardly advances: is it in seconds, or always the same? Send milliseconds",
    "no_consent": "the person's consent to the recording is missing or was withdrawn",
    "too_long": "the datagram is longer than 1,400 bytes",
    "empty": "the datagram is empty",
    "duplicate": "the same sample comes again and again",
    "unknown_board": "no board has this number, or its key was revoked",
    "bad_tag": "not signed with the board's key",
    "unassigned_board": "the board is not assigned to a profile",
    "replayed": "replayed: from an earlier start of the board, or too old to verify",
    "v2_size": "the binary datagram's length is not what its header says",
    "v2_magic": "not version 2 of the binary format",
    "v2_range": "the sample period or the clock is out of range",
}
"""Descriptions of refused datagrams and samples, by drop code."""

BATTERY_LOW_PERCENT = 15
"""As the sketch has it."""

_WORDS = {
    "good": "good", "silent": "silent", "rate": "wrong rate", "lost": "samples are lost", "starts": "keeps restarting",
    "gaps": "many gaps", "range": "wrong range", "no_windows": "no complete window", "no_decisions": "no decisions",
    "second_sender": "two devices, one number", "time_unit": "microseconds?", "time_stands": "time does not advance",
    "time_jump": "time jumps", "channel_count": "wrong number of channels", "duplicate": "samples are repeated",
    "lead_off": "no contact", "battery": "battery is low",
    "v1_not_allowed": "text is not allowed", "no_consent": "no consent", "rate_limited": "sends too much",
}  # fmt: skip
_STEPS = {
    "starts": "Check its power supply.",
    "rate": "Change the rate in the device's sketch or on the Profiles page.",
    "range": "Correct the range on the Profiles page.",
    "lead_off": "Press the electrodes on, or replace them.",
    "battery": "Charge it soon.",
    "no_windows": "See the services on the Overview page.",
    "no_decisions": "See the services on the Overview page.",
    "lost": "Check the Wi-Fi.",
    "gaps": "Check the Wi-Fi.",
    "time_unit": "Send millis(), or micros() / 1000.",
    "time_stands": "Send milliseconds.",
    "second_sender": "Give each its own number, or switch one off.",
    "v1_not_allowed": "Allow it, or use a board with a key.",
    "silent": "Switch the device on, and check its Wi-Fi.",
}
"""The ends of the sentences: what to do."""
_TIMES = ("time_unit", "time_stands", "time_jump")


@dataclass(frozen=True, slots=True)
class Fix:
    """A change of the device that would make the stream fit: new values of its fields."""

    kind: FixKind
    values: Mapping[str, float | bool | tuple[str, ...]]
    label: str


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """The assessment of a stream.

    Attributes
    ----------
    code
        The deciding criterion: ``good``, ``silent``, ``rate``, ``lost``, ``starts``, ``gaps``, ``range``,
        ``no_windows``, ``no_decisions``, or the drop code of a refusal.
    sentence
        What is wrong and what to do; for a good stream, that it is good.
    figures
        Rate, shares and counts, in one line; empty when nothing came.
    blocks
        Whether a recording of the stream would be of no use.
    fix
        What would mend it, where that is known.
    measured
        The figures, each with its name and meaning.
    """

    level: HealthLevel
    code: str
    sentence: str
    figures: str = ""
    blocks: bool = False
    fix: Fix | None = None
    measured: tuple[Figure, ...] = ()

    @property
    def word(self) -> str:
        """The assessment in a few words."""
        return _WORDS.get(self.code, "refused")

    @property
    def next_step(self) -> str:
        """What to do: the end of the sentence, where it is one of its own."""
        step = _STEPS.get(self.code, "")
        return step if self.sentence.endswith(step) else ""


def refusal(reason: str) -> str:
    """Say why datagrams of a sender are not accepted."""
    return REFUSALS.get(reason, reason.replace("_", " ") or "nothing known")


def judge_stream(
    name: str,
    device: Device,
    received: ReceivedStatus | None,
    decided: DecidedStatus | None = None,
    *,
    active_s: float | None = None,
) -> StreamHealth:
    """Judge what came for a profile in the last seconds.

    Parameters
    ----------
    name
        The profile's name, for the sentences.
    received, decided
        What the services report; None when they report nothing of the profile.
    active_s
        How long a version of its model has been active; None without one. Windows and decisions are expected after a
        while.
    """
    if received is None or received.age_s > FRESH_S or not (received.datagrams or received.samples):
        return StreamHealth(
            "silent", "silent", f"No data is arriving for {name} at the moment. {_STEPS['silent']}", blocks=True
        )
    judged = (
        _judge_refused(name, device, received)
        or _judge_time(name, device, received)
        or _judge_range(name, device, received)
        or _together(
            _judge_contact(name, device, received),
            _judge_loss(name, device, received),
            _judge_decided(name, received, decided or DecidedStatus(), active_s),
            _judge_battery(name, received),
        )
        or StreamHealth("good", "good", f"{name}'s stream is good.")
    )
    measured = stream_figures(device, received, decided if active_s is not None else None)
    figures = " · ".join(one.value for one in measured)
    return StreamHealth(judged.level, judged.code, judged.sentence, figures, judged.blocks, judged.fix, measured)


def _together(*found: StreamHealth | None) -> StreamHealth | None:
    """Return the worst of what is wrong, of equals the first, whose sentence names the others as well.

    That no window is complete is named where nothing else explains it; many gaps do.
    """
    wrong = [one for one in found if one is not None]
    if any(one.code in ("lost", "gaps") and one.level == "bad" for one in wrong):
        wrong = [one for one in wrong if one.code != "no_windows"]
    if not wrong:
        return None
    worst = next((one for one in wrong if one.level == "bad"), wrong[0])
    reason = worst.sentence.removesuffix(worst.next_step).strip()
    others = [one.sentence for one in wrong if one is not worst]
    return replace(worst, sentence=" ".join([reason, *others, worst.next_step]).strip())


def suggested_range(low: float, high: float) -> tuple[float, float]:
    """Return the range of a common converter that holds two values; else one of their own with some room."""
    for least, most in RANGES:
        if least <= low and high <= most:
            return float(least), float(most)
    room = 0.1 * max(high - low, 1.0)
    return float(low - room), float(high + room)


def _judge_refused(name: str, device: Device, received: ReceivedStatus) -> StreamHealth | None:
    n_refused = sum(received.refused.values())
    if not n_refused:
        return None
    reason = max(received.refused, key=received.refused.__getitem__)
    share = n_refused / (n_refused + received.samples)
    if share < LOSS_FAIR:
        return None
    sentence, fix = _refusal_of(name, device, received, reason)
    if not received.samples:
        return StreamHealth("bad", reason, f"Nothing is accepted for {name}: {sentence}", blocks=True, fix=fix)
    blocks = reason in ("second_sender", *_TIMES) and share > LOSS_BAD
    level: HealthLevel = "bad" if blocks or share > LOSS_BAD else "fair"
    said = f"{share:.0%} of the data sent for {name} is refused: {sentence}"
    return StreamHealth(level, reason, said, "", blocks, fix)


def _refusal_of(name: str, device: Device, received: ReceivedStatus, reason: str) -> tuple[str, Fix | None]:
    """Return why samples of a profile are refused, as a sentence's end, and what would mend it."""
    period_ms = 1000 / device.rate_hz
    if reason == "channel_count":
        sent, own = received.channels, device.n_channels
        return (
            f"the device sends {counted(sent, 'channel')}, but {own} {'is' if own == 1 else 'are'} set. List "
            f"{counted(sent, 'channel')} on the Profiles page."
        ), _set_channels(device, sent)
    if reason == "time_unit":
        return (
            f"millis advances by about {1000 * period_ms:,.0f} per sample instead of {period_ms:g}; is it in "
            "microseconds? Send millis(), or micros() / 1000."
        ), None
    if reason == "time_stands":
        return (
            f"millis hardly advances, although steps of {period_ms:g} are expected; is it in seconds? Send "
            "milliseconds."
        ), None
    if reason == "second_sender":
        return (
            f"two devices send for {name}, and only the first one is accepted. Give each its own number, or switch "
            "one off."
        ), None
    if reason == "v1_not_allowed":
        allow = Fix("allow_v1", {"allow_v1": True}, "Accept the plain text format")
        return f"{name} does not accept the plain text format (v1). Allow it, or use a board with a key.", allow
    return f"{refusal(reason)}.", None


def _set_channels(device: Device, sent: int) -> Fix | None:
    """Return the change to as many channels as are sent: the first names stay, new ones are those of a new profile."""
    if not 1 <= sent <= MAX_CHANNELS:
        return None
    kept = list(device.channels[:sent])
    free = (name for name in (f"a{number}" for number in range(2 * MAX_CHANNELS)) if name not in kept)
    kept += [next(free) for _ in range(sent - len(kept))]
    return Fix("channels", {"channels": tuple(kept)}, f"Set {counted(sent, 'channel')}")


def _judge_time(name: str, device: Device, received: ReceivedStatus) -> StreamHealth | None:
    starts = max(0, received.segments - 1)
    if starts * 60 / max(received.long_s, 10.0) >= STARTS_BAD:
        return StreamHealth(
            "bad", "starts",
            f"{name}'s device restarted, or its clock jumped, {'once' if starts == 1 else f'{starts} times'} in the "
            f"last {received.long_s:.0f} s. Check its power supply.",
            blocks=True,
        )  # fmt: skip
    if received.seconds < MEASURED_S:
        return None
    sent_hz = (received.samples + missing(device, received)) / received.seconds
    off = abs(sent_hz - device.rate_hz) / device.rate_hz
    if off <= RATE_FAIR:
        return None
    level: HealthLevel = "bad" if off > RATE_BAD else "fair"
    rate_hz = _likely_rate(sent_hz)
    fix = Fix("rate", {"rate_hz": rate_hz}, f"Set {rate_hz} samples/s") if 50 <= sent_hz <= 2000 else None
    return StreamHealth(
        level, "rate",
        f"{name}'s device sends {sent_hz:.0f} samples/s, but {device.rate_hz:g} is set. Change the rate in the "
        "device's sketch or on the Profiles page.",
        fix=fix if level == "bad" else None,
    )  # fmt: skip


def _likely_rate(sent_hz: float) -> int:
    """Return the round rate that a measured one is within 1 % of, or the measured one."""
    near = 50 * round(sent_hz / 50)
    return near if near and abs(sent_hz - near) <= 0.01 * near else round(sent_hz)


def _judge_range(name: str, device: Device, received: ReceivedStatus) -> StreamHealth | None:
    low, high = received.low, received.high
    if low is None or high is None or (device.adc_min <= low and high <= device.adc_max):
        return None
    least, most = suggested_range(low, high)
    return StreamHealth(
        "bad", "range",
        f"{name}'s values run from {low:g} to {high:g}, beyond the range {device.adc_min:g} to {device.adc_max:g} that "
        "is set. Correct the range on the Profiles page.",
        fix=Fix("range", {"adc_min": least, "adc_max": most}, f"Set the range {least:g} to {most:g}"),
    )  # fmt: skip


def _judge_contact(name: str, device: Device, received: ReceivedStatus) -> StreamHealth | None:
    off = [channel for number, channel in enumerate(device.channels) if received.lead_off >> number & 1]
    if not off:
        return None
    return StreamHealth(
        "bad", "lead_off",
        f"{name}'s board reports no contact at {', '.join(off)}. Press the electrodes on, or replace them.",
    )  # fmt: skip


def _judge_battery(name: str, received: ReceivedStatus) -> StreamHealth | None:
    if received.battery_percent is None or received.battery_percent > BATTERY_LOW_PERCENT:
        return None
    return StreamHealth(
        "fair", "battery", f"The battery of {name}'s board is at {received.battery_percent} %. Charge it soon."
    )


def _judge_decided(
    name: str, received: ReceivedStatus, decided: DecidedStatus, active_s: float | None
) -> StreamHealth | None:
    if active_s is None or active_s < ACTIVATED_S or received.seconds < DECIDED_S or decided.decisions:
        return None
    if not decided.windows:
        return StreamHealth(
            "bad", "no_windows",
            f"No complete window from {name}'s device: there are too many gaps or restarts, or the service "
            "nat_inference is not running. See the services on the Overview page.",
        )  # fmt: skip
    return StreamHealth(
        "bad", "no_decisions",
        f"{name}'s windows get no decision: the service api or the model is not working. See the services on the "
        "Overview page.",
    )  # fmt: skip


def _judge_loss(name: str, device: Device, received: ReceivedStatus) -> StreamHealth | None:
    lost = loss(device, received)
    gaps = max(0, received.runs - received.segments) * 60 / max(received.long_s, 10.0)
    if lost > LOSS_FAIR:
        level: HealthLevel = "bad" if lost > LOSS_BAD else "fair"
        return StreamHealth(level, "lost", f"{lost:.1%} of {name}'s samples are lost in transit. Check the Wi-Fi.")
    if gaps > GAPS_FAIR:
        level = "bad" if gaps > GAPS_BAD else "fair"
        return StreamHealth(
            level, "gaps",
            f"{name}'s stream has {gaps:.0f} gaps a minute, and a window cannot span a gap. Check the Wi-Fi.",
        )  # fmt: skip
    return None
