"""Export a session as a file, streamed with at most some minutes of it in memory.

Arrow formats the numbers without holding the interpreter's lock, so that the API that sends the file stays responsive.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from semg.domain import Repetition, Session
from semg.errors import TrainingError
from semg.recordings.portions import iterate_portions
from semg.recordings.session_data import label_table
from semg.signals.dataset import LabelledSamples
from semg.store import repetitions as repetitions_store
from semg.store.pool import Pool
from semg.wire import csv_cells

PORTION = timedelta(minutes=2)
_NEEDS_QUOTES = frozenset(',"\r\n')


@dataclass(frozen=True, slots=True)
class Portion:
    """Consecutive samples of a session; ``label`` is an index into the labels of the whole session, 0 for none."""

    server_us: NDArray[np.int64]
    millis: NDArray[np.float64]
    samples: NDArray[np.float32]
    label: NDArray[np.int32]
    repetitions: NDArray[np.int32]


def iterate_csv(pool: Pool, session: Session) -> Iterator[bytes]:
    """Yield a session as a gzip CSV ``millis,a0,…,gesture,repetition``, which can be imported again.

    ``millis`` counts from the session's first sample on the server's clock. Excluded repetitions are unlabelled.

    Raises
    ------
    TrainingError
        The session has no samples, or samples of another number of channels; the former before anything is yielded.
    """
    kept = _kept(pool, session)
    names = pa.array([None, *(csv_cells.neutral(name) for name in _labels(kept)[1:])], pa.string())
    needs_quotes = any(_NEEDS_QUOTES & set(name) for name in _labels(kept))
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed" if needs_quotes else "none")
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    header = ",".join(["millis", *session.channels, "gesture", "repetition"]) + "\n"
    for portion in _portions(pool, session, kept):
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
    kept = _kept(pool, session)
    names = pa.array(_labels(kept), pa.string())
    schema = pa.schema(
        [
            ("server_at", pa.timestamp("us", "UTC")),
            *((name, pa.float32()) for name in session.channels),
            ("gesture", pa.dictionary(pa.int32(), pa.string())),
            ("repetition", pa.int32()),
        ],
        metadata={"simulated": "true"} if session.simulated else None,
    )
    out = _Drained()
    writer: pa.parquet.ParquetWriter | None = None
    for portion in _portions(pool, session, kept):
        writer = writer or pa.parquet.ParquetWriter(out, schema, compression="zstd")
        columns = [
            pa.array(portion.server_us).cast(schema.field("server_at").type),
            *(pa.array(np.ascontiguousarray(column)) for column in portion.samples.T),
            pa.DictionaryArray.from_arrays(pa.array(portion.label), names),
            pa.array(portion.repetitions),
        ]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        del portion, columns
        yield out.drain()
    if writer is not None:
        writer.close()
    yield out.drain()


class _Drained(io.RawIOBase):
    """Buffers written bytes until they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []
        self._n_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, content: bytes, /) -> int:  # type: ignore[override]
        self._chunks.append(bytes(content))
        self._n_bytes += len(content)
        return len(content)

    def tell(self) -> int:
        return self._n_bytes

    def drain(self) -> bytes:
        taken, self._chunks = b"".join(self._chunks), []
        return taken


def _kept(pool: Pool, session: Session) -> list[Repetition]:
    with pool.transaction() as tx:
        return [one for one in repetitions_store.list_repetitions(tx, session.session_id) if not one.excluded]


def _labels(repetitions: list[Repetition]) -> list[str]:
    return ["", *(one.gesture for one in repetitions)]


def _portions(pool: Pool, session: Session, repetitions: list[Repetition]) -> Iterator[Portion]:
    first_us: int | None = None
    last_ms = -np.inf
    numbers = np.array([0, *(one.number for one in repetitions)], np.int32)
    for table in iterate_portions(pool, session, PORTION):
        labelled = label_table(session, table, repetitions)
        server_us = table.device_us + np.repeat(table.rows["clock_offset_us"], table.counts)
        first_us = int(server_us[0]) if first_us is None else first_us
        # The clock fit may step back by microseconds between two blocks; a recording's time grows from row to row.
        millis = np.round((server_us - first_us) / 1000, 3)
        growing = millis > np.maximum.accumulate(np.append(last_ms, millis))[:-1]
        last_ms = max(last_ms, float(millis.max()))
        made = _portion(labelled, server_us, millis, numbers, growing)
        del table, labelled, server_us, millis, growing
        yield made
        del made
    if first_us is None:
        raise TrainingError(f"session “{session.name}” has no samples: was the device streaming during the capture?")


def _portion(
    labelled: LabelledSamples,
    server_us: NDArray[np.int64],
    millis: NDArray[np.float64],
    numbers: NDArray[np.int32],
    growing: NDArray[np.bool_],
) -> Portion:
    label = labelled.stretch[growing] + np.int32(1)
    return Portion(server_us[growing], millis[growing], labelled.samples[growing], label, numbers[label])
