"""The roles of the embedded PostgreSQL: an owner, who makes the schema, and a service role, which only uses it.

The owner is the cluster's superuser and used by the start alone: for migrations and backups. The services' role has no
right to make, change or drop anything; what it may do stands in ``db/grants.sql``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import encrypt_password

logger = logging.getLogger(__name__)

Connect = Callable[[str, str], Connection]
"""Gives a connection of a user with a password."""
Login = tuple[str, str]
_STAND_IN = "semg_upgrade"
"""A superuser for the moment in which the older cluster's only one gets another name, which nobody can do itself."""
_SERVICE = sql.SQL("{verb} ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {password}")
_SUPERUSER = sql.SQL("{verb} ROLE {name} LOGIN SUPERUSER PASSWORD {password}")


def ensure_service_role(connect: Connect, owner: Login, service: Login) -> None:
    """Make the services' role, or give it the password of the settings."""
    with _autocommit(connect, owner) as connection:
        _set(connection, _SERVICE, service)
        _run(connection, sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(_STAND_IN)))


def split_superuser(connect: Connect, owner: Login, service: Login) -> bool:
    """Turn the superuser that services of an earlier version used into the owner, and make a service role of its name.

    Returns
    -------
    bool
        False when the service's role is no superuser: this is no cluster of an earlier version.

    Raises
    ------
    psycopg2.OperationalError
        The server does not let the service's user in either.
    """
    with _autocommit(connect, service) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW is_superuser")
        if cursor.fetchone() != ("on",):
            return False
        _set(connection, _SUPERUSER, (_STAND_IN, owner[1]))
    connection = connect(_STAND_IN, owner[1])
    try:
        with connection:  # one transaction: the name is never without a role
            rename = sql.SQL("ALTER ROLE {} RENAME TO {}")
            _run(connection, rename.format(sql.Identifier(service[0]), sql.Identifier(owner[0])))
            _set(connection, _SUPERUSER, owner)
            _set(connection, _SERVICE, service)
    finally:
        connection.close()
    logger.info("the tables belong to %s now, and the services work as %s", owner[0], service[0])
    return True


class _autocommit:  # noqa: N801
    """A connection whose statements take effect one by one, closed at the end of the block."""

    def __init__(self, connect: Connect, login: Login) -> None:
        self._connection = connect(*login)
        self._connection.autocommit = True

    def __enter__(self) -> Connection:
        return self._connection

    def __exit__(self, *details: object) -> None:
        self._connection.close()


def _set(connection: Connection, statement: sql.SQL, login: Login) -> None:
    """Make or change a role; the server gets the password's verifier, so that no log can hold the password."""
    name, password = login
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regrole(%s) IS NOT NULL", (psycopg2.extensions.quote_ident(name, connection),))
        there = cursor.fetchone() == (True,)
        verifier = encrypt_password(password, name, scope=connection, algorithm="scram-sha-256")
        verb = sql.SQL("ALTER" if there else "CREATE")
        cursor.execute(statement.format(verb=verb, name=sql.Identifier(name), password=sql.Literal(verifier)))


def _run(connection: Connection, statement: sql.Composed) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
