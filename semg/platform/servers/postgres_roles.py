"""The roles of the embedded PostgreSQL: an owner, who makes the schema, and a service role, which only uses it.

Neither is a superuser. The cluster's own superuser (``semg_bootstrap``) may not log in: what only a superuser can do is
done while the server is down, in its single-user mode, which asks for no password because it needs the cluster's files
(``db/cluster_roles.sql``, ``db/cluster_ownership.sql``). The rights of the services' role are in ``db/grants.sql``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import psycopg2
from psycopg2.extensions import connection as Connection

from semg.errors import PlatformError
from semg.settings import PROJECT_DIR
from semg.store import cluster_roles
from semg.store.cluster_roles import Standing

BOOTSTRAP = "semg_bootstrap"
"""The superuser that ``initdb`` makes (its number is always 10); nobody can log in as it."""
_FOLDER = PROJECT_DIR / "db"

Connect = Callable[[str, str], Connection]
"""Opens a connection of a user with a password; to the database ``postgres``."""
Login = tuple[str, str]


class Missing(enum.Enum):
    """Roles of the settings that a cluster lacks."""

    NOTHING = enum.auto()
    SERVICE = enum.auto()
    OWNER = enum.auto()


def find_missing(connect: Connect, owner: Login, service: Login | None, database: str) -> Missing:
    """Return the changes that are needed before the platform can use a cluster.

    Raises
    ------
    psycopg2.OperationalError
        The server lets neither owner nor services in.
    """
    try:
        standing = _find_standing(connect, owner, database)
    except psycopg2.OperationalError:
        # Of an earlier version: the services were the superuser, and there was no owner.
        if service is None or not _find_standing(connect, service, database).is_superuser:
            raise
        return Missing.OWNER
    if standing.is_superuser or not standing.owns:
        return Missing.OWNER
    if service is not None and not is_let_in(connect, service):
        return Missing.SERVICE
    return Missing.NOTHING


def list_foreign(connect: Connect, logins: Sequence[Login]) -> list[str]:
    """Return the databases that belong to the cluster's superuser, as the first login that is let in sees them."""
    for login in logins:
        if is_let_in(connect, login):
            connection = connect(*login)
            try:
                return cluster_roles.list_of_bootstrap(connection)
            finally:
                connection.close()
    return []


def is_let_in(connect: Connect, login: Login) -> bool:
    """Return whether a user may log in with this password."""
    try:
        connect(*login).close()
    except psycopg2.OperationalError as exc:
        if "authentication failed" in str(exc) or "not permitted to log in" in str(exc):
            return False
        raise
    return True


def role_script(owner: Login, service: Login | None) -> str:
    """Return the script that creates a cluster's roles with the settings' passwords, all or nothing."""
    user, password = service or ("", "")
    values = {"owner": owner[0], "owner_password": owner[1], "service": user, "service_password": password}
    return _settings(values) + (_FOLDER / "cluster_roles.sql").read_text(encoding="utf-8")


def ownership_script(owner: str) -> str:
    """Return the script that reassigns a database and the superuser's objects in it to the owner."""
    return _settings({"owner": owner}) + (_FOLDER / "cluster_ownership.sql").read_text(encoding="utf-8")


def _settings(values: dict[str, str]) -> str:
    return "".join(f"SET semg.{name} = {_literal(value)};\n\n" for name, value in values.items())


def _literal(text: str) -> str:
    """Quote a text for a statement of the single-user mode, which ends a statement at an empty line."""
    if not text.isprintable():
        raise PlatformError(
            "POSTGRES_USER and the passwords of the embedded server need printable characters: change them in .env"
        )
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _find_standing(connect: Connect, login: Login, database: str) -> Standing:
    connection = connect(*login)
    try:
        return cluster_roles.get_standing(connection, database)
    finally:
        connection.close()
