"""Create, rename and drop databases of a server, which is not possible in a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from semg.errors import StoreError, StoreUnavailableError
from semg.settings import Settings


class Databases:
    """The databases of the server that the settings name, as their owner sees them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def exists(self, name: str) -> bool:
        """Return whether there is a database of this name."""
        with self._cursor("SELECT 1 FROM pg_database WHERE datname = %s", name) as cursor:
            return cursor.fetchone() is not None

    def list_beginning(self, prefix: str) -> list[str]:
        """Return the names of the databases with a prefix."""
        with self._cursor("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", prefix) as cursor:
            return [str(row[0]) for row in cursor.fetchall()]

    def create(self, name: str) -> None:
        """Make an empty database."""
        with self._cursor(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))):
            pass

    def rename(self, name: str, new_name: str) -> None:
        """Rename a database; nobody may be connected to it."""
        statement = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new_name))
        with self._cursor(statement):
            pass

    def drop(self, name: str) -> None:
        """Remove a database with all that is in it."""
        with self._cursor(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))):
            pass

    @contextmanager
    def _cursor(self, statement: str | sql.Composed, *parameters: str) -> Iterator[psycopg2.extensions.cursor]:
        host, port = self._settings.postgres_address
        user, password = self._settings.postgres_owner
        try:
            connection = psycopg2.connect(
                host=host,
                port=port,
                dbname="postgres",
                user=user,
                password=password,
                connect_timeout=3,
            )
        except psycopg2.OperationalError as exc:
            raise StoreUnavailableError(f"PostgreSQL at {host}:{port} cannot be used ({str(exc).strip()})") from exc
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                yield cursor
        except psycopg2.Error as exc:
            raise StoreError(str(exc).strip()) from exc
        finally:
            connection.close()
