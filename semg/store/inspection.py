"""Inspect a PostgreSQL database: tables, columns, keys, sizes, some rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from psycopg2 import sql

from semg.store.pool import Transaction, execute, rows

HIDDEN = frozenset({"password_hash"})
"""Columns whose values are never shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``references`` names the table that a foreign key leads to."""

    name: str
    kind: str
    nullable: bool
    primary_key: bool = False
    references: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of a table whose values are a key of ``parent``."""

    columns: tuple[str, ...]
    parent: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. ``n_bytes`` holds its indexes and partitions too; None where it is not known."""

    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str = ""
    is_view: bool = False
    n_bytes: int | None = None


def list_relations(tx: Transaction) -> list[Table]:
    """Return the tables (without partitions), then the views, of ``public``, by name."""
    columns = _columns(tx)
    keys = _foreign_keys(tx)
    found = []
    for row in rows(
        tx,
        """
        SELECT c.relname AS name, c.relkind = 'v' AS is_view,
               coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
               (SELECT sum(pg_total_relation_size(t.relid)) FROM pg_partition_tree(c.oid) t) AS tree_bytes,
               pg_total_relation_size(c.oid) AS own_bytes
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        ORDER BY is_view, c.relname COLLATE "C"
        """,
    ):
        parents = {key.columns[-1]: key.parent for key in keys[row.name]}
        n_bytes = None if row.is_view else int(row.tree_bytes or row.own_bytes)
        marked = tuple(replace(column, references=parents.get(column.name)) for column in columns[row.name])
        found.append(Table(row.name, marked, tuple(keys[row.name]), row.comment, row.is_view, n_bytes))
    return found


def begin_reading(tx: Transaction) -> None:
    """Make the transaction read-only; its first statement."""
    execute(tx, "SET TRANSACTION READ ONLY")


def count_rows(tx: Transaction, table: str) -> int:
    """Return how many rows a table or view has; it reads all of it."""
    with tx.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        found = cursor.fetchone()
    return int(found[0]) if found is not None else 0


def sample_rows(tx: Transaction, table: Table, n_rows: int, max_characters: int) -> list[tuple[str, ...]]:
    """Return the first rows as text; values are cut by the server, so that none is fetched whole."""
    shown = [_shown(column, max_characters) for column in table.columns]
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(shown), sql.Identifier(table.name), sql.Literal(n_rows)
    )
    with tx.cursor() as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def _shown(column: Column, max_characters: int) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.name in HIDDEN:
        return sql.SQL("'(hidden)'")
    if column.kind == "bytea":
        return sql.SQL("coalesce(octet_length({}) || ' bytes', '')").format(name)
    text = sql.SQL("replace({}::text, E'\\n', ' ')").format(name)
    return sql.SQL(
        "CASE WHEN length({text}) > {most} THEN left({text}, {most} - 1) || '…' ELSE coalesce({text}, '') END"
    ).format(text=text, most=sql.Literal(max_characters))


def _columns(tx: Transaction) -> dict[str, list[Column]]:
    found: dict[str, list[Column]] = defaultdict(list)
    for row in rows(
        tx,
        """
        SELECT c.relname AS table_name, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS kind,
               NOT a.attnotnull AS nullable,
               coalesce((SELECT a.attnum = ANY(k.conkey) FROM pg_constraint k
                         WHERE k.conrelid = c.oid AND k.contype = 'p'), false) AS is_key
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
          AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY c.relname, a.attnum
        """,
    ):
        found[row.table_name].append(Column(row.name, row.kind, row.nullable, row.is_key))
    return found


def _foreign_keys(tx: Transaction) -> dict[str, list[ForeignKey]]:
    found: dict[str, list[ForeignKey]] = defaultdict(list)
    for row in rows(
        tx,
        """
        SELECT child.relname AS child, parent.relname AS parent,
               (SELECT array_agg(a.attname::text ORDER BY k.place)
                FROM unnest(c.conkey) WITH ORDINALITY AS k(number, place)
                JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number) AS columns
        FROM pg_constraint c
        JOIN pg_class child ON child.oid = c.conrelid
        JOIN pg_class parent ON parent.oid = c.confrelid
        WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND c.conparentid = 0
        ORDER BY child.relname COLLATE "C", c.conname COLLATE "C"
        """,
    ):
        found[row.child].append(ForeignKey(tuple(row.columns), row.parent))
    return found
