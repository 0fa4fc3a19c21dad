"""Inspect a SQLite file, opened read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from semg.errors import StoreError
from semg.store.inspection import Column, ForeignKey, Table

_MAGIC = b"SQLite format 3\x00"


@contextmanager
def open_file(path: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection that cannot write.

    Raises
    ------
    StoreError
        There is no such file, or it is no SQLite database, or it is damaged.
    """
    try:
        with path.open("rb") as handle:
            magic = handle.read(len(_MAGIC))
    except OSError as exc:
        raise StoreError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    if magic != _MAGIC:
        raise StoreError(f"{path} is no SQLite database: it does not begin with 'SQLite format 3'")
    try:
        with closing(sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as exc:
        raise StoreError(f"{path} is damaged, or in use in a way that cannot be read: {exc}") from exc


def list_relations(connection: sqlite3.Connection) -> list[Table]:
    """Return the tables, then the views, by name."""
    found = connection.execute(
        "SELECT name, type = 'view' FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' "
        "ESCAPE '~' ORDER BY 2, 1"
    ).fetchall()
    return [_table(connection, name, bool(is_view)) for name, is_view in found]


def count_rows(connection: sqlite3.Connection, table: str) -> int:
    """Return how many rows a table or view has."""
    return int(connection.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0])  # noqa: S608


def sample_rows(
    connection: sqlite3.Connection, table: Table, n_rows: int, max_characters: int
) -> list[tuple[str, ...]]:
    """Return the first rows as text, long values cut."""
    names = ", ".join(_quoted(column.name) for column in table.columns)
    query = f"SELECT {names} FROM {_quoted(table.name)} LIMIT ?"  # noqa: S608
    found = connection.execute(query, (n_rows,)).fetchall()
    return [tuple(_shown(value, max_characters) for value in row) for row in found]


def _table(connection: sqlite3.Connection, name: str, is_view: bool) -> Table:
    keys = [
        ForeignKey((column,), parent)
        for column, parent in connection.execute('SELECT "from", "table" FROM pragma_foreign_key_list(?)', (name,))
    ]
    parents = {key.columns[0]: key.parent for key in keys}
    columns = connection.execute('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (name,)).fetchall()
    return Table(
        name,
        tuple(
            Column(column, kind or "any", not not_null, bool(primary), parents.get(column))
            for column, kind, not_null, primary in columns
        ),
        tuple(keys),
        is_view=is_view,
        n_bytes=_size(connection, name),
    )


def _size(connection: sqlite3.Connection, name: str) -> int | None:
    """Return the pages of a table in bytes; None where SQLite was built without its ``dbstat``."""
    try:
        found = connection.execute("SELECT sum(pgsize) FROM dbstat WHERE name = ?", (name,)).fetchone()
    except sqlite3.OperationalError:
        return None
    return None if found[0] is None else int(found[0])


def _shown(value: object, max_characters: int) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = "" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
