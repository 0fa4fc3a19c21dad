"""What else stood open: formulas in files, forged addresses, open logs and ports, rights of roles, secrets in logs."""

from __future__ import annotations

import csv
import gzip
import io
import secrets
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from semg.platform import rotation
from semg.platform.launcher import Launcher
from semg.platform.services import Service
from semg.privacy import downloads
from semg.settings import Settings
from semg.store import audit, logins
from semg.store.pool import Pool, execute, one
from testing.attacks.findings import Finding, judged
from testing.attacks.own_system import ADMIN, FORMULA, RESEARCHER
from testing.attacks.target import Target

TITLE = "files, logs, ports and rights of our own system"
FORGED = "203.0.113.77"
COMPUTED = ("=", "+", "-", "@", "\t", "\r")
NATS_PATHS = ("/varz", "/connz?auth=1", "/subsz", "/jsz", "/healthz")


def attack(target: Target) -> Iterator[Finding]:
    """Look at all of it."""
    inside = target.own
    yield from formulas(target)
    yield from forged_address(target)
    yield from logs_of_the_platform(inside.settings)
    yield from monitoring()
    yield from roles(inside.settings, inside.pool)
    yield from system_user()
    yield from queries(target, inside.folder)


def formulas(target: Target) -> Iterator[Finding]:
    """Look for cells that a spreadsheet would compute, in a session whose label is a formula."""
    inside = target.own
    name = downloads.session_file(inside.session_id, "csv.gz")
    token = {"Authorization": f"Bearer {inside.settings.semg_api_token.get_secret_value()}"}
    answer = target.ask("GET", f"{target.api_url}/files/{name}", **token)
    cells = {cell for row in csv.reader(io.StringIO(gzip.decompress(answer.content).decode())) for cell in row}
    yield cells_of(cells)


def cells_of(cells: set[str]) -> Finding:
    """Check the cells of a file, in one of which the formula must be."""
    computed = [cell for cell in cells if cell.startswith(COMPUTED) and not _is_number(cell)]
    is_there = any(FORMULA in cell for cell in cells)
    said = f"{len(computed)} are computed" if computed else "kept as a text" if is_there else "not there"
    return judged(not computed and is_there, f"cells of a session's CSV with the label {FORMULA}", said)


def forged_address(target: Target) -> Iterator[Finding]:
    """Log in, and fail to, with an X-Forwarded-For of our own; what is stored is where it came from."""
    inside = target.own
    target.log_in(
        RESEARCHER, inside.accounts[RESEARCHER], X_Forwarded_For=FORGED, Forwarded=f"for={FORGED}", X_Real_IP=FORGED
    )
    with inside.pool.transaction() as tx:
        account = one(tx, "SELECT account_id FROM accounts WHERE login = %s", (RESEARCHER,))
        seen = {record.address for record in logins.list_logins(tx, account.account_id)}  # type: ignore[union-attr]
    yield judged(
        seen == {"127.0.0.1"},
        f"a login with X-Forwarded-For: {FORGED} through the gateway",
        f"stored: {', '.join(sorted(seen))}",
    )
    target.ask("POST", "/login", body={"login": ADMIN, "password": "wrong"}, Origin=target.url, X_Forwarded_For=FORGED)
    with inside.pool.transaction() as tx:
        entries = [entry.counts for entry in audit.list_entries(tx) if entry.action == "login.failed"]
    forged = [counts for counts in entries if counts.get("address") not in (None, 0x7F000001)]
    yield judged(
        bool(entries) and not forged,
        "the address of failed logins in the audit log",
        f"{len(forged)} of {len(entries)} forged",
    )


def logs_of_the_platform(settings: Settings) -> Iterator[Finding]:
    """Let the platform's launcher start a program, and rotate its log."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as workers:
        folder = Path(name)
        mine = settings.model_copy(update={"data_dir": folder / "data", "log_dir": folder / "logs"})
        launcher = Launcher(mine, f"attack-{secrets.token_hex(4)}", workers)
        unit = launcher.service(Service("noted", (sys.executable, "-c", "print('x' * 20000)"), str(folder)))
        unit._launch().wait(30)
        log = mine.log_dir / "noted.log"
        rotation.rotate(log, 10_000, 3)
        yield from modes([log, log.with_name("noted.log.1")])


def modes(paths: list[Path]) -> Iterator[Finding]:
    """Check that nobody else may read files."""
    for path in paths:
        mode = path.stat().st_mode & 0o777
        yield judged(mode & 0o077 == 0, f"mode of the log {path.name}", f"{mode:o}")


def monitoring() -> Iterator[Finding]:
    """Ask every port that our NATS listens on for what its monitoring tells."""
    servers = [one for one in psutil.Process().children(recursive=True) if "nats" in one.name()]
    ports = [c.laddr.port for one in servers for c in one.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    told = [f"{port}{path}" for port in ports for path in NATS_PATHS if _tells(port, path)]
    said = f"tells {', '.join(told)}" if told else f"{len(ports)} ports tell nothing"
    yield judged(bool(ports) and not told, "NATS: monitoring without a login", said)


def _tells(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False  # it speaks the bus's protocol, not HTTP


def roles(settings: Settings, pool: Pool) -> Iterator[Finding]:
    """Look at what the two roles of PostgreSQL may."""
    query = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication FROM pg_roles WHERE rolname = %s"
    for named, role in (("owner", settings.postgres_owner[0]), ("services' role", settings.postgres_service[0])):
        with pool.transaction() as tx:
            found = one(tx, query, (role,))
        may = ["unknown"] if found is None else [name for name in found._fields if getattr(found, name)]
        yield judged(not may, f"PostgreSQL: the {named}", ", ".join(may) or "no superuser, no rights over the cluster")
    for statement in (
        "CREATE TABLE taken (x int)", "CREATE TEMP TABLE taken (x int)", "DROP TABLE audit_entries", "TRUNCATE profiles",
        "ALTER TABLE accounts ADD COLUMN x int", "COPY profiles TO PROGRAM 'true'", "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
    ):  # fmt: skip
        yield _denied(pool, statement)


def _denied(pool: Pool, statement: str) -> Finding:
    try:
        with pool.transaction() as tx:
            execute(tx, statement)
    except Exception as exc:
        return judged(
            "permission denied" in str(exc) or "must be owner" in str(exc), f"services' role: {statement}", exc
        )
    return judged(False, f"services' role: {statement}", "done")


def system_user() -> Iterator[Finding]:
    """Look at who runs PostgreSQL."""
    servers = [one for one in psutil.Process().children(recursive=True) if one.name() == "postgres"]
    users = {one.username() for one in servers}
    said = ", ".join(sorted(users)) or "not found"
    yield judged(
        bool(users) and not users & {"root", "nobody"}, "the system user of PostgreSQL, a user of its own", said
    )


def queries(target: Target, folder: Path) -> Iterator[Finding]:
    """Ask with a secret in the query string, and look for it in every log."""
    secret = secrets.token_hex(12)
    for path in (
        "/login",
        "/nowhere",
        "/static/x.js",
        "/_stcore/health",
        "/api/docs",
        "/api/files/x",
        "/api/exports/1-a",
        "/api/nowhere",
    ):
        target.ask("GET", f"{path}?token={secret}")
    target.say(f"GET *@x?token={secret} HTTP/1.1\r\nHost: {target.netloc}\r\nConnection: close\r\n\r\n".encode())
    logs = [path for path in folder.rglob("*.log*") if path.is_file()]
    told = [path.name for path in logs if secret.encode() in path.read_bytes()]
    yield judged(
        bool(logs) and not told,
        "query strings in logs",
        f"{', '.join(told)} has them" if told else f"none in {len(logs)} logs",
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
