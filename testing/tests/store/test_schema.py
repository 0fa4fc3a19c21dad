"""The schema: one file and all migrations give the same; migrating is safe."""

from __future__ import annotations

import gzip
import io
import secrets
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from semg.domain import Block, us_from_utc, utc_from_us
from semg.errors import PlatformError, SettingsError, StoreError
from semg.platform.database import backup
from semg.platform.database import schema_setup as runner
from semg.platform.servers.postgres import PostgresServer
from semg.settings import Settings
from semg.store import blocks, boards, consents, profiles, schema, simulated_arms
from semg.store.pool import Pool, execute, one, rows
from testing.tests.conftest import admin_execute

DUMP = {
    "columns": """
        SELECT table_name, column_name, row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position) AS place,
               column_default, is_nullable, data_type, udt_name, identity_generation, identity_start,
               is_generated, generation_expression
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3
    """,
    "storage": """
        SELECT attrelid::regclass::text, attname, attstorage, attcompression FROM pg_attribute
        JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped ORDER BY 1, attnum
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    "relations": """
        SELECT relname, relkind, pg_get_expr(relpartbound, oid) AS bound FROM pg_class
        WHERE relnamespace = 'public'::regnamespace ORDER BY 1
    """,
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "functions": """
        SELECT proname, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2
    """,
    "triggers": """
        SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2
    """,
    "comments": """
        SELECT classoid::regclass::text, pg_describe_object(classoid, objoid, objsubid) AS object, description
        FROM pg_description d
        WHERE pg_describe_object(classoid, objoid, objsubid) !~ 'pg_|information_schema'
          AND ((classoid = 'pg_class'::regclass AND objoid IN
                (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace))
            OR (classoid = 'pg_proc'::regclass AND objoid IN
                (SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace)))
        ORDER BY 1, 2
    """,
    "numbers": "SELECT number FROM schema_migrations ORDER BY 1",
}


def dump(settings: Settings) -> dict[str, list[tuple]]:
    pool = Pool(settings)
    try:
        with pool.transaction() as tx:
            return {what: [tuple(row) for row in rows(tx, query)] for what, query in DUMP.items()}
    finally:
        pool.close()


@pytest.fixture
def empty(settings: Settings, postgres_server: PostgresServer) -> Iterator[Callable[[], Settings]]:
    """Make empty databases."""
    made: list[str] = []

    def make() -> Settings:
        made.append(f"test_{secrets.token_hex(6)}")
        admin_execute(postgres_server, f"CREATE DATABASE {made[-1]}")
        password = settings.postgres_owner_password
        owner = {"postgres_user": settings.postgres_owner_user, "postgres_password": password}
        return settings.model_copy(update={"postgres_db": made[-1], **owner})

    yield make
    for database in made:
        admin_execute(postgres_server, f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of ``db`` with one more migration than ``postgres.sql`` has."""
    copy = tmp_path / "db"
    shutil.copytree(runner.FOLDER, copy)
    (copy / "migrations" / "9001_add_colour.sql").write_text("ALTER TABLE profiles ADD COLUMN colour text;\n")
    return copy


def migrate_before(settings: Settings, end: int) -> None:
    """Apply the migrations with lower numbers."""
    pool = Pool(settings)
    for number, path in runner.list_migrations().items():
        if number < end:
            with pool.transaction() as tx:
                schema.run_script(tx, path.read_text())
                schema.insert_number(tx, number)
    pool.close()


def test_schema_file_equals_all_migrations(empty) -> None:
    by_file, by_migrations = empty(), empty()
    assert runner.bring_up_to_date(by_file) == list(runner.list_migrations())
    migrate_before(by_migrations, 1_000_000)
    expected, found = dump(by_file), dump(by_migrations)
    assert len(expected["columns"]) > 100, "the dump sees the tables"
    assert len(expected["comments"]) > 10, "the dump sees the comments"
    for what in DUMP:
        assert found[what] == expected[what], what


def test_stored_arrays_are_packed_without_changing_a_bit(empty) -> None:
    settings = empty()
    migrate_before(settings, 5)
    pool = Pool(settings)
    rng = np.random.default_rng(1)
    first_us = us_from_utc(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    integers = rng.integers(-32768, 32768, (50, 4)).astype(np.float32)
    values = [integers, rng.normal(0, 1, (50, 4)).astype(np.float32), np.full((50, 1), -0.0, np.float32),
              np.full((50, 1), np.nan, np.float32), np.full((50, 16), 40_000, np.float32)]  # fmt: skip
    written = []
    for index, samples in enumerate(values):
        device = 500_000 * index + np.arange(50, dtype=np.int64) * 2000
        received = first_us + (index + 1) ** 14 * np.arange(50, dtype=np.int64)
        written.append(Block(21, 5, index == 0, False, first_us, device, received, samples))
    with pool.transaction() as tx:
        for day in ("2026-03-01", "2026-03-02"):
            execute(tx, "SELECT ensure_sample_partition(%s)", (day,))
        for block in written:
            execute(
                tx,
                "INSERT INTO sample_blocks (user_id, started_at, segment_id, starts_run, late, clock_offset_us, "
                "device_us, received_us, samples) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::real[])",
                (21, utc_from_us(int(block.server_us[0])), 5, block.starts_run, block.late, first_us,
                 block.device_us.tolist(), block.received_us.tolist(),
                 # as text: ARRAY[-0.0] would be made of numerics, which have no minus zero
                 str(block.samples.tolist()).replace("[", "{").replace("]", "}")),
            )  # fmt: skip
    pool.close()
    assert 5 in runner.bring_up_to_date(settings, lambda _: Path())
    pool = Pool(settings)
    with pool.transaction() as tx:
        found = blocks.list_blocks(tx, 21, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
        sizes = [row.n for row in rows(tx, "SELECT octet_length(samples) AS n FROM sample_blocks ORDER BY started_at")]
    pool.close()
    assert len(found) == len(written)
    for one_found, block in zip(found, written, strict=True):
        assert one_found.samples.tobytes() == block.samples.tobytes()
        assert np.array_equal(one_found.device_us, block.device_us)
        assert np.array_equal(one_found.received_us, block.received_us)
        assert (one_found.starts_run, one_found.segment_id) == (block.starts_run, 5)
    assert sizes == [2 * 200, 4 * 200, 4 * 50, 4 * 50, 4 * 800]


def test_date_of_consent_becomes_the_oldest_entry_of_its_history(empty) -> None:
    settings = empty()
    migrate_before(settings, 7)
    pool = Pool(settings)
    with pool.transaction() as tx:
        execute(tx, "INSERT INTO profiles (name, consent_at) VALUES ('Ada', '2026-03-01T10:00Z'), ('Ben', NULL)")
        execute(tx, "INSERT INTO devices (user_id, channels, rate_hz, sensor, adc_min, adc_max) "
                    "SELECT user_id, ARRAY['a0'], 200, 'raw', 0, 4095 FROM profiles")  # fmt: skip
    assert 7 in runner.bring_up_to_date(settings, lambda _: Path())
    with pool.transaction() as tx:
        ada, ben = profiles.list_profiles(tx)
        (first,) = consents.list_consents(tx, ada.user_id)
    pool.close()
    assert ben.consent is None
    assert ada.consent == first
    assert (first.scopes, first.agreed_at) == (("recording", "shared_models"), datetime(2026, 3, 1, 10, tzinfo=UTC))


def test_boards_that_are_set_aside_are_one_arms_and_named_after_nobody(empty) -> None:
    settings = empty()
    migrate_before(settings, 27)
    pool = Pool(settings)
    with pool.transaction() as tx:
        execute(tx, "INSERT INTO profiles (name) VALUES ('Ada'), ('Ben'), ('Cy'), ('Di')")
        execute(
            tx,
            """
            INSERT INTO boards (name, user_id, key_encrypted, key_made_at) VALUES
                ('ada', NULL, 'k', '2026-03-01T09:00Z'), ('Left', 24, 'k', '2026-03-01T09:00Z'),
                ('renewed', NULL, 'k', '2026-03-01T11:00Z'),
                ('Simulated arm', 21, 'k', now()), ('Simulated arm', 22, 'k', now()), ('Simulated arm', 23, 'k', now())
            """,
        )
        execute(
            tx,
            """
            INSERT INTO simulated_arms (user_id, board_id, former_board_id, seed, since) VALUES
                (21, 4, 1, 1, '2026-03-01T10:01Z'), (22, 5, 1, 1, '2026-03-01T10:00Z'),
                (23, 6, 3, 1, '2026-03-01T10:00Z')
            """,
        )
        execute(tx, "INSERT INTO boards (name) VALUES ('Simulated arm')")
        execute(tx, "INSERT INTO profiles (name) VALUES ('Ed')")
        execute(tx, "INSERT INTO simulated_arms (user_id, board_id, former_board_id, seed) VALUES (25, 7, 2, 1)")
    assert 27 in runner.bring_up_to_date(settings, lambda _: Path())
    with pool.transaction() as tx:
        arms = {arm.user_id: (arm.former_board_id, arm.former_key_made_at) for arm in simulated_arms.list_arms(tx)}
        named = {one.board_id: one.name for one in boards.list_boards(tx)}
    pool.close()
    made_at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert arms == {21: (1, made_at), 22: (None, None), 23: (3, None), 25: (None, None)}
    assert [named[one] for one in (1, 2, 3)] == ["Board 1", "Left", "renewed"]


def test_the_comparison_sees_a_difference(empty) -> None:
    first, second = empty(), empty()
    for settings in (first, second):
        runner.bring_up_to_date(settings)
    pool = Pool(second)
    with pool.transaction() as tx:
        schema.run_script(tx, "ALTER TABLE jobs ALTER COLUMN epochs SET DEFAULT 1; COMMENT ON VIEW user_sensor IS 'x'")
    pool.close()
    before, after = dump(first), dump(second)
    assert {what for what in DUMP if before[what] != after[what]} == {"columns", "comments"}


def test_no_migration_ends_its_transaction_itself() -> None:
    for path in runner.list_migrations().values():
        words = path.read_text().upper().replace(";", " ; ").split()
        statements = " ".join(words).split(" ; ")
        assert not {"BEGIN", "COMMIT", "ROLLBACK"} & {statement.strip() for statement in statements}, path.name


def psql(settings: Settings, *arguments: str, script: str | None = None) -> None:
    """Run the client that lies beside ``pg_dump``."""
    (program, *_) = [path.with_name("psql") for path in backup.dump_programs() if path.with_name("psql").exists()]
    host, port = settings.postgres_address
    done = subprocess.run(
        [program, "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", str(port), "-U", settings.postgres_user,
         "-d", settings.postgres_db, *arguments],
        input=script, text=True, capture_output=True, check=False,
        env={"PGPASSWORD": settings.postgres_password.get_secret_value()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_schema_applied_by_hand_leaves_nothing_to_migrate(empty) -> None:
    by_hand, by_start = empty(), empty()
    psql(by_hand, "-f", str(runner.FOLDER / "postgres.sql"))
    assert runner.bring_up_to_date(by_hand) == []
    runner.bring_up_to_date(by_start)
    assert dump(by_hand) == dump(by_start)


def test_second_call_changes_nothing(empty) -> None:
    settings = empty()
    assert runner.bring_up_to_date(settings)
    before = dump(settings)
    assert runner.bring_up_to_date(settings) == []
    assert dump(settings) == before


def test_two_starts_at_the_same_moment_make_the_schema_once(empty) -> None:
    settings = empty()
    results: list[list[int]] = []
    together = threading.Barrier(4)

    def start() -> None:
        together.wait(10)
        results.append(runner.bring_up_to_date(settings))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [[], [], [], list(runner.list_migrations())]


def test_database_with_rows_is_backed_up_before_a_migration(
    settings: Settings, pool: Pool, folder: Path, decrypted
) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ada of the backup", channels=("a0",), rate_hz=200)
    assert runner.bring_up_to_date(settings, folder=folder) == [9001]
    (written,) = (settings.data_dir / "backups").iterdir()
    content = gzip.decompress(decrypted(written)).decode()
    assert "Ada of the backup" in content
    assert "colour" not in content, "the backup is from before the migration"
    assert written.stat().st_mode & 0o077 == 0
    with pool.transaction() as tx:
        assert one(tx, "SELECT colour FROM profiles").colour is None
        assert schema.current_number(tx) == 9001


def test_backup_restores_to_the_same_database(settings: Settings, pool: Pool, empty, decrypted) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200)
    other = empty()
    script = gzip.decompress(decrypted(backup.back_up(settings))).decode()
    assert "COPY public.profiles" in script
    psql(other, script=script)
    assert dump(other) == dump(settings)
    restored = Pool(other)
    with restored.transaction() as tx, pool.transaction() as original:
        assert profiles.list_profiles(tx) == profiles.list_profiles(original)
    restored.close()


def test_empty_database_is_migrated_without_a_backup(settings: Settings, folder: Path) -> None:
    def unexpected(_: Settings) -> Path:
        raise AssertionError("nothing to back up")

    assert runner.bring_up_to_date(settings, unexpected, folder=folder) == [9001]


def test_failed_backup_stops_the_migration(settings: Settings, pool: Pool, folder: Path) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200)
    settings.data_dir.mkdir()
    (settings.data_dir / "backups").write_text("a file where the folder should be")
    with pytest.raises(PlatformError, match="DATA_DIR"):
        runner.bring_up_to_date(settings, folder=folder)
    with pool.transaction() as tx:
        assert 9001 not in schema.list_applied(tx)


def test_backup_without_pg_dump_is_a_file_per_table(settings: Settings, pool: Pool, decrypted) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200)
        tables = schema.list_tables(tx)
    written = backup.back_up(settings, programs=[Path("/bin/false")])
    with tarfile.open(fileobj=io.BytesIO(decrypted(written))) as archive:
        assert sorted(archive.getnames()) == sorted(f"{table}.csv" for table in tables)
        content = archive.extractfile("profiles.csv")
        assert content is not None
        header, row = content.read().decode().splitlines()
    assert header.startswith("user_id,name,")
    assert ",Ada," in row
    assert [path.name for path in written.parent.iterdir()] == [written.name], "no partial file is left"


def test_only_the_newest_backups_are_kept(settings: Settings) -> None:
    written = [backup.back_up(settings, programs=[]) for _ in range(backup.KEPT + 2)]
    assert sorted(written[0].parent.iterdir()) == written[2:]


def test_failing_migration_leaves_nothing_behind(settings: Settings, pool: Pool, folder: Path) -> None:
    (folder / "migrations" / "9002_breaks.sql").write_text(
        "ALTER TABLE profiles ADD COLUMN half text; ALTER TABLE nothing ADD COLUMN x text;"
    )
    with pytest.raises(StoreError, match="nothing"):
        runner.bring_up_to_date(settings, folder=folder)
    with pool.transaction() as tx:
        assert schema.current_number(tx) == 9001
        found = one(tx, "SELECT count(*) AS n FROM information_schema.columns WHERE column_name = 'half'")
        assert found.n == 0


def test_newer_database_is_refused(settings: Settings, folder: Path) -> None:
    runner.bring_up_to_date(settings, folder=folder)
    with pytest.raises(SettingsError, match="contains migration 9001"):
        runner.bring_up_to_date(settings)


def test_database_of_something_else_is_refused(empty) -> None:
    settings = empty()
    pool = Pool(settings)
    with pool.transaction() as tx:
        schema.run_script(tx, "CREATE TABLE invoices (number integer)")
        assert schema.current_number(tx) == 0
    pool.close()
    with pytest.raises(SettingsError, match=r"tables \(invoices.*not this project's"):
        runner.bring_up_to_date(settings)


def test_names_of_migrations_are_numbers_that_come_once(folder: Path) -> None:
    (folder / "migrations" / "9001_again.sql").write_text("")
    with pytest.raises(SettingsError, match="same number"):
        runner.list_migrations(folder)
    (folder / "migrations" / "9001_again.sql").rename(folder / "migrations" / "again.sql")
    with pytest.raises(SettingsError, match="begins with its number"):
        runner.list_migrations(folder)
