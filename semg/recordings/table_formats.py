"""Arrow batches as bytes in a format, piece by piece: Arrow stream, Parquet, CSV, JSON.

Arrow formats all numbers and times, as the shortest text that reads back as the same float32, and without holding the
interpreter's lock: the process that sends it predicts live windows too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from semg.recordings.sample_tables import SampleTables
from semg.wire import csv_cells
from semg.wire.sample_formats import SampleFormat

JSON_ROWS = 32_768
"""Rows that are text at the same moment."""


def encoded(tables: SampleTables, form: SampleFormat) -> Iterator[bytes]:
    """Yield batches in a format; what is yielded for a batch is made before the next one is read.

    CSV and JSON have the times as RFC 3339; JSON is ``{"columns": [name, …], "rows": [[value, …], …]}``.
    """
    return _ENCODERS[form](tables)


def _arrow(tables: SampleTables) -> Iterator[bytes]:
    out = _Drained()
    with pa.ipc.new_stream(out, tables.schema) as writer:
        for batch in tables.batches:
            writer.write_batch(batch)
            del batch
            yield out.drain()
    yield out.drain()


def _parquet(tables: SampleTables) -> Iterator[bytes]:
    out = _Drained()
    with pa.parquet.ParquetWriter(out, tables.schema, compression="zstd") as writer:
        for batch in tables.batches:
            writer.write_batch(batch)
            del batch
            yield out.drain()
    yield out.drain()


def _csv(tables: SampleTables) -> Iterator[bytes]:
    names = tables.schema.names
    yield (",".join(names) + "\n").encode()
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    for batch in tables.batches:
        columns = [_text_of(batch.column(name)) for name in names]
        del batch
        out = io.BytesIO()
        pa.csv.write_csv(pa.table(columns, names=names), out, options)
        del columns
        yield out.getvalue()


def _text_of(column: pa.Array) -> pa.Array:
    """Return a column as CSV has it: times as RFC 3339, and no label that a spreadsheet would compute."""
    if pa.types.is_timestamp(column.type):
        return _times(column)
    if pa.types.is_dictionary(column.type):
        neutral = [csv_cells.neutral(name) for name in column.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(column.indices, pa.array(neutral, pa.string())).cast(pa.string())
    return column


def _times(column: pa.Array) -> pa.Array:
    local = column.cast(pa.timestamp("us")).cast(pa.string())  # 2026-03-02 09:00:00.000000
    return pc.binary_join_element_wise(pc.binary_replace_slice(local, 10, 11, "T"), "Z", "")


def _json(tables: SampleTables) -> Iterator[bytes]:
    names = tables.schema.names
    yield b'{"columns":' + orjson.dumps(names) + b',"rows":['
    between = b"["
    for batch in tables.batches:
        for at in range(0, batch.num_rows, JSON_ROWS):
            part = batch.slice(at, JSON_ROWS)
            rows = pc.binary_join_element_wise(*map(_json_of, part.columns), ",")
            joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows), "],[")
            yield between + joined[0].as_buffer().to_pybytes() + b"]"
            between = b",["
            del part, rows, joined
        del batch
    yield b"]}"


def _json_of(column: pa.Array) -> pa.Array:
    """Return the JSON of each value of a column."""
    if pa.types.is_timestamp(column.type):
        return pc.binary_join_element_wise('"', _times(column), '"', "")
    if pa.types.is_dictionary(column.type):
        names = [orjson.dumps(name).decode() for name in column.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(column.indices, pa.array(names, pa.string())).cast(pa.string())
    if pa.types.is_floating(column.type):
        text = pc.if_else(pc.is_finite(column), column, None).cast(pa.string())
        return pc.if_else(pc.equal(text, "-0"), "-0.0", text).fill_null("null")  # -0 would be read as an integer
    return column.cast(pa.string())


class _Drained(io.RawIOBase):
    """Buffers written bytes until they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []
        self._n_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        self._chunks.append(bytes(content))
        self._n_bytes += len(content)
        return len(content)

    def tell(self) -> int:
        return self._n_bytes

    def drain(self) -> bytes:
        taken, self._chunks = b"".join(self._chunks), []
        return taken


_ENCODERS: dict[SampleFormat, Callable[[SampleTables], Iterator[bytes]]] = {
    "arrow": _arrow,
    "parquet": _parquet,
    "csv": _csv,
    "json": _json,
}
