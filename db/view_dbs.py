"""Shows what databases contain: tables, columns, sizes, sample rows. Nothing is changed.

python db/view_dbs.py                      the PostgreSQL database of the settings
python db/view_dbs.py old.db other.sqlite  SQLite files (add --postgres for both)
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
from collections.abc import Callable, Sequence
from functools import partial

from semg.errors import SemgError
from semg.settings import load_settings
from semg.store import inspection, sqlite_files
from semg.store.inspection import Table
from semg.store.pool import Pool


def main(arguments: Sequence[str] | None = None) -> int:
    """Show every database that the command line names; 1 when one of them cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="a SQLite database")
    parser.add_argument("--postgres", action="store_true", help="the PostgreSQL database too")
    parser.add_argument("--rows", type=int, default=3, help="sample rows of each table (default 3)")
    parser.add_argument("--width", type=int, default=32, help="longest value shown (default 32 characters)")
    options = parser.parse_args(arguments)
    if options.rows < 0 or options.width < 4:
        parser.error("--rows must be 0 or more, --width 4 or more")
    failed = 0
    for path in options.files:
        failed += _attempt(partial(show_sqlite, path, options.rows, options.width))
    if options.postgres or not options.files:
        failed += _attempt(partial(show_postgres, options.rows, options.width))
    return 1 if failed else 0


def _attempt(show: Callable[[], None]) -> int:
    try:
        show()
    except SemgError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def show_sqlite(path: Path, n_rows: int, width: int) -> None:
    """Print what a SQLite file contains."""
    with sqlite_files.open_file(path) as connection:
        print(f"SQLite {path} ({_size(path.stat().st_size)})")
        for table in sqlite_files.list_relations(connection):
            samples = sqlite_files.sample_rows(connection, table, n_rows, width)
            _print_table(table, sqlite_files.count_rows(connection, table.name), samples, width)


def show_postgres(n_rows: int, width: int) -> None:
    """Print what the PostgreSQL database of the settings contains."""
    settings = load_settings()
    pool = Pool(settings, size=1, name="view_dbs")
    try:
        with pool.transaction() as tx:
            inspection.begin_reading(tx)
            host, port = settings.postgres_address
            print(f"PostgreSQL {settings.postgres_db} at {host}:{port}")
            for table in inspection.list_relations(tx):
                samples = inspection.sample_rows(tx, table, n_rows, width)
                # A view's rows are its tables' rows again; counting those of user_sensor would unpack every block.
                count = None if table.is_view else inspection.count_rows(tx, table.name)
                _print_table(table, count, samples, width)
    finally:
        pool.close()


def _print_table(table: Table, n_rows: int | None, samples: Sequence[tuple[str, ...]], width: int) -> None:
    facts = ["view"] if table.is_view else []
    facts += [f"{n_rows:,} rows"] if n_rows is not None else []
    facts += [_size(table.n_bytes)] if table.n_bytes is not None else []
    print(f"\n{table.name} ({', '.join(facts)}){': ' + table.comment if table.comment else ''}")
    for column in table.columns:
        marks = [mark for mark, holds in (("key", column.primary_key), ("may be empty", column.nullable)) if holds]
        marks += [f"→ {column.references}"] if column.references else []
        print(f"  {column.name:<24} {column.kind:<26} {', '.join(marks)}".rstrip())
    if samples:
        names = [column.name for column in table.columns]
        sizes = [min(width, max(map(len, values))) for values in zip(names, *samples, strict=True)]
        for row in (names, *samples):
            cells = (value[:size].ljust(size) for value, size in zip(row, sizes, strict=True))
            print("    " + " | ".join(cells).rstrip())


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GB"


if __name__ == "__main__":
    sys.exit(main())
