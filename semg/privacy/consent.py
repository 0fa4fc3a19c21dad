"""Effects of consent: the text in force, and what is stopped when consent changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from semg.capture import abort
from semg.consent_types import SCOPES, ConsentScope, ConsentText, NewConsent
from semg.errors import SettingsError
from semg.languages import DEFAULT_LANGUAGE, LANGUAGES
from semg.settings import PROJECT_DIR, Settings
from semg.store import consents, jobs
from semg.store.erasing import note_in_bases
from semg.store.pool import Transaction
from semg.store.running_captures import find_running

DEFAULT_TEXT = PROJECT_DIR / "docs" / "consent" / "version-2.md"
MAX_TEXT_BYTES = 100_000
_VERSION = re.compile(r"version (\S.{0,90})", re.IGNORECASE)
WITHDRAWN: tuple[ConsentScope, ...] = ()

TEST_PERSON = NewConsent(
    SCOPES,
    ConsentText("test data", "Synthetic or published recordings, made for a test: nobody's consent is needed."),
    recorded_by="a tool in testing/",
)
"""For profiles that tools make: a person of nobody's, or of a published data set."""


def of_a_study(recorded_by: str) -> NewConsent:
    """Return the consent of a person whose recordings come from a study, as whoever imports them states it."""
    text = (
        "Recordings of a study. The person agreed to being recorded there; that is stated by whoever imported them, "
        "and nothing else is."
    )
    return NewConsent(("recording",), ConsentText("imported study", text), recorded_by=recorded_by)


def read_text(settings: Settings, language: str = DEFAULT_LANGUAGE) -> ConsentText:
    """Return the current consent text: that of ``CONSENT_FILE``, or the project's own.

    In another language it is the file beside it whose name has the language's code before its ending (``text.de.md``
    beside ``text.md``); where there is none, the text as it is. Each is a version of its own: what is stored is the
    text that the person read.

    Raises
    ------
    SettingsError
        The file cannot be read, or its first line does not say its version.
    """
    path: Path = settings.consent_file or DEFAULT_TEXT
    if language in LANGUAGES and (translated := path.with_suffix(f".{language}{path.suffix}")).is_file():
        path = translated
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"CONSENT_FILE {path} cannot be read as text: {exc}") from exc
    if len(content) > MAX_TEXT_BYTES:
        raise SettingsError(f"CONSENT_FILE {path} has more than {MAX_TEXT_BYTES:,} characters")
    first, _, rest = content.partition("\n")
    said = _VERSION.fullmatch(first.strip())
    if said is None or not rest.strip():
        raise SettingsError(f"CONSENT_FILE {path}: its first line must be its version, as in “Version 2”")
    return ConsentText(first.strip().lower(), rest.strip())


def change(tx: Transaction, user_id: int, new: NewConsent, now: datetime | None = None) -> None:
    """Store a person's new consent; without consent to the recording, running activities are stopped.

    A capture ends at once, its video with it, and scheduled or running jobs are canceled. Stored data stay until they
    are erased.

    Raises
    ------
    InvalidValueError, NotFoundError, ConflictError
        As for ``semg.store.consents.insert_consent``.
    """
    consents.insert_consent(tx, user_id, new)
    if "shared_models" not in new.scopes:
        note_in_bases(tx, user_id)
    if "recording" in new.scopes:
        return
    session = find_running(tx, user_id)
    if session is not None:
        abort(tx, session.session_id, now or datetime.now(UTC))
    jobs.request_cancel_all(tx, user_id)
