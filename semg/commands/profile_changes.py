"""What is changed about a person's profile and device."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from semg.commands.acting import Acting
from semg.domain import Device, Profile
from semg.store import audit, profiles
from semg.store.pool import Transaction
from semg.store.profiles import ProfileChanges


def change_profile(
    tx: Transaction, who: Acting, user_id: int, device: Device | None = None, **changes: Unpack[ProfileChanges]
) -> Profile:
    """Change the given fields of a profile, and its device when one is given; return it as it is then.

    A channel that the device loses leaves the profile's choice of channels.

    Raises
    ------
    NotFoundError, AccessError
        As ``Acting.require``.
    InvalidValueError, ConflictError
        As ``profiles.update_profile`` and ``profiles.update_device``.
    """
    who.require(tx, user_id, "work")
    if device is not None and "channels_used" not in changes:
        used = profiles.get_profile(tx, user_id).channels_used
        if used is not None:
            changes["channels_used"] = [name for name in used if name in device.channels] or None
    if changes:
        profiles.update_profile(tx, user_id, **changes)
    if device is not None:
        profiles.update_device(tx, replace(device, user_id=user_id))
    audit.record(tx, who.actor, "profile.changed", user_id)
    return profiles.get_profile(tx, user_id)
