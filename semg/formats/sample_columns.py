"""Samples as Arrow columns, in files and over the API: a row a sample, with its gesture and repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TIME, GESTURE, REPETITION = "server_at", "gesture", "repetition"


def schema_of(
    channels: Sequence[str], metadata: Mapping[str, str] | None = None, *, is_labelled: bool = True
) -> pa.Schema:
    """Return the columns: time (UTC, microseconds), channels, and where labelled gesture and repetition."""
    labels = [(GESTURE, pa.dictionary(pa.int32(), pa.string())), (REPETITION, pa.int32())] if is_labelled else []
    return pa.schema(
        [(TIME, pa.timestamp("us", "UTC")), *((name, pa.float32()) for name in channels), *labels],
        metadata=dict(metadata) if metadata else None,
    )


def batch_of(
    schema: pa.Schema,
    times_us: NDArray[np.int64],
    samples: NDArray[np.float32],
    label: NDArray[np.int32],
    names: pa.Array,
    numbers: NDArray[np.int32],
) -> pa.RecordBatch:
    """Return labelled rows; ``label`` is an index into the names, the first of which is empty."""
    columns = [
        pa.array(times_us).cast(schema.field(TIME).type),
        *(pa.array(np.ascontiguousarray(column)) for column in samples.T),
        pa.DictionaryArray.from_arrays(pa.array(label), names),
        pa.array(numbers),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
