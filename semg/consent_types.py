"""What a person agrees to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

ConsentScope = Literal["recording", "video", "shared_models", "shared_data"]
SCOPES: tuple[ConsentScope, ...] = get_args(ConsentScope)


@dataclass(frozen=True, slots=True)
class ConsentText:
    """What a person agrees to, word for word; a text that changes gets another version."""

    version: str
    content: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person agrees to from then on; the newest one counts.

    Attributes
    ----------
    scopes
        ``recording`` of the signals, ``video`` beside them, use in ``shared_models`` of several people,
        ``shared_data`` that others than the group that recorded may have; none: withdrawn.
    agreed_at
        When the person agreed; ``recorded_at`` is when it was entered, ``recorded_by`` by whom.
    """

    scopes: tuple[ConsentScope, ...]
    text_version: str
    agreed_at: datetime
    recorded_at: datetime
    recorded_by: str


@dataclass(frozen=True, slots=True)
class NewConsent:
    """A consent to be stored.

    Attributes
    ----------
    scopes
        All that is agreed to from now on; none: withdrawn.
    agreed_at
        When the person agreed; now by default.
    recorded_by
        The login of the person who enters it.
    """

    scopes: tuple[ConsentScope, ...]
    text: ConsentText
    agreed_at: datetime | None = None
    recorded_by: str = ""


def agrees(consent: Consent | None, scope: ConsentScope) -> bool:
    """Return whether a consent covers something."""
    return consent is not None and scope in consent.scopes
