"""Files that leave and files that stay: formulas in cells, forged addresses, logs that others read, secrets in logs."""

from __future__ import annotations

import csv
import gzip
import io
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from semg.platform.supervision import log_rotation
from semg.platform.supervision.launcher import Launcher
from semg.platform.supervision.services import Service
from semg.privacy import file_exports
from semg.settings import Settings
from semg.store import audit, logins
from semg.store.pool import one
from testing.attacks.findings import Finding, judged
from testing.attacks.own_system import ADMIN, FORMULA, RESEARCHER
from testing.attacks.target import Target

TITLE = "files, logs and forged addresses of our own system"
FORGED = "203.0.113.77"
CLAIMED = {"X-Forwarded-For": FORGED, "Forwarded": f"for={FORGED}", "X-Real-IP": FORGED}
COMPUTED = ("=", "+", "-", "@", "\t", "\r")
NOISY, LOG_BYTES = "print('x' * 20000, flush=True)", 20_000


def attack(target: Target) -> Iterator[Finding]:
    """Look at all of it."""
    inside = target.own
    yield from formulas(target)
    yield from forged_address(target)
    yield from logs_of_the_platform(inside.settings)
    yield from queries(target, inside.folder)


def formulas(target: Target) -> Iterator[Finding]:
    """Look for cells that a spreadsheet would compute, in a session whose label is a formula."""
    inside = target.own
    name = file_exports.session_file(inside.session_id, "csv.gz")
    token = {"Authorization": f"Bearer {inside.settings.semg_api_token.get_secret_value()}"}
    answer = target.ask("GET", f"{target.api_url}/files/{name}", headers=token)
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
    target.log_in(RESEARCHER, inside.accounts[RESEARCHER], headers=CLAIMED)
    with inside.pool.transaction() as tx:
        account = one(tx, "SELECT account_id FROM accounts WHERE login = %s", (RESEARCHER,))
        seen = {record.address for record in logins.list_logins(tx, account.account_id)}  # type: ignore[union-attr]
    yield judged(
        seen == {"127.0.0.1"},
        f"a login with X-Forwarded-For: {FORGED} through the gateway",
        f"stored: {', '.join(sorted(seen))}",
    )
    target.ask("POST", "/login", body={"login": ADMIN, "password": "wrong"}, origin=target.url, headers=CLAIMED)
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
        unit = launcher.service(Service("noted", (sys.executable, "-c", NOISY), str(folder)))
        unit.start()
        log, deadline = mine.log_dir / "noted.log", time.monotonic() + 30
        while (not log.exists() or log.stat().st_size < LOG_BYTES) and time.monotonic() < deadline:
            time.sleep(0.05)
        unit.stop()
        log_rotation.rotate(log, LOG_BYTES - 1, 3)
        yield from modes([log, log.with_name("noted.log.1")])


def modes(paths: list[Path]) -> Iterator[Finding]:
    """Check that nobody else may read files."""
    for path in paths:
        mode = path.stat().st_mode & 0o777
        yield judged(mode & 0o077 == 0, f"mode of the log {path.name}", f"{mode:o}")


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
