"""Say in plain words how a stream is: the judgement of ``stream_health`` as every page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from semg.ingest.stream_health import StreamHealth
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
)


def stream_verdict(health: StreamHealth) -> Verdict:
    """Return the verdict on a stream; one that is silent is not known."""
    sentence = health.sentence.removesuffix(health.next_step).strip()
    return Verdict(level_of(health.level), sentence, health.next_step, health.measured, health.code)


def signal_verdict(health: StreamHealth | None, channels: Sequence[ChannelQuality]) -> Verdict:
    """Return the verdict on a stream and on the signal of each channel: as bad as the worst, naming both."""
    stream = None if health is None or health.level == "silent" else stream_verdict(health)
    figures = tuple(Figure(one.channel, WORDS[level_of(one.level)], one.reason) for one in channels)
    # By a range that is set wrong, every channel lies beyond it: the range is to be mended, not the gain.
    follows = ("saturated", "clipped") if stream is not None and stream.code == "range" else ()
    signal = _channels([one for one in channels if not (follows and one.reason.startswith(follows))])
    found = signal if stream is None else both(stream, signal)
    measured = () if stream is None else stream.figures
    return Verdict(found.level, found.sentence, found.next_step, (*measured, *figures), found.code)


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
