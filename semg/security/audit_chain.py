"""The audit log's chain of hashes: verified, and exported.

Each entry carries the SHA-256 of a JSON array: the hash before it, its number, and what it says. PostgreSQL computes it
when the entry is committed (``audit_hash`` in ``db/postgres.sql``); it is computed here again, so that a check trusts
neither the database's functions nor its triggers. Somebody with the owner's rights could rewrite the whole
chain: that is detected with a hash that was recorded elsewhere before (``noted``).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from semg.errors import ConflictError, InvalidValueError
from semg.store import audit_log
from semg.store.audit_log import ChainedEntry
from semg.store.pool import Pool, Transaction
from semg.wire import csv_cells

Format = Literal["csv", "jsonl"]
BATCH = 5_000
_COLUMNS = (
    "number", "at", "account", "login", "service", "action", "profile", "session", "counts", "previous_hash", "hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Noted:
    """The number and hash of an entry that somebody noted earlier."""

    number: int
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Noted:
        """Read ``NUMBER:HASH``.

        Raises
        ------
        InvalidValueError
            It is something else.
        """
        number, _, digest = text.strip().partition(":")
        try:
            made = cls(int(number), bytes.fromhex(digest))
        except ValueError as exc:
            raise InvalidValueError("noted", f"enter NUMBER:HASH as it was printed (now {text!r})") from exc
        if made.number < 1 or len(made.hash) != 32:
            raise InvalidValueError("noted", f"enter a number from 1 and 64 hexadecimal digits (now {text!r})")
        return made

    def __str__(self) -> str:
        """Return ``NUMBER:HASH``."""
        return f"{self.number}:{self.hash.hex()}"


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """Result of a check.

    Attributes
    ----------
    n_entries, first, last
        Number of entries checked, and the numbers of the first and the last; 0 for none.
    head
        Number and hash of the last one, to be recorded elsewhere; None for an empty log.
    broken
        Number of the first entry that was modified or is missing; None if there is none.
    reason
        What is wrong with it; empty if nothing is.
    """

    n_entries: int = 0
    first: int = 0
    last: int = 0
    head: Noted | None = None
    broken: int | None = None
    reason: str = ""


def hash_of(previous: bytes, entry: ChainedEntry) -> bytes:
    """Return the hash of an entry that follows another one."""
    counts = {name: entry.counts[name] for name in sorted(entry.counts, key=lambda one: (len(one.encode()), one))}
    content = [
        previous.hex(), entry.number, _text(entry.at), entry.account_id, entry.service, entry.action, entry.user_id,
        entry.session_id, counts,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).digest()


def verify(tx: Transaction, noted: Noted | None = None) -> ChainVerdict:
    """Check the whole log; the transaction's first use.

    Parameters
    ----------
    noted
        Entry recorded at an earlier check: it must still have this hash.
    """
    audit_log.begin_reading(tx)
    chain = audit_log.get_chain(tx)
    known = {} if noted is None else {noted.number: noted.hash}
    found = _follow(_entries(tx, chain.anchor_number), chain.anchor_number, chain.anchor_hash, known)
    if found.broken is not None:
        return found
    reached = found.head or Noted(chain.anchor_number, chain.anchor_hash)
    if (reached.number, reached.hash) != (chain.head_number, chain.head_hash):
        return _break(found, min(reached.number, chain.head_number) + 1, "the log does not end where its chain ends")
    if chain.unchained:
        return _break(found, reached.number + 1, f"{chain.unchained} entries were added past the chain")
    if noted is not None and noted.number > reached.number:
        return _break(found, reached.number + 1, f"entry {noted.number}, which was noted, is missing")
    if noted is not None and noted.number == chain.anchor_number and noted.hash != chain.anchor_hash:
        return _break(found, noted.number, "it had another hash when it was noted")
    return found


def verify_export(lines: Iterable[str]) -> ChainVerdict:
    """Check an export in JSON lines without its database; nothing is known of what precedes its first entry.

    Raises
    ------
    InvalidValueError
        It is no such export.
    """
    entries, previous = [], audit_log.START
    for index, line in enumerate(lines):
        try:
            one: dict[str, Any] = json.loads(line)
            entry = ChainedEntry(
                number=int(one["number"]),
                at=datetime.fromisoformat(one["at"]),
                account_id=one["account"],
                service=one["service"],
                action=one["action"],
                user_id=one["profile"],
                session_id=one["session"],
                counts=dict(one["counts"]),
                hash=bytes.fromhex(one["hash"]),
            )
            previous = bytes.fromhex(one["previous_hash"]) if index == 0 else previous
        except (ValueError, KeyError, TypeError) as exc:
            raise InvalidValueError("file", f"name an export in JSON lines: line {index + 1} is not JSON") from exc
        entries.append(entry)
    return _follow(entries, entries[0].number - 1 if entries else 0, previous, {})


def export(pool: Pool, form: Format) -> Iterator[bytes]:
    """Yield the entire log as a file, in chunks: CSV with a header line, or one JSON object per line.

    Accounts appear as numbers, which are hashed, and with their current login, which is not. In CSV a login
    that a spreadsheet would take for a formula has an apostrophe before it.

    Raises
    ------
    ConflictError
        Entries were deleted while they were read.
    """
    with pool.transaction() as tx:
        audit_log.begin_reading(tx)
        chain = audit_log.get_chain(tx)
    number, previous = chain.anchor_number, chain.anchor_hash
    if form == "csv":
        yield _csv([_COLUMNS])
    while number < chain.head_number:
        with pool.transaction() as tx:  # one per chunk: a slow download holds no connection
            entries = audit_log.list_chained(tx, number, min(BATCH, chain.head_number - number))
        if not entries or entries[0].number != number + 1:
            raise ConflictError(f"entry {number + 1} of the audit log is not there (any more); check it, and try again")
        told = []
        for entry in entries:
            told.append(_fields(entry, previous))
            number, previous = entry.number, entry.hash
        if form == "csv":
            yield _csv([[_cell(one[name]) for name in _COLUMNS] for one in told])
        else:
            yield "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told).encode()


def _entries(tx: Transaction, after: int) -> Iterator[ChainedEntry]:
    while batch := audit_log.list_chained(tx, after, BATCH):
        yield from batch
        after = batch[-1].number


def _follow(entries: Iterable[ChainedEntry], number: int, previous: bytes, noted: dict[int, bytes]) -> ChainVerdict:
    """Recompute every hash, from a number and its hash on, until one does not match."""
    found = ChainVerdict()
    for entry in entries:
        if entry.number != number + 1:
            return _break(found, number + 1, f"it is missing: entry {entry.number} is next")
        digest = hash_of(previous, entry)
        if digest != entry.hash:
            return _break(found, entry.number, "it, or what was before it, is not what was written")
        if noted.get(entry.number, digest) != digest:
            return _break(found, entry.number, "it had another hash when it was noted")
        number, previous = entry.number, digest
        found = ChainVerdict(found.n_entries + 1, found.first or number, number, Noted(number, digest))
    return found


def _break(found: ChainVerdict, number: int, reason: str) -> ChainVerdict:
    return ChainVerdict(found.n_entries, found.first, found.last, found.head, number, reason)


def _fields(entry: ChainedEntry, previous: bytes) -> dict[str, Any]:
    values = (
        entry.number, _text(entry.at), entry.account_id, entry.login, entry.service, entry.action, entry.user_id,
        entry.session_id, entry.counts, previous.hex(), entry.hash.hex(),
    )  # fmt: skip
    return dict(zip(_COLUMNS, values, strict=True))


def _text(at: datetime) -> str:
    """Format a time as the database does for the hash."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _csv(lines: Iterable[Iterable[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv_cells.Writer(out).writerows(lines)
    return out.getvalue().encode()
