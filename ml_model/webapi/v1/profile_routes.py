"""Profiles with their devices, gestures and streams."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from fastapi import APIRouter, Response

from semg import clock
from semg.commands.profile_changes import change_profile
from semg.domain import DecisionSpec, Profile
from semg.domain import Device as StoredDevice
from semg.domain import Gesture as StoredGesture
from semg.ingest import stream_reports
from semg.store import gestures, keysets, models, profiles, services
from semg.store.pool import Transaction
from semg.store.profiles import ProfileChanges
from webapi.access import ReadCaller, WorkCaller
from webapi.acting_caller import ActingCaller
from webapi.v1 import bodies, change_bodies
from webapi.v1.asking import Number, change, change_refusals, read, refusals
from webapi.v1.entity_tags import IfMatch, Sent, tagged
from webapi.v1.paging import Page, Paged

profile_routes = APIRouter(prefix="/v1/profiles", tags=["profiles"])


@profile_routes.get("", responses=refusals())
async def list_profiles(caller: ReadCaller, paging: Paged) -> Page[bodies.ProfileSummary]:
    """Return the profiles that the account may see, without their notes."""

    def ask(tx: Transaction, who: ActingCaller) -> tuple[list[Profile], int | None]:
        account = caller.account
        all_of_them = account is None or account.role == "admin"
        keys = keysets.profile_ids(tx, None if account is None or all_of_them else account.account_id, paging.keyset)
        kept, last = paging.cut(keys)
        found = {one.user_id: one for one in profiles.list_chosen(tx, kept)}
        return [found[number] for number in kept if number in found], last

    found, last = await read(caller, ask)
    return paging.page([bodies.ProfileSummary(**_summary(one)) for one in found], last)


@profile_routes.get("/{userid}", responses=refusals(404), response_model=bodies.Profile)
async def get_profile(caller: ReadCaller, userid: Number, if_none_match: Sent = None) -> Response:
    """Return a profile."""
    found = await read(caller, lambda tx, who: _profile(tx, who, userid))
    return tagged(found, if_none_match)


@profile_routes.patch("/{userid}", responses=change_refusals(404, 409, 412, 428), response_model=bodies.Profile)
async def update_profile(
    caller: WorkCaller, userid: Number, wanted: change_bodies.ProfileChange, if_match: IfMatch
) -> Response:
    """Change a profile: what the body does not name stays."""

    def act(tx: Transaction, who: ActingCaller) -> bodies.Profile:
        who.require(tx, userid, "work")
        profiles.lock_profile(tx, userid)
        before = profiles.get_profile(tx, userid)
        if_match.require(shown(before))
        return shown(change_profile(tx, who, userid, **_changes(wanted, before)))

    return tagged(await change(caller, act))


@profile_routes.get("/{userid}/device", responses=refusals(404), response_model=bodies.Device)
async def get_device(caller: ReadCaller, userid: Number, if_none_match: Sent = None) -> Response:
    """Return the device that a profile wears."""

    def ask(tx: Transaction, who: ActingCaller) -> StoredDevice:
        who.require(tx, userid)
        return profiles.get_profile(tx, userid).device

    return tagged(shown_device(await read(caller, ask)), if_none_match)


@profile_routes.patch("/{userid}/device", responses=change_refusals(404, 409, 412, 428), response_model=bodies.Device)
async def update_device(
    caller: WorkCaller, userid: Number, wanted: change_bodies.DeviceChange, if_match: IfMatch
) -> Response:
    """Change the device: what the body does not name stays. A channel that it loses leaves the profile's choice."""

    def act(tx: Transaction, who: ActingCaller) -> bodies.Device:
        who.require(tx, userid, "work")
        profiles.lock_profile(tx, userid)
        before = profiles.get_profile(tx, userid).device
        if_match.require(shown_device(before))
        given = {name: value for name, value in wanted.model_dump(exclude_unset=True).items() if value is not None}
        if "channels" in given:
            given["channels"] = tuple(given["channels"])
        return shown_device(change_profile(tx, who, userid, replace(before, **given)).device)

    return tagged(await change(caller, act))


@profile_routes.get("/{userid}/gestures", responses=refusals(404))
async def list_gestures(caller: ReadCaller, userid: Number) -> bodies.Bank:
    """Return the profile's gesture bank in its order; `rest` is always in it."""

    def ask(tx: Transaction, who: ActingCaller) -> list[StoredGesture]:
        who.require(tx, userid)
        return gestures.list_gestures(tx, userid)

    return bodies.Bank(items=[_gesture(one) for one in await read(caller, ask)])


@profile_routes.get("/{userid}/stream", responses=refusals(404))
async def get_stream(caller: ReadCaller, userid: Number) -> bodies.StreamHealth:
    """Return whether the profile's stream is fit for recognition now, in the words of the pages."""

    def ask(tx: Transaction, who: ActingCaller) -> bodies.StreamHealth:
        who.require(tx, userid)
        profile, now = profiles.get_profile(tx, userid), clock.utc_now()
        said = stream_reports.reported(services.list_services(tx), now)
        health = said.health(profile, models.find_activated_at(tx, userid))
        return bodies.StreamHealth(
            userid=userid,
            level=health.level,
            code=health.code,
            sentence=health.sentence,
            figures=health.figures,
            blocks=health.blocks,
            measured=[bodies.Figure(**asdict(one)) for one in health.measured],
        )

    return await read(caller, ask)


def shown(profile: Profile) -> bodies.Profile:
    """Return a profile as it is shown."""
    decision = profile.decision
    return bodies.Profile(
        **_summary(profile),
        notes=profile.notes,
        channels_used=None if profile.channels_used is None else list(profile.channels_used),
        channel_purposes=profile.channel_purposes,
        decision=bodies.Decisions(
            vote_n=decision.vote_n, min_confidence=decision.min_confidence, hysteresis=decision.hysteresis
        ),
    )


def shown_device(device: StoredDevice) -> bodies.Device:
    """Return a device as it is shown."""
    return bodies.Device(
        userid=device.user_id,
        channels=list(device.channels),
        rate_hz=device.rate_hz,
        sensor=device.sensor,
        adc_min=device.adc_min,
        adc_max=device.adc_max,
        mains_hz=device.mains_hz,
        allow_v1=device.allow_v1,
    )


def _profile(tx: Transaction, who: ActingCaller, user_id: int) -> bodies.Profile:
    who.require(tx, user_id)
    return shown(profiles.get_profile(tx, user_id))


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "userid": profile.user_id,
        "name": profile.name,
        "handedness": profile.handedness,
        "language": profile.language,
        "created_at": profile.created_at,
        "consents": [] if profile.consent is None else list(profile.consent.scopes),
        "channels": list(profile.device.channels),
        "rate_hz": profile.device.rate_hz,
    }


def _changes(wanted: change_bodies.ProfileChange, before: Profile) -> ProfileChanges:
    """Return what the body names; null is a value of ``handedness`` and ``channels_used``, and names nothing else."""
    changes = ProfileChanges()
    if wanted.name is not None:
        changes["name"] = wanted.name
    if "handedness" in wanted.model_fields_set:
        changes["handedness"] = wanted.handedness
    if wanted.language is not None:
        changes["language"] = wanted.language
    if wanted.notes is not None:
        changes["notes"] = wanted.notes
    if "channels_used" in wanted.model_fields_set:
        changes["channels_used"] = wanted.channels_used
    if wanted.channel_purposes is not None:
        changes["channel_purposes"] = wanted.channel_purposes
    if wanted.decision is not None:
        new, old = wanted.decision, before.decision
        changes["decision"] = DecisionSpec(
            old.vote_n if new.vote_n is None else new.vote_n,
            old.min_confidence if new.min_confidence is None else new.min_confidence,
            old.hysteresis if new.hysteresis is None else new.hysteresis,
        )
    return changes


def _gesture(one: StoredGesture) -> bodies.Gesture:
    return bodies.Gesture(
        gesture_id=one.gesture_id,
        name=one.name,
        description=one.description,
        position=one.position,
        phrase=one.phrase,
        kind=one.kind,
        has_picture=one.prompt_type is not None,
    )
