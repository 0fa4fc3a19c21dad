"""``semg export``: sessions as files of other tools, for whoever may have them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from semg.command_line.beside import VIDEO, write_decisions, write_video
from semg.domain import Profile, Repetition, Session
from semg.errors import NotFoundError, RecordingError, TrainingError
from semg.formats import bids, registry
from semg.formats.neutral import NeutralRecording, Written
from semg.formats.registry import OutKind
from semg.recordings.neutral_session import open_session
from semg.settings import Settings
from semg.store import audit, consents, profiles, repetitions, sessions
from semg.store.audit import Actor
from semg.store.pool import Pool

MANIFEST = "export.json"
TOOL = Actor(service="semg")
_MAX_SESSIONS = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be exported; no people: all, no sessions: all of theirs.

    Attributes
    ----------
    internal
        The files stay with the group that recorded, which the consent to the recording names.
    with_video
        Also the videos, decrypted: of an internal export only, no text covers more.
    """

    kind: OutKind
    user_ids: tuple[int, ...]
    session_ids: tuple[int, ...]
    out: Path
    internal: bool = False
    with_video: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A person or a session that is not in an export, and why."""

    user_id: int
    session_id: int | None
    why: str


@dataclass(frozen=True, slots=True)
class ExportedSession:
    """A session's files below the folder, and what is not in them."""

    user_id: int
    session_id: int
    files: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class Exported:
    """What an export holds."""

    kind: str
    out: Path
    for_others: bool
    sessions: list[ExportedSession] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        use = "may be shared: everybody in it agreed to that" if self.for_others else (
            "for the group that recorded only: consent to share was not asked for"
        )  # fmt: skip
        return {
            "format": self.kind,
            "out": str(self.out),
            "use": use,
            "sessions": [asdict(one) for one in self.sessions],
            "left_out": [asdict(one) for one in self.left_out],
        }

    def lines(self) -> list[str]:
        """Return it as sentences."""
        n_people = len({one.user_id for one in self.sessions})
        made = [f"Wrote {len(self.sessions)} sessions of {n_people} people to {self.out}."]
        if not self.sessions:
            made = ["Nothing was written."]
        for one in self.sessions:
            made += [f"  session {one.session_id}: {note}" for note in one.notes]
        for left in self.left_out:
            what = f"profile {left.user_id}" if left.session_id is None else f"session {left.session_id}"
            made.append(f"Left out: {what}: {left.why}")
        if self.sessions and not self.for_others:
            made.append("These files are for the group that recorded them only: consent to share was not asked for.")
        return made


def export(
    pool: Pool, settings: Settings, request: Request, progress: Callable[[str], None] = lambda what: None
) -> Exported:
    """Write sessions into a folder, which appears when it is complete; each is an entry of the audit log.

    Raises
    ------
    RecordingError
        The folder is there and not empty.
    NotFoundError
        There is no such profile, or no such session of it (any more).
    ConsentError
        A person withdrew the consent to share meanwhile.
    """
    _require_room(request.out)
    if request.with_video and not request.internal:
        raise RecordingError("nobody has agreed to sharing videos: --video needs --internal")
    chosen, left_out = _chosen(pool, request)
    made = Exported(request.kind, request.out, not request.internal, left_out=left_out)
    making = request.out.with_name(f"{request.out.name}.partial")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        writer = _Writer(pool, settings, request, making)
        for number, (profile, session) in enumerate(chosen, 1):
            progress(f"{number} of {len(chosen)}: session {session.session_id}")
            _one(pool, writer, profile, session, made)
        if not made.sessions:
            return made
        writer.close()
        about = {**made.as_dict(), "out": "", "made_at": datetime.now(UTC).isoformat()}
        (making / MANIFEST).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if request.out.exists():
            request.out.rmdir()
        making.rename(request.out)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return made


def _one(pool: Pool, writer: _Writer, profile: Profile, session: Session, made: Exported) -> None:
    with pool.transaction() as tx:
        labels = repetitions.list_repetitions(tx, session.session_id)
    try:
        written = writer.add(profile, session, labels)
    except (RecordingError, TrainingError) as exc:
        made.left_out.append(LeftOut(profile.user_id, session.session_id, str(exc)))
        return
    with pool.transaction() as tx:
        # Erased or withdrawn meanwhile: nobody gets what was read before, and the export ends.
        sessions.get_session(tx, session.session_id)
        if made.for_others:
            consents.require(tx, profile.user_id, "shared_data")
        audit.record(tx, TOOL, "session.exported", profile.user_id, session.session_id)
        if any(path.name.endswith(VIDEO) for path in written.files):
            audit.record(tx, TOOL, "video.seen", profile.user_id, session.session_id)
    files = tuple(path.relative_to(writer.folder).as_posix() for path in written.files)
    made.sessions.append(ExportedSession(profile.user_id, session.session_id, files, written.notes))


class _Writer:
    """Writes the sessions of an export, one after another."""

    def __init__(self, pool: Pool, settings: Settings, request: Request, folder: Path) -> None:
        self._pool, self._settings, self._request = pool, settings, request
        self._kind, self.folder = request.kind, folder
        self._dataset = bids.Dataset(folder, "sEMG recordings") if request.kind == "bids" else None

    def add(self, profile: Profile, session: Session, labels: list[Repetition]) -> Written:
        recording: NeutralRecording = open_session(self._pool, session, profile, labels)
        if self._dataset is not None:
            written = self._dataset.add(recording, str(session.session_id))
            # What BIDS has no place for lies where its validator does not look.
            source = self.folder / "sourcedata" / f"sub-{profile.user_id}" / f"ses-{session.session_id}"
            return self._with_more(written, session, source / "session-")
        safe = "".join(one if one.isascii() and one.isalnum() else "_" for one in session.name)[:60]
        folder = self.folder / f"person-{profile.user_id}"
        folder.mkdir(exist_ok=True)
        simulated = "-simulated" if session.simulated else ""
        target = folder / f"{session.session_id}-{safe}{simulated}{registry.suffix_of(self._kind)}"
        try:
            written = registry.write(self._kind, recording, target)
        except (RecordingError, TrainingError):
            target.unlink(missing_ok=True) if target.is_file() else shutil.rmtree(target, ignore_errors=True)
            raise
        return self._with_more(written, session, folder / f"{session.session_id}-{safe}{simulated}-")

    def _with_more(self, written: Written, session: Session, beside: Path) -> Written:
        """Write what stands beside the samples, in files whose names begin as a path does."""
        beside.parent.mkdir(parents=True, exist_ok=True)
        files = write_decisions(self._pool, session, beside)
        if self._request.with_video:
            files += write_video(self._pool, self._settings, session, beside)
        if not any(beside.parent.iterdir()):
            beside.parent.rmdir()
        return Written((*written.files, *files), written.notes)

    def close(self) -> None:
        if self._dataset is not None:
            self._dataset.close()
            (self.folder / ".bidsignore").write_text(f"{MANIFEST}\n", encoding="utf-8")


def _chosen(pool: Pool, request: Request) -> tuple[list[tuple[Profile, Session]], list[LeftOut]]:
    """Return the sessions to write, and who and what is left out."""
    left_out: list[LeftOut] = []
    chosen: list[tuple[Profile, Session]] = []
    with pool.transaction() as tx:
        wanted = request.user_ids or tuple(one.user_id for one in profiles.list_profiles(tx))
        people = [profiles.get_profile(tx, user_id) for user_id in wanted]
        agreeing = consents.consenting(tx, wanted, "shared_data")
        found = {one.user_id: sessions.list_sessions(tx, one.user_id, limit=_MAX_SESSIONS)[::-1] for one in people}
    missing = set(request.session_ids) - {one.session_id for listed in found.values() for one in listed}
    if missing:
        raise NotFoundError(f"these people have no session {', '.join(map(str, sorted(missing)))}")
    for person in people:
        if not request.internal and person.user_id not in agreeing:
            why = "this person has not agreed to share data with others (--internal is for the group's own use)"
            left_out.append(LeftOut(person.user_id, None, why))
            continue
        for session in found[person.user_id]:
            if request.session_ids and session.session_id not in request.session_ids:
                continue
            if session.status == "recording":
                left_out.append(LeftOut(person.user_id, session.session_id, "it is being recorded"))
            else:
                chosen.append((person, session))
    return chosen, left_out


def _require_room(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RecordingError(f"{out} is there already: name a folder that is not there yet, or an empty one")
