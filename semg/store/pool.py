"""Connections to PostgreSQL: a bounded pool that hands out transactions."""

from __future__ import annotations

import copy
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

from semg.errors import AccessError, ConflictError, SemgError, StoreBusyError, StoreError, StoreUnavailableError
from semg.settings import Settings

Transaction: TypeAlias = psycopg2.extensions.connection
"""An open transaction; what every store function takes first."""


_BUSY = (psycopg2.errors.LockNotAvailable, psycopg2.errors.QueryCanceled, psycopg2.errors.DeadlockDetected)


class Pool:
    """At most ``size`` connections, made when needed, kept for the next use. Safe to use from threads.

    Parameters
    ----------
    settings
        Where the server is.
    size
        More callers than this wait for one another.
    name
        Shown by the server (``application_name``).
    as_owner
        Connect as the owner of the tables, who may change the schema.
    """

    def __init__(self, settings: Settings, *, size: int = 4, name: str = "semg", as_owner: bool = False) -> None:
        self._settings = settings
        self._name = name
        self._login = settings.postgres_owner if as_owner else settings.postgres_service
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[psycopg2.extensions.connection] = []
        self._lock = threading.Lock()
        self._is_read_only = False
        self._lock_s: float | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Return a transaction: committed at the end of the block, rolled back when the block raises.

        Raises
        ------
        StoreUnavailableError
            The server cannot be reached, or went away.
        AccessError
            A change in a read-only transaction.
        ConflictError
            A uniqueness or foreign-key rule was broken.
        StoreBusyError
            A row stayed locked for longer than this pool waits (``waiting_at_most``).
        StoreError
            Any other refusal of the server.
        """
        with self._slots:
            connection = self._take()
            try:
                with connection:
                    if self._is_read_only:
                        execute(connection, "SET TRANSACTION READ ONLY")
                    if self._lock_s is not None:
                        # Not by a query: behind one, a transaction's isolation cannot be chosen any more.
                        execute(connection, "SET LOCAL lock_timeout = %s", (max(1, round(self._lock_s * 1000)),))
                    yield connection
            except psycopg2.Error as exc:
                self._give_back(connection)
                if self._is_read_only and isinstance(exc, psycopg2.errors.ReadOnlySqlTransaction):
                    raise AccessError(
                        "this account has read-only access; an admin can give it the role researcher"
                    ) from exc
                raise _wrapped(exc) from exc
            except BaseException:
                self._give_back(connection)
                raise
            self._give_back(connection)

    def read_only(self) -> Pool:
        """Return the same pool with read-only transactions."""
        made = copy.copy(self)
        made._is_read_only = True
        return made

    def waiting_at_most(self, lock_s: float) -> Pool:
        """Return the same pool with transactions that wait so long for a lock.

        For a loop that works for all profiles: one that somebody has locked delays only itself.
        """
        made = copy.copy(self)
        made._lock_s = lock_s
        return made

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _take(self) -> psycopg2.extensions.connection:
        while (kept := self._take_idle()) is not None:
            if not _was_ended(kept):
                return kept
            kept.close()
        host, port = self._settings.postgres_address
        try:
            connection = psycopg2.connect(
                host=host,
                port=port,
                dbname=self._settings.postgres_db,
                user=self._login[0],
                password=self._login[1],
                application_name=self._name,
                connect_timeout=3,
                options="-c timezone=UTC -c statement_timeout=60000 -c search_path=public",
            )
        except psycopg2.OperationalError as exc:
            raise StoreUnavailableError(
                f"PostgreSQL at {host}:{port} cannot be used ({str(exc).strip()}); "
                "look at POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD"
            ) from exc
        psycopg2.extras.register_default_jsonb(connection)
        return connection

    def _take_idle(self) -> psycopg2.extensions.connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: psycopg2.extensions.connection) -> None:
        usable = (
            not connection.closed and connection.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        )
        if usable:
            with self._lock:
                self._idle.append(connection)
        else:
            connection.close()


def rows(tx: Transaction, query: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
    """Run a query and return its rows as named tuples."""
    with tx.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor) as cursor:
        cursor.execute(query, parameters)
        found: list[Any] = cursor.fetchall()
        return found


def one(tx: Transaction, query: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Any | None:
    """Run a query and return its first row as a named tuple, or None."""
    with tx.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor) as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()


def execute(tx: Transaction, statement: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
    """Run a statement and return the number of rows that it changed."""
    with tx.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


@contextmanager
def savepoint(tx: Transaction) -> Iterator[None]:
    """Undo what the block did when it raises, and only that: the transaction goes on.

    Raises
    ------
    SemgError
        As ``Pool.transaction``.
    """
    execute(tx, "SAVEPOINT attempt")
    try:
        yield
    except psycopg2.Error as exc:
        _undo(tx)
        raise _wrapped(exc) from exc
    except BaseException:
        _undo(tx)
        raise
    execute(tx, "RELEASE SAVEPOINT attempt")


def _undo(tx: Transaction) -> None:
    if not tx.closed:
        execute(tx, "ROLLBACK TO SAVEPOINT attempt")
        execute(tx, "RELEASE SAVEPOINT attempt")  # one of the same name around it is meant from here on


def limit_statements(tx: Transaction, longest_s: float) -> None:
    """Set the statement timeout of this transaction; exceeding it aborts the transaction."""
    execute(tx, "SELECT set_config('statement_timeout', %s, true)", (f"{max(1, round(longest_s * 1000))}ms",))


def _was_ended(connection: psycopg2.extensions.connection) -> bool:
    """Return whether the server has ended an idle connection, as after a restart: something came without a query."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def _wrapped(exc: psycopg2.Error) -> SemgError:
    """Return the project's error for a driver's error; without its details, which hold rows, as errors are logged."""
    text = exc.diag.message_primary or str(exc).strip() or type(exc).__name__
    if isinstance(exc, psycopg2.IntegrityError):
        return ConflictError(text)
    if isinstance(exc, _BUSY):
        return StoreBusyError(text)
    if isinstance(exc, psycopg2.OperationalError | psycopg2.InterfaceError):
        return StoreUnavailableError(text)
    return StoreError(text)
