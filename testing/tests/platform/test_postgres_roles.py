"""The owner and the services' role: who may change the schema, and how an older cluster gets both."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr

from semg.errors import PlatformError, StoreError
from semg.platform import embedded, postgres, schema
from semg.settings import Settings
from semg.store import profiles
from semg.store.pool import Pool, execute, one, rows

pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a integer)",
        "CREATE TEMPORARY TABLE sessions (a integer)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "ALTER TABLE profiles ADD COLUMN mine text",
        "ALTER TABLE sample_blocks DISABLE TRIGGER ALL",
        "ALTER FUNCTION ensure_sample_partition(date) SET search_path = mine",
        "ALTER ROLE semg SUPERUSER",
        "DROP TABLE profiles CASCADE",
        "DROP TABLE sample_blocks_20260301",
        "TRUNCATE profiles CASCADE",
        "INSERT INTO schema_migrations (number) VALUES (9999)",
        "UPDATE audit_entries SET action = 'nothing.happened'",
        "DELETE FROM audit_entries",
        "SET ROLE semg_owner",
        "COPY profiles TO PROGRAM 'cat'",
        "COPY profiles FROM '/etc/passwd'",
    ],
)
def test_services_cannot_change_the_schema(pool: Pool, statement: str) -> None:
    with pool.transaction() as tx:
        execute(tx, "SELECT ensure_sample_partition('2026-03-01')")
    with pytest.raises(StoreError, match="permission denied|must be owner"), pool.transaction() as tx:
        execute(tx, statement)


def test_services_role_has_no_attribute_of_power(pool: Pool) -> None:
    with pool.transaction() as tx:
        role = one(tx, "SELECT * FROM pg_roles WHERE rolname = current_user")
        members = one(tx, "SELECT count(*) AS n FROM pg_auth_members WHERE member = current_user::regrole").n
    powers = (role.rolsuper, role.rolcreaterole, role.rolcreatedb, role.rolreplication, role.rolbypassrls)
    assert (role.rolname, powers, members) == ("semg", (False,) * 5, 0)


def test_no_function_of_the_owner_looks_into_a_callers_tables_first(pool: Pool) -> None:
    with pool.transaction() as tx:
        found = rows(
            tx,
            "SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace",
        )
    assert len(found) >= 3
    assert {row.proname: row.proconfig for row in found if "search_path=public, pg_temp" not in row.proconfig} == {}


def test_days_are_made_and_dropped_by_the_owners_functions(pool: Pool) -> None:
    with pool.transaction() as tx:
        execute(tx, "SELECT ensure_sample_partition('2026-03-01')")
        assert one(tx, "SELECT count(*) AS n FROM sample_blocks_20260301").n == 0
        assert one(tx, "SELECT expire_sample_partition('sample_blocks_20260301'::regclass, false) AS went").went
        assert one(tx, "SELECT to_regclass('sample_blocks_20260301') AS there").there is None
    with pytest.raises(StoreError, match="no day of sample_blocks"), pool.transaction() as tx:
        execute(tx, "SELECT expire_sample_partition('profiles'::regclass, false)")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that ``nobody`` reaches when root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="semg-test-roles-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def settings_of(folder: Path, port: int, **passwords: str) -> Settings:
    return Settings(
        _env_file=None,
        postgres_port=port,
        data_dir=folder,
        **{name: SecretStr(value) for name, value in passwords.items()},
    )


def start(folder: Path, settings: Settings) -> postgres.PostgresServer:
    owner, service = settings.postgres_owner, settings.postgres_service
    return postgres.start(
        folder / "postgres", settings.postgres_port, *owner, settings.postgres_db, folder / "postgres.log",
        service=service if service != owner else None, durable=False,
    )  # fmt: skip


def test_cluster_of_an_earlier_version_gets_an_owner_and_keeps_its_rows(folder: Path) -> None:
    port, service_password = embedded.free_port(), secrets.token_urlsafe(16)
    before = settings_of(folder, port, postgres_password=service_password)
    assert before.postgres_owner == before.postgres_service == ("semg", service_password)
    server = start(folder, before)
    try:
        schema.bring_up_to_date(before)
        pool = Pool(before)
        with pool.transaction() as tx:
            user_id = profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200)
        pool.close()
    finally:
        server.stop()

    after = settings_of(folder, port, postgres_password=service_password, postgres_owner_password="owner-secret")
    assert after.postgres_owner == ("semg_owner", "owner-secret")
    for _ in range(2):  # a second start finds everything as it is
        server = start(folder, after)
        try:
            schema.bring_up_to_date(after)
            pool = Pool(after)
            with pool.transaction() as tx:
                assert profiles.get_profile(tx, user_id).name == "Ada"
                assert not one(tx, "SELECT rolsuper FROM pg_roles WHERE rolname = 'semg'").rolsuper
                assert one(tx, "SELECT count(*) AS n FROM pg_roles WHERE rolsuper").n == 1
            with pytest.raises(StoreError, match="must be owner"), pool.transaction() as tx:
                execute(tx, "DROP TABLE profiles")
            pool.close()
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(
                    host="127.0.0.1", port=port, user="semg_owner", password=service_password, dbname="sensordb"
                )
        finally:
            server.stop()

    wrong = settings_of(folder, port, postgres_password=service_password, postgres_owner_password="another")
    with pytest.raises(PlatformError, match="refuses POSTGRES_OWNER_PASSWORD"):
        start(folder, wrong)


def test_owner_of_a_named_server_is_who_its_settings_say() -> None:
    common = {"postgres_host": "db.example", "postgres_password": "p"}
    assert Settings(_env_file=None, **common).postgres_owner == ("semg", "p")
    owner = {"postgres_owner_user": "boss", "postgres_owner_password": "q"}
    assert Settings(_env_file=None, **common, **owner).postgres_owner == ("boss", "q")
