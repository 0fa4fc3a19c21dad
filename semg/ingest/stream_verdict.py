"""Say in plain words how a stream is: the judgement of ``stream_health`` as every page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from semg.ingest.stream_health import StreamHealth
from semg.signals.held_samples import HeldSamples
from semg.signals.quality import ChannelQuality
from semg.verdicts import WORDS, Figure, Verdict, level_of, worst

_STEP_OF_CHANNEL = (
    ("flat", "Press the electrode on, and check its wire."),
    ("saturated", "Lower the gain, or check the electrode."),
    ("clipped", "Lower the gain a little."),
    ("mains hum", "Check skin contact and ground."),
    ("very noisy", "Check skin contact."),
    ("noisy", "Relax the muscle for a moment; if it stays, check skin contact."),
    ("no samples", "Check that the device sends."),
    ("stands still", "Check the channel's wire, and how the converter is read."),
)


def stream_verdict(health: StreamHealth) -> Verdict:
    """Return the verdict on a stream; one that is silent is not known."""
    sentence = health.sentence.removesuffix(health.next_step).strip()
    return Verdict(level_of(health.level), sentence, health.next_step, health.measured, health.code)


def signal_verdict(
    health: StreamHealth | None, channels: Sequence[ChannelQuality], held: HeldSamples | None = None
) -> Verdict:
    """Return the verdict on a stream and on the signal of each channel: as bad as the worst, naming both.

    ``held`` is what was sent again; None where that was not looked for.
    """
    stream = None if health is None or health.level == "silent" else stream_verdict(health)
    figures = tuple(Figure(one.channel, WORDS[level_of(one.level)], one.reason) for one in channels)
    # By a range that is set wrong, every channel lies beyond it: the range is to be mended, not the gain.
    follows: tuple[str, ...] = ("saturated", "clipped") if stream is not None and stream.code == "range" else ()
    is_held = held is not None and held.level != "good"
    if is_held and all(one.reason.startswith("flat") for one in channels):
        follows += ("flat",)  # what stands still in all channels at once is not an electrode
    signal = _channels([one for one in channels if not (follows and one.reason.startswith(follows))])
    if held is not None and is_held:
        signal = both(held_verdict(held), signal)
    found = signal if stream is None else both(stream, signal)
    measured = () if stream is None else stream.figures
    return Verdict(found.level, found.sentence, found.next_step, (*measured, *figures), found.code)


def held_verdict(held: HeldSamples) -> Verdict:
    """Return the verdict on samples that were sent again."""
    if held.level == "good":
        return Verdict("good", "No sample is sent twice.", code="good")
    said = f"The device sends samples again: {held.reason}."
    if held.is_held:
        step = "Check the device's converter and its wires, and that the sending program does not fill gaps."
        return Verdict(level_of(held.level), said, step, code="held")
    step = "Send each sample once, and set the rate at which the converter really measures."
    return Verdict(level_of(held.level), said, step, code="repeated")


def both(first: Verdict, second: Verdict) -> Verdict:
    """Return the worse of two verdicts, which also says what is wrong by the other one; of two good ones the second."""
    if first.level == "good" or second.level in ("good", "unknown"):
        return second if first.level == "good" else first
    found = worst(first, second)
    other = second if found is first else first
    sentence = f"{found.sentence} {other.sentence}"
    return replace(found, sentence=sentence, next_step=f"{found.next_step} {other.next_step}".strip())


def _channels(channels: Sequence[ChannelQuality]) -> Verdict:
    wrong = [one for one in channels if one.level != "good"]
    if not channels:
        return Verdict("unknown", "No channel has been judged yet.", code="pending")
    if not wrong:
        named = f"All {len(channels)} channels are" if len(channels) > 1 else f"Channel {channels[0].channel} is"
        return Verdict("good", f"{named} clean.", code="good")
    level = "bad" if any(one.level == "bad" for one in wrong) else "fair"
    first, *others = [one for one in wrong if one.level == level]
    step = next((step for begin, step in _STEP_OF_CHANNEL if first.reason.startswith(begin)), "")
    also = f"; also {', '.join(one.channel for one in others)}" if others else ""
    # What follows the colon is the advice, which the next step gives.
    return Verdict(
        level_of(level), f"Channel {first.channel}: {first.reason.partition(':')[0]}{also}.", step, code="channel"
    )
