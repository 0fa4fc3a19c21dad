"""A profile's stream as the services report it now, judged: does it come, is it good, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from semg.domain import Block, Device, Profile
from semg.ingest.stream_health import StreamHealth, judge_stream, refusal
from semg.signals.held_samples import HeldSamples, find_held, mark_held
from semg.signals.quality import ChannelQuality, assess_channels
from semg.store import blocks, models, services
from semg.store.pool import Transaction
from semg.store.services import ServiceStatus
from semg.wire.stream_status import DecidedStatus, ReceivedStatus, read_statuses

SECONDS = 3.0
FRESH_S = 2.0
SERVICE_LATE_S, SERVICE_MISSING_S = 6.0, 20.0
STORE_DELAY_S = 0.6
"""What was received is stored in batches; the youngest moments are not there yet."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """A profile's stream in the last seconds.

    Attributes
    ----------
    problem
        Why a capture cannot start now, as a sentence; empty when it can.
    health
        The judgement of the stream; None while there is nothing to judge.
    held
        What the device sent again; None where channels were not looked at.
    """

    problem: str
    health: StreamHealth | None = None
    channels: tuple[ChannelQuality, ...] = ()
    held: HeldSamples | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """What the services report of all streams, at one moment."""

    now: datetime
    received: Mapping[int, ReceivedStatus]
    decided: Mapping[int, DecidedStatus]

    def health(self, profile: Profile, active_at: datetime | None) -> StreamHealth:
        """Judge a profile's stream.

        Parameters
        ----------
        active_at
            Since when a version of its model is active; None without one, or where recognition is not asked about.
        """
        received, decided = self.received.get(profile.user_id), self.decided.get(profile.user_id)
        active_s = None if active_at is None else (self.now - active_at).total_seconds()
        return judge_stream(profile.name, profile.device, received, decided, active_s=active_s)


def reported(statuses: Sequence[ServiceStatus], now: datetime) -> Reported:
    """Read what the services report of streams; a report of a while ago is older by that."""
    received: dict[int, ReceivedStatus] = {}
    decided: dict[int, DecidedStatus] = {}
    for status in statuses:
        age_s = max(0.0, (now - status.seen_at).total_seconds())
        if status.service == "udpserver":
            for user_id, one in read_statuses(ReceivedStatus, status.metrics).items():
                aged = replace(one, age_s=one.age_s + max(0.0, age_s - SERVICE_LATE_S))
                if user_id not in received or aged.age_s < received[user_id].age_s:
                    received[user_id] = aged
        elif status.service == "nat_inference" and age_s < SERVICE_LATE_S:
            for user_id, two in read_statuses(DecidedStatus, status.metrics).items():
                if user_id not in decided or two.windows > decided[user_id].windows:
                    decided[user_id] = two
    return Reported(now, received, decided)


def look(
    tx: Transaction, profile: Profile, now: datetime, *, with_channels: bool = True, has_quiet: bool = True
) -> StreamState:
    """Judge what a profile's device sent in the last seconds, as it is reported and stored.

    Parameters
    ----------
    with_channels
        Judge each channel's signal too, for which the stored samples are read.
    has_quiet
        Whether the person rests now and then, so that a channel's noise at rest can be judged.
    """
    statuses = services.list_services(tx)
    said = reported(statuses, now)
    since = now - timedelta(seconds=SECONDS + STORE_DELAY_S)
    last_at = blocks.last_sample_at(tx, profile.user_id)
    found: list[Block] = []
    received = said.received.get(profile.user_id)
    is_fresh = last_at is not None and now - last_at <= timedelta(seconds=FRESH_S)
    if is_fresh and (with_channels or received is None):
        found = [block for block in blocks.list_blocks(tx, profile.user_id, since, now) if not block.late]
    if received is None and found:
        received = received_of(found)
    active_at = models.find_activated_at(tx, profile.user_id) if profile.user_id in said.decided else None
    health = replace(said, received={profile.user_id: received} if received else {}).health(profile, active_at)
    if health.level == "silent":
        return StreamState(_why_silent(statuses, profile, last_at))
    if health.blocks:
        return StreamState(health.sentence, health)
    if not found and with_channels:
        return StreamState("No samples from the last few seconds are stored yet. Wait a moment.", health)
    return StreamState("", health, *channels_of(found, profile.device, has_quiet=has_quiet))


def received_of(found: Sequence[Block]) -> ReceivedStatus:
    """Return what stored blocks, in time order, say of a stream, as udpserver would report it."""
    server_us = np.concatenate([block.server_us for block in found])
    samples = np.concatenate([block.samples.ravel() for block in found])
    period_us = max(1.0, float(np.median(np.diff(server_us)))) if len(server_us) > 1 else 1.0
    seconds = max(1e-3, float(server_us[-1] - server_us[0] + period_us) / 1e6)
    missing = np.maximum(np.round(np.diff(server_us) / period_us) - 1, 0).sum()
    return ReceivedStatus(
        seconds=seconds,
        datagrams=len(server_us),
        samples=len(server_us),
        missing=int(missing),
        long_s=seconds,
        low=float(samples.min()),
        high=float(samples.max()),
        channels=found[-1].samples.shape[1],
    )


def channels_of(
    found: Sequence[Block], device: Device, *, has_quiet: bool = True
) -> tuple[tuple[ChannelQuality, ...], HeldSamples | None]:
    """Judge each channel, and what was sent again; blocks with another number of channels say nothing."""
    fitting = [block for block in found if block.samples.shape[1] == device.n_channels]
    if not fitting:
        return (), None
    at_us = np.concatenate([block.server_us for block in fitting])
    samples = np.concatenate([block.samples for block in fitting])
    held = find_held(samples, device, at_us)
    return mark_held(assess_channels(samples, device, has_quiet=has_quiet, at_us=at_us), held), held


def sources_of(statuses: Sequence[ServiceStatus]) -> list[dict[str, Any]]:
    """Return the table of senders that udpserver reports, the most recent first."""
    return [
        source for status in statuses if status.service == "udpserver" for source in status.metrics.get("sources", [])
    ]


def _why_silent(statuses: Sequence[ServiceStatus], profile: Profile, last_at: datetime | None) -> str:
    mine = [source for source in sources_of(statuses) if source.get("user_id") == profile.user_id]
    refused = [source for source in mine if source.get("state") != "ok" and source.get("age_s", 99) < 10]
    if refused:
        return (
            f"A device at {refused[0]['address']} sends for {profile.name}, but nothing is accepted: "
            f"{refusal(refused[0]['state'])}."
        )
    unreadable = [source for source in sources_of(statuses) if source.get("said") and source.get("age_s", 99) < 10]
    if unreadable:
        return (
            f"No data is arriving for {profile.name}. A device at {unreadable[0]['address']} sends data that cannot be "
            f"read: {refusal(unreadable[0]['state'])}. The Overview page shows researchers what it sent."
        )
    if not any(status.service == "udpserver" for status in statuses):
        return "Nothing streams: the service udpserver is not running. Start it with ./start_all.sh."
    if last_at is None:
        return (
            f"Nothing streams for {profile.name} yet. Switch the device on; it must send the userid "
            f"{profile.user_id} to the UDP port of this machine."
        )
    return f"Nothing streams for {profile.name} at the moment. Check the sensor's power and its Wi-Fi."
