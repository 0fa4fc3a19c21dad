"""Read a database's schema version, and run the scripts that change the schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from psycopg2 import sql

from semg.store.pool import Transaction, execute, one, rows

_LOCK = 5_736_471_001
"""Advisory lock of schema changes; any number that nothing else uses."""


def current_number(tx: Transaction) -> int:
    """Return the number of the newest migration that the database contains; 0 for none."""
    return max(list_applied(tx), default=0)


def list_applied(tx: Transaction) -> list[int]:
    """Return the numbers of the migrations that the database contains; empty without a table of them."""
    found = one(tx, "SELECT to_regclass('public.schema_migrations') IS NOT NULL AS there")
    if found is None or not found.there:
        return []
    return [row.number for row in rows(tx, "SELECT number FROM schema_migrations ORDER BY number")]


def list_tables(tx: Transaction) -> list[str]:
    """Return the names of the tables in ``public`` without partitions."""
    query = """
        SELECT c.relname AS name FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        ORDER BY c.relname
    """
    return [row.name for row in rows(tx, query)]


def has_rows(tx: Transaction, tables: Sequence[str]) -> bool:
    """Return whether any of the tables has a row."""
    with tx.cursor() as cursor:
        for table in tables:
            cursor.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table)))
            if cursor.fetchone() is not None:
                return True
    return False


def lock_schema(tx: Transaction) -> None:
    """Lock schema changes until this transaction ends."""
    execute(tx, "SET LOCAL statement_timeout = 0")
    execute(tx, "SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def run_script(tx: Transaction, script: str) -> None:
    """Run the statements of a schema file; they may take as long as they need."""
    with tx.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(script)


def name_service_role(tx: Transaction, role: str) -> None:
    """Set the services' role for the scripts of this transaction."""
    execute(tx, "SELECT set_config('semg.service_role', %s, true)", (role,))


def insert_number(tx: Transaction, number: int) -> None:
    """Record that the database now contains this migration."""
    execute(tx, "INSERT INTO schema_migrations (number) VALUES (%s)", (number,))


def copy_table_out(tx: Transaction, table: str, target: IO[bytes]) -> None:
    """Write a table with its partitions to a file as CSV with a header line."""
    with tx.cursor() as cursor:
        query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT WITH (FORMAT csv, HEADER)").format(sql.Identifier(table))
        cursor.copy_expert(query, target)
