"""The servers behind the services: monitoring without a login, rights of roles, and who they run as."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psutil

from semg.errors import SemgError
from semg.settings import Settings
from semg.store.pool import Pool, execute, one
from testing.attacks.findings import Finding, judged
from testing.attacks.target import Target

TITLE = "PostgreSQL and NATS of our own system"
NATS_PATHS = ("/varz", "/connz?auth=1", "/subsz", "/jsz", "/healthz")


def attack(target: Target) -> Iterator[Finding]:
    """Look at both."""
    inside = target.own
    yield monitoring(_ports_of("nats"))
    yield from roles(inside.settings, inside.pool)
    yield system_user({one.username() for one in psutil.Process().children(True) if one.name() == "postgres"})


def monitoring(ports: list[int]) -> Finding:
    """Ask every port that NATS listens on for what its monitoring tells."""
    told = [f"{port}{path}" for port in ports for path in NATS_PATHS if _tells(port, path)]
    said = f"tells {', '.join(told)}" if told else f"{len(ports)} ports tell nothing"
    return judged(bool(ports) and not told, "NATS: monitoring without a login", said)


def _ports_of(name: str) -> list[int]:
    """Return the ports that our own servers of a name listen on."""
    servers = [one for one in psutil.Process().children(recursive=True) if name in one.name()]
    return [c.laddr.port for one in servers for c in one.net_connections("tcp") if c.status == psutil.CONN_LISTEN]


def _tells(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False  # it speaks the bus's protocol, not HTTP


def roles(settings: Settings, pool: Pool) -> Iterator[Finding]:
    """Look at what the two roles of PostgreSQL may."""
    rights = "rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication"
    query = f"SELECT {rights} FROM pg_roles WHERE rolname = %s"  # noqa: S608
    owner = (
        "owner",
        settings.postgres_owner[0],
        {"rolcreatedb"},
    )  # for restores, which read into a database of their own
    for named, role, granted in (owner, ("services' role", settings.postgres_service[0], set[str]())):
        with pool.transaction() as tx:
            found = one(tx, query, (role,))
        may = (
            ["unknown"]
            if found is None
            else [name for name in found._fields if getattr(found, name) and name not in granted]
        )
        yield judged(not may, f"PostgreSQL: the {named}", ", ".join(may) or "no superuser, no rights over others")
    for statement in (
        "CREATE TABLE taken (x int)",
        "CREATE TEMP TABLE taken (x int)",
        "DROP TABLE audit_entries",
        "TRUNCATE profiles",
        "ALTER TABLE accounts ADD COLUMN x int",
        "COPY profiles TO PROGRAM 'true'",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        yield _denied(pool, statement)


def _denied(pool: Pool, statement: str) -> Finding:
    try:
        with pool.transaction() as tx:
            execute(tx, statement)
    except SemgError as exc:
        return judged(
            "permission denied" in str(exc) or "must be owner" in str(exc), f"services' role: {statement}", exc
        )
    return judged(False, f"services' role: {statement}", "done")


def system_user(users: set[str]) -> Finding:
    """Look at who runs PostgreSQL."""
    said = ", ".join(sorted(users)) or "not found"
    return judged(
        bool(users) and not users & {"root", "nobody"}, "the system user of PostgreSQL, a user of its own", said
    )
