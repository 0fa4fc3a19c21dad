"""Say in plain words how good a recorded session is, from what ``repetition_quality`` has found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from semg.verdicts import Figure, Verdict, level_of
from semg.words import counted

_SOME = re.compile(r"(\d+) of (\d+) intervals(?:: | are )(.*)", re.DOTALL)

_CHANNEL = (
    ("flat", "loose", "was loose", "Consider leaving it out, or press the electrode on and record again."),
    ("saturated", "saturated", "was beyond its range", "Lower the gain, or check the electrode."),
    ("clipped", "clipped", "was clipped", "Lower the gain before the next session."),
    ("mains hum", "hum", "had mains hum", "Check skin contact and ground."),
    ("very noisy", "noisy", "was very noisy", "Check skin contact, or leave it out."),
    ("noisy", "noisy", "was noisy", "Check skin contact before the next session."),
    (
        "stands still",
        "held",
        "stood still now and then",
        "Check its wire and how the converter is read, or leave it out.",
    ),
    ("no samples", "no samples", "sent nothing", "The device was not streaming: leave these intervals out."),
)
"""How the reason of a channel begins, its code, what is said of the channel, and what to do."""


def judge_recorded(
    quality: tuple[str, str] | None,
    channels: Sequence[str],
    repetitions: Mapping[int, tuple[str, str]] | None = None,
) -> Verdict:
    """Return the verdict on a session.

    Parameters
    ----------
    quality
        The stored level and reason of the session; None when it has not been judged yet.
    channels
        Names of its channels.
    repetitions
        The stored level and reason of each interval, for the figures.
    """
    if quality is None:
        return Verdict("unknown", "This session is judged a few seconds after its end.", code="pending")
    stored, reason = quality
    level, figures = level_of(stored), _figures(repetitions or {}, channels)
    found = _SOME.match(reason)
    if found is None:
        if reason == "nothing is labelled":
            return Verdict(
                level, "Nothing is labelled in this session.", "Label it on the Review page, or leave it out.", figures,
                "unlabelled",
            )  # fmt: skip
        return Verdict(level, f"{reason[:1].upper()}{reason[1:]}.", "", figures, "other")
    n, total, why = int(found[1]), int(found[2]), found[3]
    if why == "good":
        clean = f"All {counted(len(channels), 'channel')} are clean." if len(channels) > 1 else "The channel is clean."
        return Verdict(level, clean if n == total else f"{n} of {total} intervals are clean.", "", figures, "good")
    share = "in every interval" if n == total else f"in {100 * n / total:.0f} % of the intervals"
    code, said, step = _said(why, channels, share)
    return Verdict(level, said, step, figures, code)


def _said(why: str, channels: Sequence[str], share: str) -> tuple[str, str, str]:
    """Return the code, the sentence and the next step of what is wrong in some of the intervals."""
    channel = next((one for one in sorted(channels, key=len, reverse=True) if why.startswith(f"{one}: ")), None)
    if channel is not None:
        reason = why.removeprefix(f"{channel}: ")
        for begin, code, said, step in _CHANNEL:
            if reason.startswith(begin):
                return code, f"Channel {channel} {said} {share}.", step
        return "channel", f"Channel {channel}: {reason}, {share}.", ""
    if why.startswith("as quiet as rest"):
        return "quiet", f"The muscles were as quiet as at rest {share}.", "Leave out what was not performed."
    if why in ("no samples", "no samples arrive"):
        return "no samples", f"No samples are stored {share}.", "The device was not streaming: leave these out."
    if "lost in transit" in why:
        said = f"Samples were lost in transit {share} ({why.split()[0]} in one of them)."
        return "lost", said, "Check the Wi-Fi before the next session."
    if "repeat the one before" in why:
        said = f"Samples were sent twice {share} ({why.split()[0]} repeat the one before in one of them)."
        return "repeated", said, "Send each sample once, set the converter's real rate, and record again."
    if why.startswith("all channels stand still"):
        said = f"All channels stood still {share} ({why.removeprefix('all channels stand still for ')} in one of them)."
        return "held", said, "Leave these out, and check the converter and the sending program."
    if "the device is set to" in why:
        return "rate", f"The rate was wrong {share}: {why}.", "Correct the rate on the Profiles page, and record again."
    return "other", f"{why[:1].upper()}{why[1:]}, {share}.", ""


def _figures(repetitions: Mapping[int, tuple[str, str]], channels: Sequence[str]) -> tuple[Figure, ...]:
    if not repetitions:
        return ()
    levels = Counter(level for level, _ in repetitions.values())
    total = len(repetitions)
    figures = [
        Figure("Intervals", f"{total}", "labelled stretches that were judged, rest included"),
        Figure("Clean intervals", f"{levels['good']} of {total}", "nothing was found in any channel"),
        Figure(
            "Bad intervals", f"{levels['bad']} of {total}", "more than a fifth of them make a session unfit for use"
        ),
    ]
    of_channels = Counter(
        channel
        for level, reason in repetitions.values()
        for channel in channels
        if level != "good" and reason.startswith(f"{channel}: ")
    )
    figures += [
        Figure(f"Channel {channel}", f"{n} of {total}", "intervals in which it was the channel with the worst finding")
        for channel, n in of_channels.most_common()
    ]
    return tuple(figures)
