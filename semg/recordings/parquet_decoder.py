"""Convert an uploaded Parquet file of samples to CSV; a separate program, run by ``confined.py``.

Imports nothing of the project but how the decoder of pictures confines itself. Before it reads a byte of its input it
gives up root and nearly all system calls: a file that attacks its reader reaches nothing, and one that unpacks
endlessly ends this process.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROWS_AT_ONCE = 20_000
MAX_COLUMNS = 64
REFUSED = 3
"""Exit status when the file is refused; the output is the reason."""
_CONFINING = Path(__file__).parents[1] / "capture" / "prompt_decoder.py"
_TIME, _LABEL, _REPETITION = "server_at", "gesture", "repetition"


class Refused(Exception):
    """Why the file cannot be read; the end of a sentence for the person who uploaded it."""


def convert(content: bytes, max_rows: int, out: Any) -> None:
    """Write a Parquet file's rows as CSV: ``server_at`` as ``millis`` from the first row on, labels at the end.

    Raises
    ------
    Refused
        It is damaged, too long or too wide, or has other columns than numbers and labels.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv
    import pyarrow.parquet

    try:
        file = pa.parquet.ParquetFile(pa.BufferReader(content), memory_map=False, pre_buffer=False)
        if file.metadata.num_rows > max_rows or file.metadata.num_columns > MAX_COLUMNS:
            raise Refused(
                f"expected at most {max_rows:,} rows and {MAX_COLUMNS} columns, got {file.metadata.num_rows:,} and "
                f"{file.metadata.num_columns}"
            )
        first_us: int | None = None
        for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
            columns: dict[str, Any] = {}
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_dictionary(column.type):
                    column = column.dictionary_decode()
                if pa.types.is_timestamp(column.type):
                    us = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
                    first_us = us[0].as_py() if first_us is None and len(us) else first_us
                    name = "millis" if name == _TIME else name
                    column = pc.divide(pc.subtract(us, first_us or 0).cast(pa.float64()), 1000.0)
                columns[name] = column
            ordered = [name for name in columns if name not in (_LABEL, _REPETITION)]
            ordered += [name for name in (_LABEL, _REPETITION) if name in columns]
            table = pa.table({name: columns[name] for name in ordered})
            has_header = out.tell() == 0
            pa.csv.write_csv(table, out, pa.csv.WriteOptions(include_header=has_header))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as exc:
        raise Refused(f"it is not a readable Parquet file ({str(exc)[:200]})") from exc


def _load_confining() -> ModuleType:
    """Return the module that confines a decoder, found by its path: in isolated mode the project is not on Python's."""
    spec = importlib.util.spec_from_file_location("confining", _CONFINING)
    if spec is None or spec.loader is None:
        raise ImportError(f"expected {_CONFINING}")
    module = sys.modules["confining"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Convert the standard input to the standard output."""
    order = json.loads(sys.argv[1])
    confining = _load_confining()
    confining.confine(order["may"])
    import io

    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.csv
    import pyarrow.parquet

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    warm = io.BytesIO()  # what Arrow loads and starts at the first use, it does while it may
    table = pa.table({"a": pa.array([1.0]), "b": pa.array(["x"]).dictionary_encode()})
    pa.parquet.write_table(table, warm, compression="zstd")
    convert(warm.getvalue(), 1, io.BytesIO())
    sandbox = confining.load_sandbox()
    try:
        confining.close_the_door(sandbox)
    except sandbox.UnconfinedError as exc:
        sys.stdout.write(str(exc)[:500])
        return int(sandbox.UNCONFINED)
    out = io.BytesIO()
    try:
        convert(sys.stdin.buffer.read(), order["max_rows"], out)
    except Refused as exc:
        sys.stdout.write(str(exc)[:500])
        return REFUSED
    except MemoryError:
        sys.stdout.write(f"opening it takes more than {order['may']['memory_bytes'] >> 20} MB of memory")
        return REFUSED
    sys.stdout.buffer.write(out.getbuffer())
    return 0


if __name__ == "__main__":
    sys.exit(main())
