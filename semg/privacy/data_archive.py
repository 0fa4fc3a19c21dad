"""Write everything that is stored about a person as one readable zip archive.

Written in chunks: at most ten minutes of samples, one model's report, one population prior or a chunk of a video are in
memory.
"""

from __future__ import annotations

import io
import json
import math
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np

from semg.block_table import BlockTable
from semg.consent_types import Consent
from semg.domain import Profile, Session, us_from_utc
from semg.errors import ArtifactError, ConflictError
from semg.privacy import pseudonyms
from semg.privacy.time_spans import Spans
from semg.recordings.portions import iterate_portions
from semg.security.encrypted_files import Vault
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.store import (
    access,
    accounts,
    archive,
    audit,
    blocks,
    boards,
    consents,
    event_settings,
    gesture_events,
    gestures,
    jobs,
    models,
    play,
    profiles,
    repetitions,
    session_quality,
    sessions,
    videos,
)
from semg.store.block_cuts import trimmed
from semg.store.pool import Pool
from semg.video.files import files_of
from semg.wire import csv_cells

STEP = timedelta(minutes=10)
_COPY_BYTES = 1 << 20
_FIRST_US, _LAST_US = -(1 << 62), 1 << 62
README = """Everything that this platform has stored about one person

profile.json          the profile, its device, and the counts of what is stored; the name behind a code only if an
                      administrator made this archive
access.json           the account whose profile this is, and those that it is shared with since when
senders.json          the boards and the numbers of text senders whose samples are stored for this profile
consents.json         what was agreed to, when, to which text, and withdrawn; the texts stand in consent_texts/
gestures.json         the gestures; pictures and films that show them stand in gestures/
sessions/N/           a recording session:
    session.json      its name, time, channels and plan
    samples.csv       server_us, device_us, then one column for each channel
    labels.csv        what was performed when
    quality.json      how good the signal was judged to be, and that of each label by its number
    changes.csv       labels that were changed afterwards
    video.mp4         the webcam's video, if there is one; video_times.csv has each frame's time
outside/DAY.csv       samples that the device sent outside of sessions: server_us, device_us, values in channel order
decisions.csv         what was recognised when, how sure, by which version of the classifier
events.csv            the gestures that were pressed, held and released, as programs were told
models/V.json         the description and the report of version V of the classifier; models/V.safetensors its numbers
play/N.json           a test that was played by gestures: what was set, its figures, every selection or prompt
jobs.json             the trainings with their logs and epochs, and the labels as each used them
bases/FILE.json       what the starting points of other people's trainings hold of this person: statistics, no sample
audit.csv             who saw, exported, shared and changed these data

Accounts of this platform stand as numbers, as in "account 3"; "account gone" is one that was deleted since, or a tool.
Times are UTC; server_us counts microseconds from 1970-01-01 on the server's clock, device_us on the device's.
CSV files are UTF-8 with a comma between fields and names in the first line. A text that a spreadsheet would compute (it
begins with = + - @) has an apostrophe in front.
"""


def write_archive(
    pool: Pool,
    settings: Settings,
    user_id: int,
    out: BinaryIO,
    progress: Callable[[float], None] = lambda share: None,
    *,
    with_name: bool = False,
    longest_s: float = math.inf,
) -> None:
    """Write the archive of a profile.

    Parameters
    ----------
    progress
        Called with the progress, 0 to 1.
    with_name
        Decrypt the name behind a pseudonym too.
    longest_s
        After so long it is given up.

    Raises
    ------
    NotFoundError
        There is no such profile, or it was erased meanwhile.
    ConflictError
        It took too long.
    """
    _Archive(pool, settings, user_id, out, progress, longest_s).write(with_name)


class _Archive:
    def __init__(
        self,
        pool: Pool,
        settings: Settings,
        user_id: int,
        out: BinaryIO,
        progress: Callable[[float], None],
        longest_s: float,
    ) -> None:
        self._longest_s, self._ends_at = longest_s, time.monotonic() + longest_s
        self._pool = pool
        self._settings = settings
        self._user_id = user_id
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._progress = progress
        self._done, self._all = 0, 1
        self._accounts: dict[str, int] = {}

    def write(self, with_name: bool) -> None:
        secret = ring_of(self._settings)
        about: dict[str, Any] = {"made_at": datetime.now(UTC)}
        with self._pool.transaction() as tx:
            profile = profiles.get_profile(tx, self._user_id)
            if with_name:
                about["real_name"] = pseudonyms.find_name(tx, secret, self._user_id)
            self._accounts = {one.login: one.account_id for one in accounts.list_accounts(tx)}
            about["event_times"] = asdict(event_settings.find_event_spec(tx, self._user_id))
            counts = profiles.count_profile(tx, self._user_id)
            found = sessions.list_sessions(tx, self._user_id, limit=1_000_000)[::-1]
        self._all = max(1, counts.samples)
        with self._zip:
            self._zip.writestr("README.txt", README)
            consent = None if profile.consent is None else self._consent(profile.consent)
            self._json("profile.json", {**asdict(profile), "consent": consent, "stored": asdict(counts), **about})
            self._access()
            self._consents()
            self._gestures()
            for session in found:
                self._session(session)
            self._outside(profile, found)
            self._decisions()
            self._events()
            self._models()
            self._bases()
            self._play()
            self._audit()
        with self._pool.transaction() as tx:
            profiles.get_profile(tx, self._user_id)  # erased meanwhile: nobody gets what was read before
        self._progress(1.0)

    def _who(self, login: str) -> str:
        """Return an account by its number: a login is another person's name."""
        return f"account {self._accounts.get(login, 'gone')}" if login else ""

    def _consent(self, given: Consent) -> dict[str, Any]:
        return {**asdict(given), "recorded_by": self._who(given.recorded_by)}

    def _access(self) -> None:
        with self._pool.transaction() as tx:
            owner = access.find_owner(tx, self._user_id)
            shares = archive.list_shares(tx, self._user_id)
            sending = [one for one in boards.list_boards(tx) if one.belongs_to == self._user_id]
            numbers = archive.list_senders(tx, self._user_id)
        shared = [{"account": f"account {one.account_id}", "since": one.shared_at} for one in shares]
        self._json("access.json", {"owner": None if owner is None else f"account {owner}", "shared_with": shared})
        mine = [{"board": one.board_id, "name": one.name, "key_made_at": one.key_made_at} for one in sending]
        self._json("senders.json", {"boards": mine, "text_senders": [one._asdict() for one in numbers]})

    def _consents(self) -> None:
        with self._pool.transaction() as tx:
            history = consents.list_consents(tx, self._user_id)
            texts = [consents.find_text(tx, version) for version in sorted({one.text_version for one in history})]
        self._json("consents.json", [self._consent(one) for one in history])
        for text in texts:
            if text is not None:
                safe = "".join(letter if letter.isalnum() else "-" for letter in text.version)
                self._zip.writestr(f"consent_texts/{safe}.txt", f"{text.version}\n\n{text.content}\n")

    def _gestures(self) -> None:
        with self._pool.transaction() as tx:
            bank = gestures.list_gestures(tx, self._user_id)
        self._json("gestures.json", [asdict(one) for one in bank])
        for one in bank:
            with self._pool.transaction() as tx:
                prompt = gestures.find_prompt(tx, one.gesture_id)
            if prompt is not None:
                self._zip.writestr(f"gestures/{one.gesture_id}.{prompt[0].rpartition('/')[2]}", prompt[1])

    def _session(self, session: Session) -> None:
        folder = f"sessions/{session.session_id}"
        with self._pool.transaction() as tx:
            planned = sessions.get_session(tx, session.session_id)
            labels = sessions.list_repetitions(tx, session.session_id)
            changes = repetitions.list_changes(tx, session.session_id, limit=1_000_000)
            video = videos.find_video(tx, session.session_id)
            quality = session_quality.find_quality(tx, session.session_id)
        self._json(f"{folder}/session.json", {**asdict(planned), "video": None if video is None else asdict(video)})
        with self._csv(f"{folder}/labels.csv") as rows:
            rows.writerow(["label", "gesture", "number", "started_at", "ended_at", "left_out", "reason"])
            rows.writerows(
                [one.repetition_id, one.gesture, one.number, one.started_at, one.ended_at, one.excluded,
                 one.exclude_reason]
                for one in labels
            )  # fmt: skip
        if quality is not None:
            self._json(f"{folder}/quality.json", asdict(quality))
        if changes:
            with self._csv(f"{folder}/changes.csv") as rows:
                rows.writerow(["changed_at", "changed_by", "before", "after"])
                rows.writerows([one.changed_at, self._who(one.changed_by), one.before, one.after] for one in changes)
        with self._csv(f"{folder}/samples.csv") as rows:
            rows.writerow(["server_us", "device_us", *session.channels])
            for table in iterate_portions(self._pool, session, STEP, with_late=True):
                self._samples(rows, table)
        if video is not None and video.status == "ready":
            self._video(session.session_id, folder)

    def _outside(self, profile: Profile, found: list[Session]) -> None:
        """Write live samples of no session, a file for each day."""
        with self._pool.transaction() as tx:
            times = archive.list_live_times(tx, profile.user_id)
        spans = Spans([(one.started_at, one.ended_at or datetime.now(UTC)) for one in found if one.origin != "import"])
        for day, within in groupby(times, lambda at: at.date()):
            with self._csv(f"outside/{day:%Y-%m-%d}.csv") as rows:
                rows.writerow(["server_us", "device_us", *profile.device.channels])
                for at in within:
                    with self._pool.transaction() as tx:
                        table = blocks.read_blocks(tx, profile.user_id, at, at + STEP)
                    for since, until in spans.overlapping(at, at + STEP):
                        before = trimmed(table, _FIRST_US, us_from_utc(since))
                        after = trimmed(table, us_from_utc(until), _LAST_US)
                        if before.n_samples + after.n_samples < table.n_samples:
                            table = BlockTable.joined([before, after])
                    self._samples(rows, table)

    def _samples(self, rows: csv_cells.Writer, table: BlockTable) -> None:
        """Write the samples of blocks, which may differ in their number of channels."""
        self._require_time()
        for block in table.blocks():
            columns = [block.server_us.tolist(), block.device_us.tolist()]
            columns += [np.char.mod("%.9g", block.samples[:, k]).tolist() for k in range(block.samples.shape[1])]
            rows.write_numbers(zip(*columns, strict=True))
        self._done += table.n_samples
        self._progress(min(0.99, self._done / self._all))

    def _video(self, session_id: int, folder: str) -> None:
        vault = Vault(ring_of(self._settings))
        files = files_of(self._settings.videos, session_id, vault)
        info = zipfile.ZipInfo(f"{folder}/video.mp4", datetime.now(UTC).timetuple()[:6])
        with files.open(files.video) as video, self._zip.open(info, "w", force_zip64=True) as copy:
            while chunk := video.read(_COPY_BYTES):
                self._require_time()
                copy.write(chunk)
        with files.open(files.times) as times, self._csv(f"{folder}/video_times.csv") as rows:
            rows.writerow(["frame", "server_us"])
            rows.write_numbers(enumerate(np.frombuffer(times.read() or b"", "<i8").tolist()))

    def _decisions(self) -> None:
        with self._csv("decisions.csv") as rows:
            rows.writerow(["decided_at", "label", "confidence", "model_version", "window_end_at"])
            for portion in archive.iterate_decisions(self._pool, self._user_id):
                self._require_time()
                rows.writerows(portion)

    def _events(self) -> None:
        names = ("sequence", "kind", "gesture", "at_us", "begun_us", "pressed_us", "confidence", "strength",
                 "model_version", "reason")  # fmt: skip
        with self._csv("events.csv") as rows:
            rows.writerow(names)
            after = 0
            while True:
                self._require_time()
                with self._pool.transaction() as tx:
                    portion = gesture_events.list_events(tx, self._user_id, after)
                rows.writerows([getattr(event, name) for name in names] for event in portion)
                if not portion:
                    return
                after = portion[-1].sequence

    def _models(self) -> None:
        with self._pool.transaction() as tx:
            versions = models.list_models(tx, self._user_id)
            done = jobs.list_jobs(tx, self._user_id, limit=1_000_000)
        for model in versions:
            with self._pool.transaction() as tx:
                artifact = models.get_artifact(tx, self._user_id, model.version)
            self._json(f"models/{model.version}.json", asdict(model))
            self._zip.writestr(f"models/{model.version}.safetensors", artifact)
        full = []
        for job in done:
            with self._pool.transaction() as tx:
                more = {"used": jobs.list_used(tx, job.job_id), "epoch_points": jobs.list_epochs(tx, job.job_id)}
                full.append({**asdict(jobs.get_job(tx, job.job_id)), **more})
        self._json("jobs.json", full)

    def _bases(self) -> None:
        """Write the person's statistics from each stored population prior."""
        from semg.priors.building import load_base  # brings scipy, which the app needs for nothing else

        for path in sorted((self._settings.data_dir / "bases").glob("base-*.safetensors")):
            try:
                people = load_base(path).people
            except ArtifactError as exc:
                if path.exists():  # not removed meanwhile
                    self._json(f"bases/{path.stem}.json", {"problem": str(exc)})
                continue
            for part in (person for person in people if person.name == str(self._user_id)):
                fields = {name: value.tolist() if isinstance(value, np.ndarray) else value
                          for name, value in asdict(part).items()}  # fmt: skip
                self._json(f"bases/{path.stem}.json", fields)

    def _play(self) -> None:
        for played, raw in play.iterate_full(self._pool, self._user_id):
            self._json(f"play/{played.result_id}.json", {**asdict(played), "raw": raw})

    def _audit(self) -> None:
        with self._pool.transaction() as tx:
            entries = audit.list_entries(tx, user_id=self._user_id, limit=1_000_000)
        with self._csv("audit.csv") as rows:
            rows.writerow(["at", "account", "action", "session", "counts"])
            rows.writerows([one.at, one.account, one.action, one.session_id, one.counts] for one in entries)

    def _require_time(self) -> None:
        """Refuse to go on with an archive that takes too long: others wait for it."""
        if time.monotonic() > self._ends_at:
            raise ConflictError(
                f"an archive is made in {self._longest_s / 60:.0f} minutes at the most, and this one was not complete "
                "by then: try again when the platform has less to do, or export the sessions one by one on Review"
            )

    def _json(self, name: str, content: Any) -> None:
        self._require_time()
        self._zip.writestr(name, json.dumps(content, indent=1, ensure_ascii=False, default=str))

    @contextmanager
    def _csv(self, name: str) -> Iterator[csv_cells.Writer]:
        with (
            self._zip.open(name, "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, "utf-8", newline="", write_through=False) as text,
        ):
            yield csv_cells.Writer(text)
