"""What a profile's stream looks like now: does it come, is it good, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from semg.domain import Block, Profile
from semg.signals.quality import ChannelQuality, StreamQuality, assess_channels, assess_stream
from semg.store import blocks, services
from semg.store.pool import Transaction
from semg.store.services import ServiceStatus

SECONDS = 3.0
FRESH_S = 2.0
SERVICE_LATE_S, SERVICE_MISSING_S = 6.0, 20.0
STORE_DELAY_S = 0.6
"""What was received is stored in batches; the youngest moments are not there yet."""

REFUSALS = {
    "ok": "accepted",
    "unknown_profile": "no profile has this number",
    "v1_not_allowed": "the profile does not accept the plain text format (v1): allow it, or use a board with a key",
    "v1_network": "the plain text format (v1) is not taken from this network (V1_NETWORKS)",
    "rate_limited": "it sends far more than its rate, or nothing but what is refused",
    "channel_count": "another number of channels than the profile's device",
    "field_count": "not of the form userid,millis,a0,…",
    "not_integer": "userid or millis is not a whole number",
    "not_number": "a value is not a number",
    "not_text": "not readable as text",
    "value_range": "a value is absurdly large",
    "time_range": "the time is out of range",
    "no_consent": "the person's consent to the recording is missing or was withdrawn",
    "too_long": "the datagram is too long",
    "empty": "the datagram is empty",
    "duplicate": "the same sample comes again and again",
    "unknown_board": "no board has this number, or its key was revoked",
    "bad_tag": "not signed with the board's key",
    "unassigned_board": "the board is assigned to no profile",
    "replayed": "sent before: an older start of the board, or too late to tell",
    "v2_size": "the binary datagram has another length than it says",
    "v2_magic": "not of the binary format's version 2",
    "v2_range": "the sample period or the clock is out of range",
}


@dataclass(frozen=True, slots=True)
class StreamState:
    """A profile's stream in the last seconds.

    Attributes
    ----------
    problem
        Why a capture cannot start now, as a sentence; empty when it can.
    """

    problem: str
    stream: StreamQuality | None = None
    channels: tuple[ChannelQuality, ...] = ()


def look(tx: Transaction, profile: Profile, now: datetime) -> StreamState:
    """Judge what a profile's device sent in the last seconds."""
    last_at = blocks.last_sample_at(tx, profile.user_id)
    if last_at is None or now - last_at > timedelta(seconds=FRESH_S):
        return StreamState(_why_silent(services.list_services(tx), profile, last_at))
    since = now - timedelta(seconds=SECONDS + STORE_DELAY_S)
    found = [block for block in blocks.list_blocks(tx, profile.user_id, since, now) if not block.late]
    return judge(profile, found)


def judge(profile: Profile, found: Sequence[Block]) -> StreamState:
    """Judge blocks in time order."""
    n_channels = {block.samples.shape[1] for block in found}
    if n_channels - {profile.device.n_channels}:
        return StreamState(
            f"The device sends {max(n_channels)} channels, but {profile.device.n_channels} are set for "
            f"{profile.name}. Change the device on the page Profiles."
        )
    if not found:
        return StreamState("No samples of the last seconds are stored yet. Wait a moment.")
    server_us = np.concatenate([block.server_us for block in found])
    samples = np.concatenate([block.samples for block in found])
    span_s = max(1e-3, float(server_us[-1] - server_us[0]) / 1e6)
    stream = assess_stream(server_us, profile.device.rate_hz, span_s)
    return StreamState("", stream, assess_channels(samples, profile.device))


def sources_of(statuses: Sequence[ServiceStatus]) -> list[dict[str, Any]]:
    """Give the table of senders that udpserver reports, the most recent first."""
    return [
        source for status in statuses if status.service == "udpserver" for source in status.metrics.get("sources", [])
    ]


def refusal(state: str) -> str:
    """Say why datagrams of a sender are not accepted."""
    return REFUSALS.get(state, state.replace("_", " ") or "nothing known")


def _why_silent(statuses: Sequence[ServiceStatus], profile: Profile, last_at: datetime | None) -> str:
    mine = [source for source in sources_of(statuses) if source.get("user_id") == profile.user_id]
    refused = [source for source in mine if source.get("state") != "ok" and source.get("age_s", 99) < 10]
    if refused:
        return (
            f"A device at {refused[0]['address']} sends for {profile.name}, but nothing is accepted: "
            f"{refusal(refused[0]['state'])}."
        )
    if not any(status.service == "udpserver" for status in statuses):
        return "Nothing streams: the service udpserver is not running. Start it with ./start_all.sh."
    if last_at is None:
        return (
            f"Nothing streams for {profile.name} yet. Switch the device on; it must send the userid "
            f"{profile.user_id} to the UDP port of this machine."
        )
    return f"Nothing streams for {profile.name} at the moment. Check the sensor's power and its Wi-Fi."
