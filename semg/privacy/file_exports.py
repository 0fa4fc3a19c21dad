"""Files that leave the platform, by name: their profile, the audit entry, and the content.

The name is part of the address and the subject of a browser's token. Archives and videos, which are files on disk, have
separate addresses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from semg.errors import NotFoundError
from semg.play.results_csv import FIGURES, results_csv
from semg.security import audit_chain
from semg.store import audit, gestures, models, play, profiles, sessions
from semg.store.audit import Actor
from semg.store.pool import Pool, Transaction

_NUMBER = r"([1-9]\d{0,17})"
_PARQUET, _CSV = "application/vnd.apache.parquet", "application/gzip"


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is about to be sent.

    Attributes
    ----------
    saved_as
        Suggested file name; empty for content that is shown in a page.
    """

    media_type: str
    saved_as: str
    pieces: Iterator[bytes]


class Download(Protocol):
    """A file that can be fetched by its name; its existence is checked when it is opened.

    Attributes
    ----------
    takes_turns
        Whether it costs something to read, so that few are read at the same moment; else it is one piece, and small.
    """

    takes_turns: ClassVar[bool]

    def whose(self, tx: Transaction) -> int | None:
        """Return its profile, or None if it is for admins only; or raise NotFoundError."""
        ...

    def note(self, tx: Transaction, actor: Actor) -> None:
        """Record the export in the audit log."""
        ...

    def open(self, pool: Pool) -> Content:
        """Return the content; reading continues while ``pieces`` is iterated.

        Raises
        ------
        NotFoundError
            It does not exist (any more).
        """
        ...


@dataclass(frozen=True, slots=True)
class SessionFile:
    """A session's samples with their labels."""

    takes_turns: ClassVar[bool] = True
    session_id: int
    kind: str

    def whose(self, tx: Transaction) -> int:
        """Return the session's profile."""
        return sessions.get_session(tx, self.session_id).user_id

    def note(self, tx: Transaction, actor: Actor) -> None:
        """Record the export of the session."""
        audit.record(tx, actor, "session.exported", self.whose(tx), self.session_id)

    def open(self, pool: Pool) -> Content:
        """Return the session as gzip CSV or as Parquet."""
        from semg.recordings import session_export  # brings pyarrow, which the API needs for nothing else

        with pool.transaction() as tx:
            session = sessions.get_session(tx, self.session_id)
        name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in session.name)
        name += "-simulated" if session.simulated else ""
        if self.kind == "csv.gz":
            return Content(_CSV, f"{name}.csv.gz", session_export.iterate_csv(pool, session))
        return Content(_PARQUET, f"{name}.parquet", session_export.iterate_parquet(pool, session))


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A version of a profile's model, or its report."""

    takes_turns: ClassVar[bool] = True
    user_id: int
    version: int
    kind: str

    def whose(self, tx: Transaction) -> int:
        """Return the model's profile."""
        return models.get_model(tx, self.user_id, self.version).user_id

    def note(self, tx: Transaction, actor: Actor) -> None:
        """Record the export of the model or its report."""
        action: audit.Action = "report.exported" if self.kind == "json" else "model.exported"
        audit.record(tx, actor, action, self.user_id, version=self.version)

    def open(self, pool: Pool) -> Content:
        """Return the weights as safetensors, or the report as JSON."""
        name = f"model-{self.user_id}-v{self.version}.{self.kind}"
        with pool.transaction() as tx:
            if self.kind == "safetensors":
                artifact = models.get_artifact(tx, self.user_id, self.version)
                return Content("application/octet-stream", name, iter([artifact]))
            model = models.get_model(tx, self.user_id, self.version)
        report = json.dumps({"metadata": model.metadata, "report": model.report}, indent=1, sort_keys=True)
        return Content("application/json", name, iter([report.encode()]))


@dataclass(frozen=True, slots=True)
class PromptFile:
    """The picture or video that shows how a gesture is performed; shown in pages, and so not recorded."""

    takes_turns: ClassVar[bool] = False
    gesture_id: int

    def whose(self, tx: Transaction) -> int:
        """Return the profile of the gesture."""
        return gestures.get_gesture(tx, self.gesture_id).user_id

    def note(self, tx: Transaction, actor: Actor) -> None:
        """Record nothing."""

    def open(self, pool: Pool) -> Content:
        """Return the picture or video, which was opened as one before it was stored."""
        with pool.transaction() as tx:
            found = gestures.find_prompt(tx, self.gesture_id)
        if found is None:
            raise NotFoundError(f"gesture {self.gesture_id} has no picture and no video")
        return Content(found[0], "", iter([found[1]]))


@dataclass(frozen=True, slots=True)
class PlayFile:
    """The results of a profile's measured play."""

    takes_turns: ClassVar[bool] = True
    user_id: int

    def whose(self, tx: Transaction) -> int:
        """Return the profile, if it exists."""
        return profiles.get_profile(tx, self.user_id).user_id

    def note(self, tx: Transaction, actor: Actor) -> None:
        """Record the export of the results."""
        audit.record(tx, actor, "play.exported", self.user_id)

    def open(self, pool: Pool) -> Content:
        """Return the results as CSV."""
        portions = play.iterate_figures(pool, self.user_id, FIGURES)
        return Content("text/csv", f"play-{self.user_id}.csv", results_csv(portions))


@dataclass(frozen=True, slots=True)
class AuditFile:
    """The audit log with its hashes; for admins."""

    takes_turns: ClassVar[bool] = True
    kind: audit_chain.Format

    def whose(self, tx: Transaction) -> None:
        """Return None: it has no profile, and is for admins only."""

    def note(self, tx: Transaction, actor: Actor) -> None:
        """Record the export of the log."""
        audit.record(tx, actor, "audit.exported")

    def open(self, pool: Pool) -> Content:
        """Return the log as CSV or JSON lines."""
        media = "text/csv" if self.kind == "csv" else "application/x-ndjson"
        return Content(media, f"audit.{self.kind}", audit_chain.export(pool, self.kind))


def audit_file(kind: str) -> str:
    """Return the name of the audit log's file: ``csv`` or ``jsonl``."""
    return f"audit.{kind}"


def session_file(session_id: int, kind: str) -> str:
    """Return the name of a session's file: ``csv.gz`` or ``parquet``."""
    return f"session-{session_id}.{kind}"


def model_file(user_id: int, version: int, kind: str) -> str:
    """Return the name of a model's file: ``safetensors`` or ``json`` (its report)."""
    return f"model-{user_id}-{version}.{kind}"


def prompt_file(gesture_id: int) -> str:
    """Return the name of a gesture's picture or video."""
    return f"prompt-{gesture_id}"


def play_file(user_id: int) -> str:
    """Return the name of the file with a profile's results of measured play."""
    return f"play-{user_id}.csv"


def find_download(name: str) -> Download | None:
    """Return the file of a name, or None for an unknown name."""
    if found := re.fullmatch(rf"session-{_NUMBER}\.(csv\.gz|parquet)", name, re.ASCII):
        return SessionFile(int(found[1]), found[2])
    if found := re.fullmatch(rf"model-{_NUMBER}-{_NUMBER}\.(safetensors|json)", name, re.ASCII):
        return ModelFile(int(found[1]), int(found[2]), found[3])
    if found := re.fullmatch(rf"prompt-{_NUMBER}", name, re.ASCII):
        return PromptFile(int(found[1]))
    if found := re.fullmatch(rf"play-{_NUMBER}\.csv", name, re.ASCII):
        return PlayFile(int(found[1]))
    if name in ("audit.csv", "audit.jsonl"):
        return AuditFile("csv" if name == "audit.csv" else "jsonl")
    return None
