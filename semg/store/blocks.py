"""Samples in ``sample_blocks``, and how far the journal has been copied there.

Rows travel in PostgreSQL's binary COPY format in both directions (``block_rows``): values come back as the float32
that they were. One row covers at most ``MAX_ROW_US``, so that a time range finds its rows by ``started_at``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from semg.block_table import MAX_SPAN_US, BlockTable
from semg.domain import Block, Session, us_from_utc, utc_from_us
from semg.errors import InvalidValueError, NotFoundError
from semg.store.block_cuts import cut_long, trimmed
from semg.store.block_rows import READ, WRITTEN, decoded_rows, encoded_rows
from semg.store.pool import Transaction, execute, one, rows
from semg.wire.plausible_times import LAST_US

MAX_ROW_US = MAX_SPAN_US

_CHUNK_BYTES = 1 << 18
_DAY_US = 86_400_000_000
_LATELY = timedelta(days=2)


def copy_blocks(tx: Transaction, blocks: BlockTable | Iterable[Block], session_id: int | None = None) -> int:
    """Write blocks, and return the number of rows.

    The caller has made sure that the profiles exist (``profiles.lock_consenting``). The days' partitions are made.

    Parameters
    ----------
    session_id
        For imported samples: the session that they belong to.

    Raises
    ------
    InvalidValueError
        A sample lies in no year that a recording may be of.
    """
    table = blocks if isinstance(blocks, BlockTable) else BlockTable.from_blocks(list(blocks))
    if not len(table):
        return 0
    table = cut_long(table)
    days = np.unique((table.rows["device_us"] + table.rows["clock_offset_us"]) // _DAY_US).tolist()
    if days[0] < 0 or days[-1] > LAST_US // _DAY_US:
        raise InvalidValueError("device_us", "enter when it was recorded: a sample is before 1970 or after 2200")
    for day in days:
        ensure_partition(tx, date(1970, 1, 1) + timedelta(days=day), is_import=session_id is not None)
    body = io.BytesIO(encoded_rows(table, session_id))
    with tx.cursor() as cursor:
        cursor.copy_expert(f"COPY sample_blocks ({WRITTEN}) FROM STDIN WITH (FORMAT binary)", body, _CHUNK_BYTES)
    return len(table)


def list_blocks(tx: Transaction, user_id: int, since: datetime, until: datetime) -> list[Block]:
    """Return a profile's live samples as blocks in time order, trimmed to ``[since, until)`` of server time.

    Segments are not interleaved, so that a block without ``starts_run`` continues the one before it that is not
    late. A block that lost its first samples to the trimming does not start a run.
    Imported samples belong to their sessions and are not among these.
    """
    return read_blocks(tx, user_id, since, until).blocks()


def read_blocks(tx: Transaction, user_id: int, since: datetime, until: datetime) -> BlockTable:
    """Return the blocks of ``list_blocks`` as columns."""
    query = "user_id = %s AND session_id IS NULL AND started_at >= %s AND started_at < %s"
    found = _read(tx, query, (user_id, since - timedelta(microseconds=MAX_ROW_US), until))
    return trimmed(found, us_from_utc(since), us_from_utc(until))


def read_session_blocks(tx: Transaction, session: Session) -> BlockTable:
    """Return the samples of a session: those of its time, or those imported for it."""
    if session.origin != "import":
        until = session.ended_at or datetime(9999, 1, 1, tzinfo=UTC)
        return read_blocks(tx, session.user_id, session.started_at, until)
    return _read(tx, "user_id = %s AND session_id = %s", (session.user_id, session.session_id))


def read_imported(tx: Transaction, user_id: int, session_id: int, since: datetime, until: datetime) -> BlockTable:
    """Return a part of an imported session's samples, as ``read_blocks`` does."""
    query = "user_id = %s AND session_id = %s AND started_at >= %s AND started_at < %s"
    found = _read(tx, query, (user_id, session_id, since - timedelta(microseconds=MAX_ROW_US), until))
    return trimmed(found, us_from_utc(since), us_from_utc(until))


def find_next_start(
    tx: Transaction, session: Session, since: datetime, until: datetime, *, with_late: bool
) -> datetime | None:
    """Return when the first block of a session's samples begins in ``[since, until)``, or None; by the index."""
    whose = "session_id IS NULL" if session.origin != "import" else "session_id = %(session)s"
    found = one(
        tx,
        f"""
        SELECT started_at FROM sample_blocks
        WHERE user_id = %(user)s AND {whose} AND started_at >= %(since)s AND started_at < %(until)s
          AND (%(late)s OR NOT late) ORDER BY started_at LIMIT 1
        """,  # noqa: S608 - two constants
        {"user": session.user_id, "session": session.session_id, "since": since, "until": until, "late": with_late},
    )
    return None if found is None else found.started_at


def last_sample_at(tx: Transaction, user_id: int) -> datetime | None:
    """Return the server time of the last sample that a profile's device sent, or None."""
    for since in (datetime.now(UTC) - _LATELY, datetime(1970, 1, 1, tzinfo=UTC)):  # few partitions first
        found = one(
            tx,
            """
            SELECT device_us + span_us + clock_offset_us AS at_us FROM sample_blocks
            WHERE user_id = %s AND session_id IS NULL AND NOT late AND started_at >= %s
            ORDER BY started_at DESC LIMIT 1
            """,
            (user_id, since),
        )
        if found is not None:
            return utc_from_us(int(found.at_us))
    return None


def ensure_partition(tx: Transaction, day: date, *, is_import: bool = False) -> None:
    """Create the partition of a day (UTC) unless it exists.

    Of an import it is the partition of the whole month, if that is long over: files of a few kilobytes could have
    any number of days.
    """
    function = "ensure_import_partition" if is_import else "ensure_sample_partition"
    execute(tx, f"SELECT {function}(%s)", (day,))  # noqa: S608 - two constants


def read_progress(tx: Transaction, stream: str, partition: int, created_at: datetime) -> int:
    """Return the last journal sequence that is stored, 0 for none or for an earlier stream of this name."""
    found = one(
        tx,
        "SELECT created_at, sequence FROM journal_progress WHERE stream = %s AND partition = %s",
        (stream, partition),
    )
    return int(found.sequence) if found is not None and found.created_at == created_at else 0


def lock_progress(tx: Transaction, stream: str, partition: int, created_at: datetime) -> int:
    """Return the last journal sequence that is stored, locked against other store tasks until the transaction ends.

    Raises
    ------
    NotFoundError
        Another store task already reads a newer stream of this name: this one no longer exists.
    """
    execute(
        tx,
        """
        INSERT INTO journal_progress (stream, partition, created_at, sequence) VALUES (%s, %s, %s, 0)
        ON CONFLICT DO NOTHING
        """,
        (stream, partition, created_at),
    )
    (found,) = rows(
        tx,
        "SELECT created_at, sequence FROM journal_progress WHERE stream = %s AND partition = %s FOR UPDATE",
        (stream, partition),
    )
    if found.created_at > created_at:
        raise NotFoundError(f"stream {stream} of {created_at} was replaced at {found.created_at}: open it again")
    return int(found.sequence) if found.created_at == created_at else 0


def save_progress(tx: Transaction, stream: str, partition: int, created_at: datetime, sequence: int) -> None:
    """Save the last journal sequence that this transaction stores."""
    execute(
        tx,
        "UPDATE journal_progress SET created_at = %s, sequence = %s WHERE stream = %s AND partition = %s",
        (created_at, sequence, stream, partition),
    )


def take_blocks(tx: Transaction, user_id: int, since: datetime, until: datetime) -> BlockTable:
    """Remove the rows with samples in ``[since, until)`` of server time, and return them untrimmed."""
    return _copied(
        tx,
        f"""
        DELETE FROM sample_blocks
        WHERE user_id = %s AND session_id IS NULL AND started_at >= %s AND started_at < %s
          AND started_at + span_us * interval '1 microsecond' >= %s
        RETURNING {READ}
        """,  # noqa: S608 - a constant
        (user_id, since - timedelta(microseconds=MAX_ROW_US), until, since),
    )


def _read(tx: Transaction, condition: str, parameters: Sequence[object]) -> BlockTable:
    # Not sorted by the server, which would write rows as wide as these to a file and read them again.
    query = f"SELECT {READ} FROM sample_blocks WHERE {condition}"  # noqa: S608 - the conditions of this module
    return _copied(tx, query, parameters)


def _copied(tx: Transaction, statement: str, parameters: Sequence[object]) -> BlockTable:
    out = io.BytesIO()
    with tx.cursor() as cursor:
        query = cursor.mogrify(statement, parameters).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT WITH (FORMAT binary)", out)
    return decoded_rows(out.getvalue())
