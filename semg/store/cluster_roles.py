"""Roles and ownership in a cluster, checked at the start before the platform uses an embedded one."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import connection as Connection


@dataclass(frozen=True, slots=True)
class Standing:
    """Privileges of a connection's user in the cluster.

    Attributes
    ----------
    is_superuser
        Whether it is a superuser.
    owns
        Whether it owns the database, or the database does not exist yet.
    """

    is_superuser: bool
    owns: bool


def get_standing(connection: Connection, database: str) -> Standing:
    """Return what the connection's user is."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        (is_superuser,) = cursor.fetchone() or (False,)
        cursor.execute("SELECT pg_get_userbyid(datdba) = current_user FROM pg_database WHERE datname = %s", (database,))
        found = cursor.fetchone()
    return Standing(bool(is_superuser), found is None or bool(found[0]))


def list_of_bootstrap(connection: Connection) -> list[str]:
    """Return the databases that belong to the superuser that ``initdb`` made, except the cluster's own."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_database "
            "WHERE datdba = 10 AND datallowconn AND NOT datistemplate AND datname <> 'postgres'"
        )
        return [str(row[0]) for row in cursor.fetchall()]
