"""The audit log's chain: written by the owner's function alone, and whatever is changed in it is found."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from semg.errors import ConflictError, InvalidValueError, StoreError
from semg.platform.database import schema_setup as runner
from semg.platform.servers.postgres import PostgresServer
from semg.security import audit_chain
from semg.security.audit_chain import ChainVerdict, Noted
from semg.settings import PROJECT_DIR, Settings
from semg.store import accounts, audit, audit_log, retention, schema
from semg.store.audit import Actor
from semg.store.pool import Pool, execute
from testing.tests.conftest import admin_execute
from testing.tests.store.test_audit import insert_old
from testing.tests.store.test_schema import empty, migrate_before  # noqa: F401 - a fixture

APP = Actor(service="app")


def fill(pool: Pool, n: int = 5) -> None:
    with pool.transaction() as tx:
        accounts.insert_account(tx, "=maria", "hash")
    for index in range(n):
        with pool.transaction() as tx:
            who = Actor("=maria") if index % 2 else APP
            audit.record(tx, who, "profile.erased", 21 + index, samples=index, a=2**100)


def verify(pool: Pool, noted: Noted | None = None) -> ChainVerdict:
    with pool.transaction() as tx:
        return audit_chain.verify(tx, noted)


@pytest.fixture
def tampered(postgres_server: PostgresServer, settings: Settings):
    """Run a statement as somebody who has the database in hand: the owner, with the triggers off."""

    def tamper(statement: str) -> None:
        off, on = (f"ALTER TABLE audit_entries {change} TRIGGER USER" for change in ("DISABLE", "ENABLE"))
        admin_execute(postgres_server, f"{off}; {statement}; {on}", settings.postgres_db)

    return tamper


def test_chain_has_no_gap_and_both_computations_agree(pool: Pool) -> None:
    fill(pool)
    with pytest.raises(InvalidValueError), pool.transaction() as tx:
        audit.record(tx, APP, "profile.erased", 1)  # rolled back: takes no number
        audit.record(tx, APP, "profile.erased", 1, name="Ada")  # type: ignore[arg-type]
    with pool.transaction() as tx:
        audit.record(tx, APP, "samples.seen", 21, 4)
        audit.record(tx, APP, "audit.seen")
    verdict = verify(pool)
    assert (verdict.n_entries, verdict.first, verdict.last, verdict.broken) == (7, 1, 7, None)
    with pool.transaction() as tx:
        assert [entry.number for entry in audit.list_entries(tx)] == [7, 6, 5, 4, 3, 2, 1]
        chain = audit_log.get_chain(tx)
    assert verdict.head == Noted(chain.head_number, chain.head_hash)


def test_empty_log_is_whole(pool: Pool) -> None:
    assert verify(pool) == ChainVerdict()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_entries (service, action) VALUES ('app', 'profile.erased')",
        "INSERT INTO audit_chain DEFAULT VALUES",
        "UPDATE audit_chain SET head_number = 0",
        "DELETE FROM audit_chain",
        "CREATE TRIGGER mine AFTER INSERT ON profiles FOR EACH ROW EXECUTE FUNCTION chain_audit()",
        "ALTER TABLE audit_entries DISABLE TRIGGER audit_chained",
    ],
)
def test_services_write_entries_by_the_function_only(pool: Pool, statement: str) -> None:
    fill(pool, 1)
    with pytest.raises(StoreError, match="permission denied|must be owner"), pool.transaction() as tx:
        execute(tx, statement)


@pytest.mark.parametrize(
    "call",
    [
        """record_audit('', 'app', 'profile.erased', 1, NULL, '{"name": "Ada"}')""",
        """record_audit('', 'app', 'profile.erased', 1, NULL, '{"samples": 1.5}')""",
        """record_audit('', 'app', 'profile.erased', 1, NULL, '{"Ada Lovelace": 1}')""",
        """record_audit('', '=1+1', 'profile.erased', 1, NULL, '{}')""",
    ],
)
def test_function_refuses_what_is_no_number(pool: Pool, call: str) -> None:
    with pytest.raises(StoreError, match="audit log"), pool.transaction() as tx:
        execute(tx, f"SELECT {call}")


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_entries SET user_id = 99 WHERE number = 3", 3),
        ("UPDATE audit_entries SET at = at - interval '1 day' WHERE number = 2", 2),
        ("UPDATE audit_entries SET counts = '{}' WHERE number = 4", 4),
        ("DELETE FROM audit_entries WHERE number = 3", 3),
        ("DELETE FROM audit_entries WHERE number = 1", 1),
        ("DELETE FROM audit_entries WHERE number = 5", 5),
        ("DELETE FROM audit_entries", 1),
        ("INSERT INTO audit_entries (service, action) VALUES ('app', 'profile.erased')", 6),
        ("INSERT INTO audit_entries (service, action, number, hash) "
         "VALUES ('app', 'profile.erased', 6, decode(repeat('ab', 32), 'hex'))", 6),
        ("UPDATE audit_chain SET head_number = 4", 5),
    ],
)  # fmt: skip
def test_whatever_is_changed_is_found(pool: Pool, tampered, statement: str, broken: int) -> None:
    fill(pool)
    tampered(statement)
    found = verify(pool)
    assert found.broken == broken
    assert found.reason


def test_a_log_that_was_written_anew_is_found_by_what_was_noted(pool: Pool, tampered) -> None:
    fill(pool)
    noted = verify(pool).head
    assert noted is not None
    assert verify(pool, Noted.parse(str(noted))).broken is None
    tampered("DELETE FROM audit_entries; DELETE FROM audit_chain;")
    for index in range(6):
        with pool.transaction() as tx:
            audit.record(tx, APP, "profile.erased", index)
    assert verify(pool).broken is None
    assert verify(pool, noted).broken == 5
    tampered("DELETE FROM audit_entries; DELETE FROM audit_chain;")
    assert verify(pool, noted).broken == 1


def test_expiry_keeps_the_chain(pool: Pool, settings: Settings, postgres_server: PostgresServer, tampered) -> None:
    insert_old(postgres_server, settings, 90, 80, 20, 70)  # the last stays: a younger one is before it
    fill(pool, 1)
    before = verify(pool)
    with pool.transaction() as tx:
        assert retention.expire_audit(tx, datetime.now(UTC) - timedelta(days=31)) == 2
    after = verify(pool, before.head)
    assert (after.n_entries, after.first, after.last, after.head, after.broken) == (3, 3, 5, before.head, None)
    with pool.transaction() as tx:
        assert retention.expire_audit(tx, datetime.now(UTC) - timedelta(days=31)) == 0
    tampered("DELETE FROM audit_entries WHERE number = 3")
    assert verify(pool).broken == 3


def test_all_entries_may_expire_and_the_chain_goes_on(
    pool: Pool, settings: Settings, postgres_server: PostgresServer
) -> None:
    insert_old(postgres_server, settings, 90, 80)
    with pool.transaction() as tx:
        assert retention.expire_audit(tx, datetime.now(UTC) - timedelta(days=31)) == 2
    assert verify(pool).broken is None
    fill(pool, 2)
    assert (verify(pool).first, verify(pool).broken) == (3, None)


def test_entries_of_many_transactions_close_no_circle(settings: Settings) -> None:
    """One writes an entry and then waits for a row that another one holds: the chain is locked at the end only."""
    pool, both = Pool(settings, size=8), threading.Barrier(2)
    with pool.transaction() as tx:
        first, second = (accounts.insert_account(tx, login, "") for login in ("a", "b"))

    def work(index: int) -> None:
        with pool.transaction() as tx:
            if index == 0:
                accounts.record_successful_login(tx, first)
            else:
                audit.record(tx, APP, "account.logged_out", account=second)
            both.wait()
            if index == 0:
                audit.record(tx, APP, "account.logged_out", account=first)
            else:
                accounts.record_successful_login(tx, first)

    def add(index: int) -> None:
        with pool.transaction() as tx:
            audit.record(tx, APP, "samples.seen", index)

    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            list(threads.map(work, range(2)))
        list(threads.map(add, range(200)))
    assert (verify(pool).n_entries, verify(pool).broken) == (210, None)
    pool.close()


def test_migration_chains_what_is_there(empty) -> None:  # noqa: F811
    settings = empty()
    migrate_before(settings, 16)
    pool = Pool(settings)
    with pool.transaction() as tx:
        for days in (3, 1, 2):
            execute(
                tx,
                "INSERT INTO audit_entries (at, service, action, user_id, counts) "
                "VALUES (now() - make_interval(days => %s), 'app', 'profile.erased', %s, '{\"b\": 1, \"aa\": 2}')",
                (days, days),
            )
    with pool.transaction() as tx:
        schema.run_script(tx, runner.list_migrations()[16].read_text())
    with pool.transaction() as tx:
        assert [entry.user_id for entry in audit_log.list_chained(tx, 0, 9)] == [3, 2, 1]
    assert (verify(pool).n_entries, verify(pool).broken) == (3, None)
    with pytest.raises(StoreError, match="neither changed"), pool.transaction() as tx:
        execute(tx, "UPDATE audit_entries SET user_id = 1")
    with pool.transaction() as tx:
        audit.record(tx, APP, "samples.seen", 1)
    assert (verify(pool).last, verify(pool).broken) == (4, None)
    pool.close()


def test_exports_hold_every_entry_with_its_hash(pool: Pool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(audit_chain, "BATCH", 2)
    fill(pool)
    lines = b"".join(audit_chain.export(pool, "jsonl")).decode().splitlines()
    told = [json.loads(line) for line in lines]
    assert [one["number"] for one in told] == [1, 2, 3, 4, 5]
    assert (told[1]["login"], told[1]["counts"]) == ("=maria", {"a": 2**100, "samples": 1})
    assert all(after["previous_hash"] == before["hash"] for before, after in zip(told, told[1:], strict=False))
    table = list(csv.DictReader(io.StringIO(b"".join(audit_chain.export(pool, "csv")).decode())))
    assert [row["hash"] for row in table] == [one["hash"] for one in told]
    assert table[1]["login"] == "'=maria", "a spreadsheet would compute it"
    head = verify(pool).head
    assert audit_chain.verify_export(lines).head == head
    assert audit_chain.verify_export(lines[2:]).broken is None
    assert audit_chain.verify_export([*lines[:2], *lines[3:]]).broken == 3
    assert audit_chain.verify_export([*lines[:2], lines[2].replace("profile.erased", "profile.shared")]).broken == 3
    with pytest.raises(InvalidValueError, match="line 1"):
        audit_chain.verify_export(["number,at"])


def test_export_says_when_entries_go_meanwhile(pool: Pool, tampered, monkeypatch) -> None:
    monkeypatch.setattr(audit_chain, "BATCH", 2)
    fill(pool)
    parts = audit_chain.export(pool, "jsonl")
    next(parts)
    tampered("DELETE FROM audit_entries WHERE number <= 3")
    with pytest.raises(ConflictError, match="entry 3"):
        next(parts)


def test_command_names_the_first_entry_that_is_broken(pool: Pool, settings: Settings, tampered, tmp_path: Path) -> None:
    fill(pool)
    environment = {
        "SEMG_ENV_FILE": str(tmp_path / "no.env"), "POSTGRES_HOST": "127.0.0.1", "POSTGRES_USER": "semg",
        "POSTGRES_PORT": str(settings.postgres_port), "POSTGRES_DB": settings.postgres_db,
        "POSTGRES_PASSWORD": settings.postgres_password.get_secret_value(),
    }  # fmt: skip

    def command(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(PROJECT_DIR / "db" / "verify_audit.py"), *arguments],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).strip()

    whole, said = command()
    assert (whole, said.splitlines()[0]) == (0, "5 entries, 1 to 5")
    noted = said.splitlines()[1]
    assert command("--noted", noted)[0] == 0
    assert command("--noted", noted[:-1])[0] == 2
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"".join(audit_chain.export(pool, "jsonl")))
    assert command("--file", str(file)) == (0, said)
    tampered("UPDATE audit_entries SET action = 'audit.seen' WHERE number = 4")
    broken, said = command()
    assert (broken, said.splitlines()[-1][:8]) == (1, "entry 4:")
