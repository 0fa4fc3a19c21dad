"""Migrate a database to the schema of this version of the project."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from semg.errors import SettingsError
from semg.platform.database.backup import back_up
from semg.settings import PROJECT_DIR, Settings
from semg.store import schema
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

FOLDER = PROJECT_DIR / "db"
GRANTS = FOLDER / "grants.sql"


def bring_up_to_date(
    settings: Settings, backup: Callable[[Settings], Path] | None = None, *, folder: Path = FOLDER
) -> list[int]:
    """Create the current schema in an empty database, or apply the missing migrations to an older one.

    Then the services get their rights. All is done as the tables' owner (``POSTGRES_OWNER_USER``), who may be another
    role than that of the services.

    Each migration is one transaction with its row in ``schema_migrations``; a second process that starts at the
    same moment waits for the first. Before the first migration of a database that has rows, a backup is written.

    Parameters
    ----------
    backup
        Writes the backup and returns its file; ``semg.platform.database.backup.back_up`` by default.
    folder
        Where ``postgres.sql`` and ``migrations/`` are.

    Returns
    -------
    list of int
        Numbers of the migrations that the database contains now and did not before.

    Raises
    ------
    SettingsError
        The database is of a newer version, or is not this project's; the message says what to do.
    PlatformError
        No backup could be written; nothing was changed.
    StoreError
        PostgreSQL cannot be reached, or refused a statement.
    """
    migrations = list_migrations(folder)
    pool = Pool(settings, size=2, name="migrate", as_owner=True)
    try:
        with pool.transaction() as guard:
            schema.lock_schema(guard)
            with pool.transaction() as tx:
                applied, tables = schema.list_applied(tx), schema.list_tables(tx)
                _refuse_foreign(settings, migrations, applied, tables)
                filled = schema.has_rows(tx, [name for name in tables if name != "schema_migrations"])
            if not tables:
                added = _create(pool, folder)
            else:
                added = [number for number in migrations if number not in applied]
                if added and filled:
                    written = (backup or back_up)(settings)
                    logger.info("backup before the migration: %s", written)
                for number in added:
                    _migrate(pool, migrations[number], number)
            if settings.postgres_owner != settings.postgres_service:
                _grant(pool, settings.postgres_user)
            return added
    finally:
        pool.close()


def list_migrations(folder: Path = FOLDER) -> dict[int, Path]:
    """Return the files of the migrations by number, in order.

    Raises
    ------
    SettingsError
        A file's name does not begin with a number, or a number comes twice.
    """
    found: dict[int, Path] = {}
    for path in sorted((folder / "migrations").glob("*.sql")):
        prefix = path.name.split("_", 1)[0]
        if not prefix.isdigit():
            raise SettingsError(f"{path}: a migration's name begins with its number, as in 0002_add_videos.sql")
        if int(prefix) in found:
            raise SettingsError(f"{path} and {found[int(prefix)].name} have the same number; give one the next")
        found[int(prefix)] = path
    return dict(sorted(found.items()))


def _refuse_foreign(settings: Settings, migrations: dict[int, Path], applied: list[int], tables: list[str]) -> None:
    database = settings.postgres_db
    if tables and not applied:
        raise SettingsError(
            f"database {database} has tables ({', '.join(tables[:5])}, …) but no account of its schema in "
            "schema_migrations: it is not this project's. Name another database in POSTGRES_DB, or empty this one"
        )
    unknown = [number for number in applied if number not in migrations]
    if unknown:
        raise SettingsError(
            f"database {database} contains migration {unknown[-1]}, this version of the project knows "
            f"{max(migrations, default=0)} at most: it was used by a newer version. Install that version, "
            "name another database in POSTGRES_DB, or restore a backup from DATA_DIR/backups"
        )


def _create(pool: Pool, folder: Path) -> list[int]:
    with pool.transaction() as tx:
        schema.run_script(tx, (folder / "postgres.sql").read_text(encoding="utf-8"))
    with pool.transaction() as tx:
        return schema.list_applied(tx)


def _grant(pool: Pool, service: str) -> None:
    """Grant the services' role exactly the rights that it needs."""
    with pool.transaction() as tx:
        schema.name_service_role(tx, service)
        schema.run_script(tx, GRANTS.read_text(encoding="utf-8"))


def _migrate(pool: Pool, path: Path, number: int) -> None:
    with pool.transaction() as tx:
        schema.run_script(tx, path.read_text(encoding="utf-8"))
        schema.insert_number(tx, number)
    logger.info("migration %s is applied", path.name)
