"""Profiles and their devices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

from semg.consent_types import NewConsent
from semg.domain import REST, DecisionSpec, Device, Profile, Sensor
from semg.errors import ConflictError, NotFoundError
from semg.languages import DEFAULT_LANGUAGE
from semg.names import normal_form
from semg.store import checks, consents, owner_limits
from semg.store.erasing import note_in_bases
from semg.store.pool import Transaction, execute, one, rows

_COLUMNS = """
    p.user_id, p.name, p.handedness, p.channels_used, p.vote_n, p.min_confidence,
    p.created_at, p.channel_purposes, p.hysteresis, p.language,
    d.channels, d.rate_hz, d.sensor, d.adc_min, d.adc_max, d.mains_hz, d.allow_v1,
    c.scopes, c.text_version, c.agreed_at, c.recorded_at, c.recorded_by,
    coalesce('recording' = ANY (c.scopes), false) AS consented
"""
_FROM = """
    FROM profiles p JOIN devices d ON d.user_id = p.user_id
    LEFT JOIN LATERAL (SELECT * FROM consents WHERE user_id = p.user_id ORDER BY consent_id DESC LIMIT 1) c ON true
"""
_SELECT = f"SELECT p.notes, {_COLUMNS} {_FROM}"  # noqa: S608
_LISTED = f"SELECT NULL AS notes, {_COLUMNS} {_FROM}"  # noqa: S608
"""Without notes, 20,000 characters each: every page reads the list several times."""
_MAX_NAME = 200


class ProfileChanges(TypedDict, total=False):
    """Fields of a profile that ``update_profile`` can change; a missing field is not changed."""

    name: str
    handedness: str | None
    language: str
    notes: str
    channels_used: Sequence[str] | None
    channel_purposes: dict[str, str]
    decision: DecisionSpec


@dataclass(frozen=True, slots=True)
class ErasedCounts:
    """What depends on a profile: erased by ``delete_profile``, counted beforehand by ``count_profile``."""

    blocks: int
    samples: int
    sessions: int
    repetitions: int
    models: int
    jobs: int
    decisions: int


def list_profiles(tx: Transaction) -> list[Profile]:
    """Return all profiles by name, without their notes."""
    return [_profile(row) for row in rows(tx, _LISTED + " ORDER BY lower(p.name), p.user_id")]


def list_chosen(tx: Transaction, user_ids: Collection[int]) -> list[Profile]:
    """Return those of the profiles that there are, by name, without their notes."""
    query = _LISTED + " WHERE p.user_id = ANY(%s::bigint[]) ORDER BY lower(p.name), p.user_id"
    return [_profile(row) for row in rows(tx, query, (list(user_ids),))]


def find_noted(tx: Transaction, user_ids: Collection[int], text: str) -> set[int]:
    """Return those of the profiles whose notes contain a text, compared without case."""
    query = """
        SELECT user_id FROM profiles
        WHERE user_id = ANY(%s::bigint[]) AND position(lower(%s) IN lower(notes)) > 0
        """
    return {row.user_id for row in rows(tx, query, (list(user_ids), checks.storable(text)))}


def get_profile(tx: Transaction, user_id: int) -> Profile:
    """Return a profile.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    row = one(tx, _SELECT + " WHERE p.user_id = %s", (user_id,))
    if row is None:
        raise _missing(user_id)
    return _profile(row)


def find_profile_by_name(tx: Transaction, name: str) -> Profile | None:
    """Return the profile of a name, compared without case; None when there is none."""
    found = {row.name: row.user_id for row in rows(tx, "SELECT user_id, name FROM profiles ORDER BY user_id")}
    exact = normal_form.normalised(checks.storable(name))
    there = exact if exact in found else normal_form.find(exact, found)
    return None if there is None else get_profile(tx, found[there])


def list_devices(tx: Transaction) -> list[Device]:
    """Return the devices of all profiles, by profile."""
    found = rows(
        tx,
        """
        SELECT user_id, channels, rate_hz, sensor, adc_min, adc_max, mains_hz, allow_v1,
               coalesce('recording' = ANY (c.scopes), false) AS consented
        FROM devices d
        LEFT JOIN LATERAL (SELECT scopes FROM consents WHERE user_id = d.user_id ORDER BY consent_id DESC LIMIT 1) c
        ON true WHERE user_id IS NOT NULL ORDER BY user_id
        """,
    )
    return [_device(row) for row in found]


def lock_consenting(tx: Transaction, user_ids: Sequence[int]) -> set[int]:
    """Return those of the numbers whose profiles agree to being recorded, and keep these until the transaction ends.

    Writers of ``sample_blocks`` call this first: that table has no foreign key, and ``delete_profile`` waits
    for this lock, so that no block of an erased profile is left behind.
    """
    query = "SELECT user_id FROM profiles WHERE user_id = ANY(%s::bigint[]) ORDER BY user_id FOR KEY SHARE"
    found = [row.user_id for row in rows(tx, query, (list(user_ids),))]
    return consents.consenting(tx, found, "recording")


def insert_profile(
    tx: Transaction,
    name: str,
    *,
    channels: Sequence[str],
    rate_hz: float,
    sensor: Sensor = "raw",
    adc_min: float = 0.0,
    adc_max: float = 4095.0,
    mains_hz: float = 50.0,
    allow_v1: bool = False,
    handedness: str | None = None,
    language: str = DEFAULT_LANGUAGE,
    notes: str = "",
    consent: NewConsent | None = None,
    owner_id: int | None = None,
) -> int:
    """Create a profile with its device and the gesture ``rest``, and return its number.

    Parameters
    ----------
    consent
        What the person agrees to; nothing is recorded before that.
    owner_id
        The account whose profile it is; None: nobody's, seen by admins only.

    Raises
    ------
    InvalidValueError
        A value is out of its range; the message names the field.
    ConflictError
        The name is taken, or the owner has too many profiles (``owner_limits``).
    """
    name = checks.name("name", name, _MAX_NAME)
    if owner_id is not None:
        owner_limits.require_profile(tx, owner_id)
    device = Device(0, tuple(channels), rate_hz, sensor, adc_min, adc_max, mains_hz, allow_v1)
    checks.device(device)
    _require_free_name(tx, name)
    made = one(
        tx,
        """
        INSERT INTO profiles (name, handedness, language, notes, owner_id) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (name) DO NOTHING RETURNING user_id
        """,
        (name, checks.handedness(handedness), checks.language(language), checks.text("notes", notes), owner_id),
    )
    if made is None:
        raise _name_taken(name)
    execute(
        tx,
        """
        INSERT INTO devices (user_id, channels, rate_hz, sensor, adc_min, adc_max, mains_hz, allow_v1)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (made.user_id, list(device.channels), rate_hz, sensor, adc_min, adc_max, mains_hz, allow_v1),
    )
    execute(tx, "INSERT INTO gestures (user_id, name) VALUES (%s, %s)", (made.user_id, REST))
    if consent is not None:
        consents.insert_consent(tx, made.user_id, consent)
    return int(made.user_id)


def _require_free_name(tx: Transaction, name: str, user_id: int = 0) -> None:
    """Refuse a name that another profile has, compared without case; locks the names until the transaction ends."""
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended('profile_names', 0))")
    others = rows(tx, "SELECT name FROM profiles WHERE user_id <> %s", (user_id,))
    checks.free_name(name, [row.name for row in others], _name_taken)


def update_profile(tx: Transaction, user_id: int, **changes: Unpack[ProfileChanges]) -> Profile:
    """Change the given fields of a profile, and return it as it is then.

    Raises
    ------
    NotFoundError
        There is no such profile.
    InvalidValueError
        A value is out of its range; the message names the field.
    ConflictError
        The name is taken.
    """
    lock_profile(tx, user_id)
    before = get_profile(tx, user_id)
    profile = replace(before, **changes)  # type: ignore[arg-type]
    # A name from before a rule stays until it is changed; everything else about its profile can be.
    name = before.name if profile.name == before.name else checks.name("name", profile.name, _MAX_NAME)
    if name != before.name:
        _require_free_name(tx, name, user_id)
    checks.decision(profile.decision)
    used = checks.channels_used(profile.channels_used, profile.device.channels)
    with checks.refused_as(str(_name_taken(name))):
        execute(
            tx,
            """
            UPDATE profiles SET name = %s, handedness = %s, language = %s, notes = %s, channels_used = %s, vote_n = %s,
                                min_confidence = %s, hysteresis = %s, channel_purposes = %s
            WHERE user_id = %s
            """,
            (
                name,
                checks.handedness(profile.handedness),
                checks.language(profile.language),
                checks.text("notes", profile.notes),
                None if used is None else list(used),
                profile.decision.vote_n,
                profile.decision.min_confidence,
                profile.decision.hysteresis,
                checks.as_json(_purposes(profile)),
                user_id,
            ),
        )
    return get_profile(tx, user_id)


def update_device(tx: Transaction, device: Device) -> None:
    """Change the device that a profile wears.

    Raises
    ------
    NotFoundError
        There is no such profile.
    InvalidValueError
        A value is out of its range, or a channel that the profile uses would be gone.
    """
    checks.device(device)
    lock_profile(tx, device.user_id)
    checks.channels_used(get_profile(tx, device.user_id).channels_used, device.channels)
    execute(
        tx,
        """
        UPDATE devices SET channels = %s, rate_hz = %s, sensor = %s, adc_min = %s, adc_max = %s, mains_hz = %s,
                           allow_v1 = %s
        WHERE user_id = %s
        """,
        (
            list(device.channels),
            device.rate_hz,
            device.sensor,
            device.adc_min,
            device.adc_max,
            device.mains_hz,
            device.allow_v1,
            device.user_id,
        ),
    )


def count_profile(tx: Transaction, user_id: int) -> ErasedCounts:
    """Return what deleting the profile would erase.

    Raises
    ------
    NotFoundError
        There is no such profile.
    """
    get_profile(tx, user_id)
    found = one(
        tx,
        """
        SELECT b.blocks, b.samples,
               (SELECT count(*) FROM sessions WHERE user_id = %(user)s) AS sessions,
               (SELECT count(*) FROM repetitions JOIN sessions USING (session_id) WHERE user_id = %(user)s)
                   AS repetitions,
               (SELECT count(*) FROM models WHERE user_id = %(user)s) AS models,
               (SELECT count(*) FROM jobs WHERE user_id = %(user)s) AS jobs,
               (SELECT count(*) FROM api_responses WHERE user_id = %(user)s) AS decisions
        FROM (SELECT count(*) AS blocks, coalesce(sum(n_samples), 0) AS samples
              FROM sample_blocks WHERE user_id = %(user)s) b
        """,
        {"user": user_id},
    )
    assert found is not None
    return ErasedCounts(*(int(value) for value in found))


def delete_profile(tx: Transaction, user_id: int) -> ErasedCounts:
    """Erase a profile and everything that depends on it; a running job ends because its row is gone.

    Raises
    ------
    NotFoundError
        There is no such profile.
    """
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR UPDATE", (user_id,)) is None:
        raise _missing(user_id)
    counts = count_profile(tx, user_id)
    execute(tx, "DELETE FROM sample_blocks WHERE user_id = %s", (user_id,))
    note_in_bases(tx, user_id)
    execute(tx, "DELETE FROM profiles WHERE user_id = %s", (user_id,))
    return counts


def _purposes(profile: Profile) -> dict[str, str]:
    """Return what the device's channels are for; empty texts and channels that it no longer has are left out."""
    given = {
        name: checks.text("channel_purposes", text, 200).strip() for name, text in profile.channel_purposes.items()
    }
    return {name: given[name] for name in profile.device.channels if given.get(name)}


def lock_profile(tx: Transaction, user_id: int) -> None:
    """Lock the profile against other changes, but not against readers and rows that refer to it.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR NO KEY UPDATE", (user_id,)) is None:
        raise _missing(user_id)


def _missing(user_id: int) -> NotFoundError:
    return NotFoundError(f"there is no profile {user_id}; it may have been deleted")


def _name_taken(name: str) -> ConflictError:
    return ConflictError(f"choose another name: a profile called {name!r} already exists")


def _device(row: Any) -> Device:
    return Device(
        user_id=row.user_id,
        channels=tuple(row.channels),
        rate_hz=row.rate_hz,
        sensor=row.sensor,
        adc_min=row.adc_min,
        adc_max=row.adc_max,
        mains_hz=row.mains_hz,
        allow_v1=row.allow_v1,
        consented=row.consented,
    )


def _profile(row: Any) -> Profile:
    return Profile(
        user_id=row.user_id,
        name=row.name,
        handedness=row.handedness,
        notes=row.notes or "",
        channels_used=None if row.channels_used is None else tuple(row.channels_used),
        created_at=row.created_at,
        device=_device(row),
        decision=DecisionSpec(row.vote_n, row.min_confidence, row.hysteresis),
        channel_purposes=row.channel_purposes,
        consent=None if row.agreed_at is None else consents.consent_of(row),
        language=row.language,
    )
