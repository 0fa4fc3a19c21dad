"""The owner and the services' role: who may change the schema, and how an older cluster gets both."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr

from semg.errors import PlatformError, StoreError
from semg.platform.database import schema_setup
from semg.platform.servers import embedded, postgres, postgres_roles
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
    """A folder that PostgreSQL's account reaches when root runs the tests."""
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


def make_old_cluster(folder: Path, superuser: str, password: str) -> None:
    """Make the files of a cluster as earlier versions did: its superuser is who the platform works as."""
    data = folder / "postgres"
    data.mkdir(mode=0o700)
    (folder / "secret").write_text(password)
    for path in (data, folder / "secret"):
        embedded.hand_over(path)
    command = [
        str(postgres.binaries() / "initdb"), "-D", str(data), "-U", superuser, "--pwfile", str(folder / "secret"),
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, cwd="/", **embedded.unprivileged())


def served_as_before(folder: Path, settings: Settings) -> postgres.PostgresServer:
    """Start such a cluster as an earlier version did, with a database that the superuser makes."""
    user, password = settings.postgres_owner
    command = [str(postgres.binaries() / "postgres"), "-D", str(folder / "postgres"), "-c", "unix_socket_directories="]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", f"port={settings.postgres_port}", "-c", "fsync=off"]
    with (folder / "postgres.log").open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd="/", **embedded.unprivileged())
    log = folder / "postgres.log"
    server = postgres.PostgresServer(
        process=process,
        port=settings.postgres_port,
        user=user,
        password=password,
        database=settings.postgres_db,
        data=folder / "postgres",
        log=log,
    )
    embedded.wait_until(lambda: postgres._answers(server), process, "PostgreSQL", log)
    for name in (settings.postgres_db, f"{settings.postgres_db}_before_20260101t000000"):
        execute_as(settings, "postgres", f"CREATE DATABASE {name}")
    return server


def execute_as(settings: Settings, database: str, statement: str) -> list[tuple]:
    user, password = settings.postgres_owner
    connection = psycopg2.connect(
        host="127.0.0.1", port=settings.postgres_port, user=user, password=password, dbname=database
    )
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def fill(settings: Settings) -> int:
    schema_setup.bring_up_to_date(settings)
    execute_as(settings, f"{settings.postgres_db}_before_20260101t000000", "CREATE TABLE of_before (a serial)")
    execute_as(settings, settings.postgres_db, "CREATE TYPE mood AS ENUM ('calm')")
    execute_as(settings, settings.postgres_db, "CREATE SCHEMA aside CREATE VIEW seen AS SELECT 1 AS a")
    pool = Pool(settings)
    try:
        with pool.transaction() as tx:
            return profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200)
    finally:
        pool.close()


SUPERUSERS = "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolsuper"
LEFT = """
SELECT relname FROM pg_class WHERE relowner = 10 AND relnamespace NOT IN
    (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname = 'information_schema')
UNION SELECT proname FROM pg_proc WHERE proowner = 10 AND pronamespace = 'public'::regnamespace
UNION SELECT typname FROM pg_type WHERE typowner = 10 AND typnamespace = 'public'::regnamespace
UNION SELECT nspname FROM pg_namespace WHERE nspowner = 10 AND nspname IN ('aside', 'public')
UNION SELECT datname FROM pg_database WHERE datdba = 10 AND datname !~ '^(template|postgres)'
"""


@pytest.mark.parametrize("generation", ["services were the superuser", "the owner was the superuser"])
def test_cluster_of_an_earlier_version_gets_a_plain_owner_and_keeps_its_rows(folder: Path, generation: str) -> None:
    port, password = embedded.free_port(), secrets.token_urlsafe(16)
    after = settings_of(folder, port, postgres_password=password, postgres_owner_password="owner's \\secret")
    before = after
    if generation.startswith("services"):
        before = settings_of(folder, port, postgres_password=password)
        assert before.postgres_owner == before.postgres_service
    make_old_cluster(folder, *before.postgres_owner)
    server = served_as_before(folder, before)
    try:
        if before is after:
            execute_as(before, "postgres", f"CREATE ROLE semg LOGIN PASSWORD '{password}'")
        user_id = fill(before)
    finally:
        server.stop()

    for _ in range(2):  # a second start finds everything as it is
        server = start(folder, after)
        try:
            assert execute_as(after, "postgres", SUPERUSERS) == [("semg_bootstrap", False)]
            for database in (after.postgres_db, f"{after.postgres_db}_before_20260101t000000"):
                assert execute_as(after, database, LEFT) == []
            schema_setup.bring_up_to_date(after)
            pool = Pool(after)
            with pool.transaction() as tx:
                assert profiles.get_profile(tx, user_id).name == "Ada"
                execute(tx, "SELECT ensure_sample_partition('2026-03-01')")
            with pytest.raises(StoreError, match="must be owner"), pool.transaction() as tx:
                execute(tx, "DROP TABLE profiles")
            pool.close()
            for user in ("semg_owner", "semg_bootstrap"):
                with pytest.raises(psycopg2.OperationalError, match="password|not permitted"):
                    psycopg2.connect(host="127.0.0.1", port=port, user=user, password=password, dbname="sensordb")
        finally:
            server.stop()

    wrong = settings_of(folder, port, postgres_password=password, postgres_owner_password="another")
    with pytest.raises(PlatformError, match="refuses POSTGRES_OWNER_PASSWORD"):
        start(folder, wrong)


def test_owner_has_no_power_over_the_cluster(folder: Path) -> None:
    settings = settings_of(folder, embedded.free_port(), postgres_password="p", postgres_owner_password="q")
    server = start(folder, settings)
    try:
        for statement in (
            "COPY (SELECT 1) TO PROGRAM 'cat'", "CREATE ROLE mine", "ALTER ROLE semg_owner SUPERUSER",
            "ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_read_file('PG_VERSION')", "SET ROLE semg_bootstrap",
            "SELECT rolpassword FROM pg_authid", "CREATE EXTENSION file_fdw", "ALTER ROLE semg_bootstrap LOGIN",
        ):  # fmt: skip
            with pytest.raises(psycopg2.Error, match="permission denied|must be|not permitted|not available"):
                execute_as(settings, settings.postgres_db, statement)
    finally:
        server.stop()


def test_services_get_the_password_of_the_settings(folder: Path) -> None:
    port = embedded.free_port()
    for password in ("one", "two"):
        settings = settings_of(folder, port, postgres_password=password, postgres_owner_password="q")
        server = start(folder, settings)
        try:
            schema_setup.bring_up_to_date(settings)
            pool = Pool(settings)
            with pool.transaction() as tx:
                assert one(tx, "SELECT current_user AS name").name == "semg"
            pool.close()
        finally:
            server.stop()


@pytest.mark.parametrize("hostile", ["a'; DROP ROLE semg; --", 'b"; --', "c\\'; --", "d''\"\\", "e$$f$1"])
def test_names_and_passwords_are_text_in_the_single_user_mode(folder: Path, hostile: str) -> None:
    settings = Settings(
        _env_file=None, postgres_port=embedded.free_port(), data_dir=folder, postgres_user=f"u{hostile}",
        postgres_password=hostile, postgres_owner_user=f"o{hostile}", postgres_owner_password=hostile,
        postgres_db=f"d{hostile}",
    )  # fmt: skip
    server = start(folder, settings)
    try:
        assert execute_as(settings, settings.postgres_db, SUPERUSERS) == [("semg_bootstrap", False)]
    finally:
        server.stop()
    for unfit in ("a\nb", "a;\n\nb", "a\0b"):
        with pytest.raises(PlatformError, match="printable"):
            postgres_roles.role_script(("owner", unfit), None)


def test_owner_of_a_named_server_is_who_its_settings_say() -> None:
    common = {"postgres_host": "db.example", "postgres_password": "p"}
    assert Settings(_env_file=None, **common).postgres_owner == ("semg", "p")
    owner = {"postgres_owner_user": "boss", "postgres_owner_password": "q"}
    assert Settings(_env_file=None, **common, **owner).postgres_owner == ("boss", "q")
