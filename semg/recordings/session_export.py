"""Export a session as a file, streamed with at most some minutes of it in memory.

Arrow formats the numbers without holding the interpreter's lock, so that the API that sends the file stays responsive.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv

from semg.domain import Session
from semg.recordings.sample_tables import (
    SampleTables,
    iterate_samples,
    kept_repetitions,
    labels_of,
    no_samples,
    whole_samples,
)
from semg.recordings.table_formats import encoded
from semg.store.pool import Pool
from semg.wire import csv_cells

T = TypeVar("T")
_NEEDS_QUOTES = frozenset(',"\r\n')


def iterate_csv(pool: Pool, session: Session) -> Iterator[bytes]:
    """Yield a session as a gzip CSV ``millis,a0,…,gesture,repetition``, which can be imported again.

    ``millis`` counts from the session's first sample on the server's clock. Excluded repetitions are unlabelled.

    Raises
    ------
    TrainingError
        The session has no samples, or samples of another number of channels; the former before anything is yielded.
    """
    kept = kept_repetitions(pool, session)
    names = pa.array([None, *(csv_cells.neutral(name) for name in labels_of(kept)[1:])], pa.string())
    needs_quotes = any(_NEEDS_QUOTES & set(name) for name in labels_of(kept))
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed" if needs_quotes else "none")
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    header = ",".join(["millis", *session.channels, "gesture", "repetition"]) + "\n"
    for portion in _some(iterate_samples(pool, session, kept), session):
        columns: dict[str, Any] = {"millis": portion.millis}
        columns |= {name: portion.samples[:, index] for index, name in enumerate(session.channels)}
        columns |= {"gesture": names.take(pa.array(portion.label)), "repetition": portion.repetitions}
        out = io.BytesIO(header.encode())
        out.seek(0, io.SEEK_END)
        pa.csv.write_csv(pa.table(columns), out, options)
        header = ""
        packed = packer.compress(out.getbuffer())
        del portion, columns, out  # a slow reader holds what is packed, and not what it is made of
        yield packed
    yield packer.flush()


def iterate_parquet(pool: Pool, session: Session) -> Iterator[bytes]:
    """Yield a session as Parquet: ``server_at`` (UTC, microseconds), the channels, ``gesture``, ``repetition``.

    Errors as ``iterate_csv``.
    """
    tables = whole_samples(pool, session)
    yield from encoded(SampleTables(tables.schema, _some(tables.batches, session)), "parquet")


def _some(found: Iterator[T], session: Session) -> Iterator[T]:
    """Yield what is found.

    Raises
    ------
    TrainingError
        Nothing is.
    """
    first = next(found, None)
    if first is None:
        raise no_samples(session)
    yield first
    del first
    yield from found
