"""Throw-away PostgreSQL and NATS on free ports, and what every test area shares."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psycopg2
import pytest

from semg.platform.servers import embedded, nats, postgres
from semg.platform.servers.bus_users import users_of
from semg.security import age_files
from semg.settings import NATS_SERVICES, PROJECT_DIR, Settings
from semg.store.pool import Pool
from testing.kits.first_gesture_run import begun_journey, first_gesture
from testing.kits.identity_provider import provider
from testing.kits.live_fixtures import api, arm, classifier, make_wearer, recording
from testing.kits.store_fixtures import filled, make_profile
from testing.kits.training_fixtures import add_session, recordings, user_id

__all__ = [  # fixtures of kits, for every area
    "add_session", "api", "arm", "begun_journey", "classifier", "filled", "first_gesture", "make_profile",
    "make_wearer", "provider", "recording", "recordings", "user_id",
]  # fmt: skip

hypothesis.settings.register_profile("semg", deadline=None, derandomize=True)
hypothesis.settings.load_profile("semg")
"""The same examples in every run, and no example fails because the machine is busy."""

TEMPLATE = "semg_template"
SERVICE_PASSWORD = "service-secret"
API_TOKEN = "test-token-" + "0" * 24
BACKUP_IDENTITY = age_files.make_identity()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as ``servers`` whatever needs the throw-away PostgreSQL, by any fixture; the fast lane leaves it out."""
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.servers)


def skip_or_fail(reason: str) -> None:
    """Skip a layer that this machine cannot run; under ``REQUIRE_ALL=1`` that is a failure."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


def admin_execute(server: postgres.PostgresServer, statement: str, database: str = "postgres") -> None:
    """Run statements outside a transaction, as the owner."""
    connection = psycopg2.connect(
        host="127.0.0.1", port=server.port, user=server.user, password=server.password, dbname=database
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL of this test run, with a template database that has the schema."""
    # Not below pytest's own folder: any other pytest that starts closes that one to the server's account.
    with tempfile.TemporaryDirectory(prefix="semg-test-postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield from _serve(folder)


def _serve(folder: Path) -> Iterator[postgres.PostgresServer]:
    data = postgres.data_folder(folder)
    server = postgres.start(
        data,
        embedded.free_port(),
        "semg_owner",
        secrets.token_urlsafe(16),
        TEMPLATE,
        folder / "postgres.log",
        service=("semg", SERVICE_PASSWORD),
        durable=False,
    )
    try:
        admin_execute(server, (PROJECT_DIR / "db" / "postgres.sql").read_text(), TEMPLATE)
        grants = (PROJECT_DIR / "db" / "grants.sql").read_text()
        admin_execute(server, f"SET semg.service_role = 'semg'; {grants}", TEMPLATE)
        yield server
    finally:
        server.stop()


@dataclass
class Servers:
    """Where a test's own database and bus are."""

    postgres: postgres.PostgresServer
    nats: nats.NatsServer
    settings: Settings


@pytest.fixture
def settings(postgres_server: postgres.PostgresServer, tmp_path: Path) -> Iterator[Settings]:
    """Settings with an own, empty database (schema applied), free ports, and no bus."""
    with own_settings(postgres_server, tmp_path) as made:
        yield made


@contextmanager
def own_settings(postgres_server: postgres.PostgresServer, tmp_path: Path) -> Iterator[Settings]:
    """Make a database, and drop it at the end."""
    database = f"test_{secrets.token_hex(6)}"
    admin_execute(postgres_server, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE}")
    admin_execute(postgres_server, f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")  # not copied
    yield Settings(
        _env_file=None,
        postgres_host="127.0.0.1",
        postgres_port=postgres_server.port,
        postgres_db=database,
        postgres_user="semg",
        postgres_password=SERVICE_PASSWORD,
        postgres_owner_user=postgres_server.user,
        postgres_owner_password=postgres_server.password,
        nats_user="semg",
        nats_password="nats-secret",
        **{f"nats_{service}_password": f"{service}-secret" for service in NATS_SERVICES},
        api_port=embedded.free_port(),
        udp_host="127.0.0.1",
        udp_port=embedded.free_port(kind=2),
        streamlit_port=embedded.free_port(),
        data_dir=tmp_path / "data",
        log_dir=tmp_path / "logs",
        secret_key="k" * 48,
        semg_api_token=API_TOKEN,
        backup_identity=BACKUP_IDENTITY,
    )
    admin_execute(postgres_server, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@pytest.fixture
def decrypted() -> Callable[[Path], bytes]:
    """What is in a backup that was written with ``settings``."""

    def content(file: Path) -> bytes:
        with age_files.decrypting(file, age_files.read_identities(BACKUP_IDENTITY, "the tests")) as reader:
            return reader.read()

    return content


@pytest.fixture
def pool(settings: Settings) -> Iterator[Pool]:
    """A pool on the test's own database."""
    made = Pool(settings, name="test")
    yield made
    made.close()


@pytest.fixture
def servers(postgres_server: postgres.PostgresServer, settings: Settings, tmp_path: Path) -> Iterator[Servers]:
    """The test's own database and an own NATS with JetStream."""
    with own_servers(postgres_server, settings, tmp_path) as made:
        yield made


@contextmanager
def own_servers(postgres_server: postgres.PostgresServer, settings: Settings, tmp_path: Path) -> Iterator[Servers]:
    """Start a NATS, and stop it at the end."""
    port = embedded.free_port()
    config, users = tmp_path / "nats.conf", users_of(settings)
    store = tmp_path / "jetstream"
    nats.write_config(config, store, port, "semg", "nats-secret", 1 << 30, users=users, sync_always=False)
    server = nats.start(config, port, tmp_path / "nats.log")
    try:
        bus = {"nats_server": f"nats://127.0.0.1:{port}", "journal_max_bytes": 256 << 20}
        yield Servers(postgres_server, server, settings.model_copy(update=bus))
    finally:
        server.stop()
