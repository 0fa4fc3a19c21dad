"""Validation of stored values: all rules in one module, each with a message that names the field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg2.errors
from psycopg2.extras import Json

from semg.domain import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, DecisionSpec, Device
from semg.errors import ConflictError, InvalidValueError
from semg.languages import LANGUAGES
from semg.names import normal_form
from semg.names.characters import hides

MAX_ADC = 1e9
HANDEDNESS = ("left", "right", "both")
MAINS_HZ = (0.0, 50.0, 60.0)
MAX_NOTES = 20_000
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_RECORDING_COLUMNS = frozenset({"millis", "gesture", "repetition"})


def name(field: str, value: str, max_length: int, *, is_login: bool = False) -> str:
    """Return a name as it is stored (``semg.names.normal_form``): what looks the same is the same.

    Parameters
    ----------
    is_login
        Blanks inside stay as they are typed: a login is a credential, and is found as it was made.

    Raises
    ------
    InvalidValueError
        It is empty, too long, or has an invisible or reordering character.
    """
    stripped = normal_form.composed(value) if is_login else normal_form.normalised(value)
    if not 1 <= len(stripped) <= max_length:
        raise InvalidValueError(field, _length_problem(field, max_length, len(stripped)))
    hidden = hides(stripped) or next((f"U+{ord(one):04X}" for one in stripped if not _shows(one)), "")
    if hidden:
        raise InvalidValueError(
            field,
            f"type the {_word(field)} instead of pasting it: it contains {hidden}, which is invisible or changes the "
            "order in which the others are shown",
        )
    return stripped


def normalised(login: str) -> str:
    """Return a login in stored form, for looking it up."""
    return normal_form.composed(storable(login))


def free_name(value: str, taken: Iterable[str], refusal: Callable[[str], ConflictError]) -> None:
    """Check that no other name equals this one, compared without case.

    Raises
    ------
    ConflictError
        The refusal of the name that is there.
    """
    there = normal_form.find(value, taken)
    if there is not None:
        raise refusal(there)


def _word(field: str) -> str:
    return field.replace("_", " ")


def _length_problem(field: str, max_length: int, length: int) -> str:
    if length == 0:
        return f"enter a {_word(field)}"
    return f"enter a {_word(field)} of at most {max_length} characters (now {length:,})"


def _shows(letter: str) -> bool:
    return letter.isprintable() or letter in "\u200c\u200d"  # joiners are checked in context


def text(field: str, value: str, max_length: int = MAX_NOTES) -> str:
    """Return a text; line breaks are allowed.

    Raises
    ------
    InvalidValueError
        It is too long.
    """
    if len(value) > max_length:
        raise InvalidValueError(
            field, f"shorten the {_word(field)} to at most {max_length:,} characters (now {len(value):,})"
        )
    return storable(value)


def storable(value: str) -> str:
    """Return a text that PostgreSQL accepts: without NUL and lone surrogates."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def as_json(value: Any) -> Json:
    """Return a parameter for a ``jsonb`` column; numpy values become numbers, NaN and infinity become null."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return Json(value, dumps=lambda content: orjson.dumps(content, option=options).decode())


def aware(field: str, value: datetime) -> datetime:
    """Return the time in UTC: the database refuses zones beyond 15:59.

    Raises
    ------
    InvalidValueError
        It has no time zone; the server would take it for its own.
    """
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidValueError(field, f"give the time with its zone (UTC), not as {value.isoformat()}")
    try:
        return value.astimezone(UTC)
    except OverflowError as exc:
        raise InvalidValueError(field, f"{value.isoformat()} is no time of this calendar in UTC") from exc


def interval(started_at: datetime, ended_at: datetime) -> None:
    """Check that an interval has a length.

    Raises
    ------
    InvalidValueError
        A time has no zone, or the end is not after the start.
    """
    if aware("ended_at", ended_at) - aware("started_at", started_at) <= timedelta(0):
        raise InvalidValueError(
            "ended_at", f"choose an end after the start, {started_at.isoformat()} (now {ended_at.isoformat()})"
        )


def device(value: Device) -> None:
    """Check that a device is valid for the whole platform.

    Raises
    ------
    InvalidValueError
        The message names the first wrong field.
    """
    channels(value.channels)
    if not MIN_RATE_HZ <= value.rate_hz <= MAX_RATE_HZ:
        raise InvalidValueError(
            "rate_hz",
            f"enter a sampling rate from {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} samples per second (now {value.rate_hz:g})",
        )
    if value.sensor not in ("raw", "envelope"):
        raise InvalidValueError("sensor", f"choose raw or envelope as the sensor (now {value.sensor!r})")
    for field, word, limit in (("adc_min", "lowest", value.adc_min), ("adc_max", "highest", value.adc_max)):
        if not math.isfinite(limit) or abs(limit) > MAX_ADC:
            raise InvalidValueError(field, f"enter a {word} value within ±{MAX_ADC:g} (now {limit:g})")
    if value.adc_min >= value.adc_max:
        raise InvalidValueError(
            "adc_max", f"enter a highest value above the lowest, {value.adc_min:g} (now {value.adc_max:g})"
        )
    if value.mains_hz not in MAINS_HZ:
        raise InvalidValueError(
            "mains_hz", f"choose a mains frequency of 50 Hz, 60 Hz or 0 (none) (now {value.mains_hz:g})"
        )


def channels(names: Sequence[str]) -> None:
    """Check the channel names of a device.

    Raises
    ------
    InvalidValueError
        There are none or too many, one comes twice, or one could not be the column of a recording file.
    """
    if not 1 <= len(names) <= MAX_CHANNELS:
        raise InvalidValueError("channels", f"enter 1 to {MAX_CHANNELS} channel names (now {len(names)})")
    for channel in names:
        if not _CHANNEL.fullmatch(channel):
            raise InvalidValueError(
                "channels",
                f"rename the channel {channel!r}: use at most 32 letters, digits, '_', '-' or '.', and begin with a "
                "letter or a digit",
            )
        if channel.lower() in _RECORDING_COLUMNS:
            raise InvalidValueError(
                "channels", f"rename the channel {channel!r}: recordings have a column of that name"
            )
    if len(set(names)) != len(names):
        raise InvalidValueError("channels", f"give each channel its own name (now {', '.join(names)})")


def channels_used(chosen: Sequence[str] | None, available: Sequence[str]) -> tuple[str, ...] | None:
    """Return the chosen channels in the device's order; None stays None (all of them).

    Raises
    ------
    InvalidValueError
        None is chosen, or one that the device does not have.
    """
    if chosen is None:
        return None
    if not chosen:
        raise InvalidValueError("channels_used", "choose at least one channel")
    unknown = [channel for channel in chosen if channel not in available]
    if unknown:
        raise InvalidValueError(
            "channels_used",
            f"choose among the device's channels, {', '.join(available)}: it has no {', '.join(unknown)}",
        )
    return tuple(channel for channel in available if channel in chosen)


def decision(value: DecisionSpec) -> None:
    """Check a decision spec.

    Raises
    ------
    InvalidValueError
        A field is out of its range.
    """
    if not 1 <= value.vote_n <= 99:
        raise InvalidValueError("vote_n", f"choose 1 to 99 votes (now {value.vote_n})")
    if not 0 <= value.min_confidence <= 1:
        raise InvalidValueError(
            "min_confidence", f"choose a minimum confidence from 0 to 1 (now {value.min_confidence:g})"
        )
    if not 0 <= value.hysteresis <= 1:
        raise InvalidValueError("hysteresis", f"choose a hysteresis from 0 to 1 (now {value.hysteresis:g})")


def handedness(value: str | None) -> str | None:
    """Return the handedness.

    Raises
    ------
    InvalidValueError
        It is none of ``HANDEDNESS`` and not None.
    """
    if value is not None and value not in HANDEDNESS:
        raise InvalidValueError(
            "handedness", f"choose {', '.join(HANDEDNESS)} or nothing as the handedness (now {value!r})"
        )
    return value


def language(value: str) -> str:
    """Return the language.

    Raises
    ------
    InvalidValueError
        It is none of ``LANGUAGES``.
    """
    if value not in LANGUAGES:
        raise InvalidValueError("language", f"choose {', '.join(LANGUAGES)} as the language (now {value!r})")
    return value


@contextmanager
def refused_as(message: str) -> Iterator[None]:
    """Raise ``ConflictError`` with this sentence when the statement in the block breaks a uniqueness rule."""
    try:
        yield
    except psycopg2.errors.UniqueViolation as exc:
        raise ConflictError(message) from exc
