"""The audit log: numbers only, added and never changed, and gone only by age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from semg.errors import InvalidValueError, StoreError
from semg.platform.servers.postgres import PostgresServer
from semg.settings import Settings
from semg.store import accounts, audit, profiles, retention
from semg.store.audit import Actor
from semg.store.pool import Pool, execute, one
from testing.kits.store_data import Filled
from testing.tests.conftest import admin_execute


def test_entry_tells_who_did_what_and_outlives_both(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        accounts.insert_account(tx, "maria", "hash")
        audit.record(tx, Actor("maria"), "samples.seen", filled.user_id, filled.session_id)
        gone = profiles.delete_profile(tx, filled.user_id)
        audit.record(tx, Actor("maria"), "profile.erased", filled.user_id, samples=gone.samples)
        audit.record(tx, Actor(service="api token"), "live.seen", filled.user_id)
    with pool.transaction() as tx:
        newest, erased, seen = audit.list_entries(tx, user_id=filled.user_id)
        assert audit.list_entries(tx, user_id=999) == []
        execute(tx, "DELETE FROM accounts")
        assert audit.list_entries(tx, limit=2)[1].who.startswith("account ")
    assert (erased.who, erased.action, erased.counts) == ("maria", "profile.erased", {"samples": 160})
    assert (seen.who, seen.session_id) == ("maria", filled.session_id)
    assert newest.who == "api token"


def test_entry_holds_numbers_only(pool: Pool) -> None:
    with pytest.raises(InvalidValueError, match="expected a number"), pool.transaction() as tx:
        audit.record(tx, Actor(service="app"), "profile.erased", 21, name="Ada")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET user_id = 1",
        "UPDATE audit_entries SET number = NULL, hash = NULL",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ],
)
def test_entries_are_not_changed(
    pool: Pool, settings: Settings, postgres_server: PostgresServer, statement: str
) -> None:
    with pool.transaction() as tx:
        audit.record(tx, Actor(service="app"), "profile.erased", 21)
    with pytest.raises(StoreError, match="permission denied"), pool.transaction() as tx:
        execute(tx, statement)
    with pytest.raises(psycopg2.Error, match="neither changed nor deleted"):
        admin_execute(postgres_server, statement, settings.postgres_db)  # the owner of the tables may not either
    with pool.transaction() as tx:
        assert one(tx, "SELECT count(*) AS n FROM audit_entries").n == 1


def insert_old(postgres_server: PostgresServer, settings: Settings, *days: int) -> None:
    """Add entries of so many days ago, as only the tables' owner can."""
    for n_days in days:
        admin_execute(
            postgres_server,
            "INSERT INTO audit_entries (at, service, action) "
            f"VALUES (now() - interval '{n_days} days', 'app', 'profile.erased')",
            settings.postgres_db,
        )


def test_only_old_entries_go_by_their_age(pool: Pool, settings: Settings, postgres_server: PostgresServer) -> None:
    now = datetime.now(UTC)
    insert_old(postgres_server, settings, 500, 31, 29, 0)
    with pytest.raises(StoreError, match="30 days"), pool.transaction() as tx:
        retention.expire_audit(tx, now - timedelta(days=20))
    with pool.transaction() as tx:
        assert retention.expire_audit(tx, now - timedelta(days=30, hours=1)) == 2
        assert len(audit.list_entries(tx)) == 2
    with pytest.raises(StoreError, match="permission denied"), pool.transaction() as tx:
        retention.expire_audit(tx, now - timedelta(days=31))
        execute(tx, "DELETE FROM audit_entries")  # what the function may do ends with it
