"""The roles of the embedded PostgreSQL: an owner, who makes the schema, and a service role, which only uses it.

Neither is a superuser. The cluster's own superuser (``semg_bootstrap``) may not log in: what only a superuser can do is
done while the server is down, in its single-user mode, which asks for no password because it needs the cluster's files.
What the services' role may do stands in ``db/grants.sql``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import psycopg2
from psycopg2.extensions import connection as Connection

from semg.errors import PlatformError

BOOTSTRAP = "semg_bootstrap"
"""The superuser that ``initdb`` makes (its number is always 10); nobody can log in as it."""
STAND_IN = "semg_upgrade"
"""A superuser for the moment in which an older cluster's own gets another name, which it cannot do itself."""
AUDIT_PARAMETER = "semg.expires_audit"
"""Of ``db/postgres.sql``: only a superuser, or who was granted it, may make a function that sets such a parameter."""

Connect = Callable[[str, str], Connection]
"""Gives a connection of a user with a password; to the database ``postgres``."""
Login = tuple[str, str]
_CREATE = """DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'NAME') THEN
        EXECUTE format('CREATE ROLE %I', 'NAME');
    END IF;
END
$$"""
_RENAME = """DO $$
BEGIN
    IF (SELECT rolname FROM pg_roles WHERE oid = 10) <> 'BOOTSTRAP' THEN
        EXECUTE format('ALTER ROLE %I RENAME TO BOOTSTRAP', (SELECT rolname FROM pg_roles WHERE oid = 10));
    END IF;
END
$$""".replace("BOOTSTRAP", BOOTSTRAP)
_HAND_OVER = """DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        WITH ours AS (
            SELECT oid, nspname, nspowner FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        )
        SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, 'OWNER') AS change
        FROM pg_class c JOIN ours ON ours.oid = c.relnamespace
        WHERE c.relowner = 10 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND c.relkind = 'S' AND d.deptype IN ('a', 'i'))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, 'OWNER')
        FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace WHERE p.proowner = 10
        UNION ALL
        SELECT format('ALTER TYPE %s OWNER TO %I', t.oid::regtype, 'OWNER')
        FROM pg_type t JOIN ours ON ours.oid = t.typnamespace WHERE t.typowner = 10 AND t.typtype IN ('e', 'd')
        UNION ALL
        SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, 'OWNER')
        FROM ours WHERE nspowner = 10 AND nspname <> 'public'
    LOOP
        EXECUTE one.change;
    END LOOP;
END
$$"""
"""A sequence of a column goes with its table."""
_PLAIN = "NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS"


class Missing(enum.Enum):
    """What a cluster lacks of the roles that the settings name."""

    NOTHING = enum.auto()
    SERVICE = enum.auto()
    OWNER = enum.auto()


def find_missing(connect: Connect, owner: Login, service: Login | None, database: str) -> Missing:
    """Return what has to be changed before the platform can use a cluster.

    Raises
    ------
    psycopg2.OperationalError
        The server lets neither owner nor services in.
    """
    try:
        is_superuser, owns = _look(connect, owner, database)
    except psycopg2.OperationalError:
        # Of an earlier version: the services were the superuser, and there was no owner.
        if service is None or not _look(connect, service, database)[0]:
            raise
        return Missing.OWNER
    if is_superuser or not owns:
        return Missing.OWNER
    if service is not None and not is_let_in(connect, service):
        return Missing.SERVICE
    return Missing.NOTHING


def list_foreign(connect: Connect, logins: Sequence[Login]) -> list[str]:
    """Return the databases that belong to the cluster's superuser, as the first login that is let in sees them."""
    for login in logins:
        try:
            connection = connect(*login)
        except psycopg2.OperationalError:
            continue
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT datname FROM pg_database "
                    "WHERE datdba = 10 AND datallowconn AND NOT datistemplate AND datname <> 'postgres'"
                )
                return [str(row[0]) for row in cursor.fetchall()]
        finally:
            connection.close()
    return []


def role_statements(owner: Login, service: Login | None) -> list[str]:
    """Return what gives a cluster its roles, with the settings' passwords; all of it or nothing."""
    return [
        "BEGIN",
        f"DROP ROLE IF EXISTS {STAND_IN}",
        f"CREATE ROLE {STAND_IN} SUPERUSER NOLOGIN",
        f"SET SESSION AUTHORIZATION {STAND_IN}",
        _RENAME,
        f"SET SESSION AUTHORIZATION {BOOTSTRAP}",
        f"DROP ROLE {STAND_IN}",
        *_role(owner, "CREATEDB"),  # for restores, which read into a database of their own
        f"GRANT SET ON PARAMETER {AUDIT_PARAMETER} TO {quoted(owner[0])}",  # expire_audit sets it for itself
        f"GRANT pg_signal_backend TO {quoted(owner[0])}",  # and end who is connected to one that goes
        *([] if service is None else _role(service, "NOCREATEDB")),
        f"ALTER ROLE {BOOTSTRAP} NOLOGIN PASSWORD NULL",
        "COMMIT",
    ]


def ownership_statements(database: str, owner: str) -> list[str]:
    """Return what gives a database and all in it that the cluster's superuser made to its owner."""
    return [
        "BEGIN",
        _HAND_OVER.replace("'OWNER'", quoted_literal(owner)),
        f"ALTER DATABASE {quoted(database)} OWNER TO {quoted(owner)}",
        "COMMIT",
    ]


def quoted(name: str) -> str:
    """Return an identifier as it stands in a statement."""
    return '"' + _fit(name).replace('"', '""') + '"'


def quoted_literal(text: str) -> str:
    """Return a text as it stands in a statement."""
    return "E'" + _fit(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _role(login: Login, power: str) -> list[str]:
    name, password = login
    return [
        _CREATE.replace("'NAME'", quoted_literal(name)),
        f"ALTER ROLE {quoted(name)} LOGIN {_PLAIN} {power} PASSWORD {quoted_literal(password)}",
    ]


def _fit(text: str) -> str:
    """Refuse what would end a statement or a block of it: a line of the single-user mode is text."""
    if not text.isprintable() or "$$" in text:
        raise PlatformError(
            "POSTGRES_USER, POSTGRES_DB and the passwords of the embedded server need printable characters without $$: "
            "change them in .env"
        )
    return text


def _look(connect: Connect, login: Login, database: str) -> tuple[bool, bool]:
    """Return whether a user is a superuser, and whether the database is its own, or not there yet."""
    connection = connect(*login)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW is_superuser")
            (is_superuser,) = cursor.fetchone() or ("off",)
            cursor.execute(
                "SELECT pg_get_userbyid(datdba) = current_user FROM pg_database WHERE datname = %s", (database,)
            )
            found = cursor.fetchone()
            return is_superuser == "on", found is None or bool(found[0])
    finally:
        connection.close()


def is_let_in(connect: Connect, login: Login) -> bool:
    """Return whether a user may log in with this password."""
    try:
        connect(*login).close()
    except psycopg2.OperationalError as exc:
        if "authentication failed" in str(exc) or "not permitted to log in" in str(exc):
            return False
        raise
    return True
