"""Checks before anything is started: settings, folders, ports, named servers.

Every check raises PlatformError with one sentence that names the setting to change.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile

import nats
import psycopg2
from nats.aio.client import DEFAULT_INBOX_PREFIX
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from semg.errors import PlatformError
from semg.platform.servers import embedded
from semg.platform.supervision import services
from semg.security import private_files
from semg.settings import NATS_SERVICES, Settings
from semg.wire.messages import JOURNAL_STREAM, inbox_prefix

CONNECT_TIMEOUT_S = 4
LOG_NAMES = ("supervisor", "pip", "postgres", "nats", "gateway", "demo_stream")
"""Logs beside those of the services in the table."""


def check_folders(settings: Settings) -> None:
    """Create ``DATA_DIR`` and ``LOG_DIR``, and check that they are writable and that the disk has space."""
    for name, folder in (("DATA_DIR", settings.data_dir), ("LOG_DIR", settings.log_dir)):
        try:
            folder.mkdir(mode=0o700 if name == "LOG_DIR" else 0o777, parents=True, exist_ok=True)
        except OSError as exc:
            raise PlatformError(
                f"{name} {folder} cannot be made ({exc.strerror}): set {name} in .env to one that this user may use"
            ) from exc
        free_mb = shutil.disk_usage(folder).free >> 20
        if free_mb < settings.min_free_disk_mb:
            raise PlatformError(
                f"the disk is full: {folder} has {free_mb} MB left, at least {settings.min_free_disk_mb} MB are needed "
                f"(MIN_FREE_DISK_MB); free some space, or set {name} in .env to a folder on another disk"
            )
        try:
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"\0" * 4096)
        except OSError as exc:
            raise PlatformError(
                f"{name} {folder} cannot be written ({exc.strerror}): set {name} in .env to a folder that this user "
                "may use, or start as the user who owns it"
            ) from exc
    run = settings.data_dir / "run"
    if run.exists() and run.stat().st_uid != os.geteuid():
        raise PlatformError(
            f"{settings.data_dir} belongs to an installation of another user (uid {run.stat().st_uid}): "
            "start and stop as that user, or set DATA_DIR in .env to another folder"
        )


def close_logs(settings: Settings) -> None:
    """Restrict the logs of earlier versions to their owner; the folder too, where it is the project's own.

    A folder that ``LOG_DIR`` names may be shared with other programs, such as ``/var/log``.
    """
    folder = settings.log_dir
    if folder.stat().st_uid != os.geteuid():
        return
    if folder == Settings.model_fields["log_dir"].default:
        private_files.make_folder(folder)
    private_files.close_logs(folder, (*LOG_NAMES, *(service.name for service in services.table(settings))))


def check_tls(settings: Settings) -> None:
    """Check that certificate and key are both named and readable."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise PlatformError("TLS_CERT and TLS_KEY belong together: set both in .env, or neither")
    for name, path in (("TLS_CERT", settings.tls_cert), ("TLS_KEY", settings.tls_key)):
        if path and not os.access(path, os.R_OK):
            raise PlatformError(f"{name} names {path}, which cannot be read: set {name} in .env to its full path")


def check_provider(settings: Settings) -> None:
    """Check that the settings of a login by a provider are complete."""
    given = (settings.oidc_metadata_url, settings.oidc_client_id, settings.oidc_client_secret.get_secret_value())
    if any(given) and not all(given):
        raise PlatformError("OIDC_METADATA_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET belong together: set all or none")


def check_ports(settings: Settings) -> None:
    """Check that every port that the platform listens on is free, and that no two settings name the same one."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    wanted = [
        ("API", settings.api_host, settings.api_port, tcp),
        ("STREAMLIT", settings.streamlit_host, settings.streamlit_port, tcp),
        ("UDP", settings.udp_host, settings.udp_port, udp),
    ]
    if settings.lan:
        wanted.append(("LAN", settings.lan_host, settings.lan_port, tcp))
    if settings.embedded_postgres:
        wanted.append(("POSTGRES", "127.0.0.1", settings.postgres_port, tcp))
    if settings.embedded_nats:
        wanted.append(("NATS", "127.0.0.1", settings.nats_port, tcp))
    seen: dict[tuple[int, int], str] = {}
    for name, host, port, kind in wanted:
        if (port, kind) in seen:
            raise PlatformError(f"{seen[port, kind]}_PORT and {name}_PORT are both {port}: set one in .env to another")
        seen[port, kind] = name
        trouble = embedded.port_trouble(host, port, kind)
        if trouble is None:
            continue
        if "address" in trouble:
            raise PlatformError(f"{name}_HOST {host} {trouble}: set {name}_HOST in .env to one that it has")
        raise PlatformError(f"port {port} {trouble}: set {name}_PORT in .env to a free port, or end that program")


def check_named_servers(settings: Settings) -> None:
    """Check that the servers named in the settings are reachable and accept the credentials."""
    if not settings.embedded_postgres:
        _check_postgres(settings)
    if not settings.embedded_nats:
        asyncio.run(_check_nats(settings))


def _check_postgres(settings: Settings) -> None:
    for user, password in {settings.postgres_service, settings.postgres_owner}:
        _check_postgres_user(settings, user, password)


def _check_postgres_user(settings: Settings, user: str, password: str) -> None:
    host, port = settings.postgres_address
    try:
        psycopg2.connect(
            host=host,
            port=port,
            dbname=settings.postgres_db,
            user=user,
            password=password,
            connect_timeout=CONNECT_TIMEOUT_S,
        ).close()
    except psycopg2.OperationalError as exc:
        where, text = f"PostgreSQL at {host}:{port}", " ".join(str(exc).split())
        if "password" in text or "authentication" in text or f'role "{user}"' in text:
            raise PlatformError(
                f"{where} refuses the user {user!r} with this password: set POSTGRES_USER and POSTGRES_PASSWORD "
                "(and, for migrations, POSTGRES_OWNER_USER and POSTGRES_OWNER_PASSWORD) in .env"
            ) from exc
        if f'database "{settings.postgres_db}"' in text:
            raise PlatformError(
                f"{where} has no database {settings.postgres_db!r}: make it (createdb), or set POSTGRES_DB in .env"
            ) from exc
        raise PlatformError(
            f"{where} cannot be reached ({text}): set POSTGRES_HOST and POSTGRES_PORT in .env, or start that server"
        ) from exc


async def _check_nats(settings: Settings) -> None:
    """Check that every user of the bus can log in, and that the journal's creator can use JetStream."""
    users = {settings.nats_credentials(service) for service in (None, *NATS_SERVICES)}
    journal = settings.nats_credentials("udpserver")
    for user, password in sorted(users):
        await _check_nats_user(settings, user, password, with_jetstream=(user, password) == journal)


async def _check_nats_user(settings: Settings, user: str, password: str, *, with_jetstream: bool) -> None:
    where = "NATS at " + ", ".join(settings.nats_urls)
    errors: list[Exception] = []

    async def on_error(exc: Exception) -> None:
        errors.append(exc)

    try:
        client = await nats.connect(
            settings.nats_urls,
            user=user or None,
            password=password or None,
            inbox_prefix=inbox_prefix("udpserver") if with_jetstream else DEFAULT_INBOX_PREFIX,
            error_cb=on_error,
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            reconnect_time_wait=0.1,
        )
    except (NatsError, OSError, TimeoutError) as exc:
        text = " ".join(str(error) or type(error).__name__ for error in [exc, *errors])
        if "authorization" in text.lower() or "authentication" in text.lower():
            raise PlatformError(
                f"{where} refuses the user {user!r} with this password: set NATS_USER and NATS_PASSWORD "
                "(or those of the service, NATS_<SERVICE>_USER and NATS_<SERVICE>_PASSWORD) in .env"
            ) from exc
        raise PlatformError(
            f"{where} cannot be reached ({text}): set NATS_SERVER in .env to its address, or start that server"
        ) from exc
    try:
        if with_jetstream:
            await client.jetstream(timeout=CONNECT_TIMEOUT_S).stream_info(JOURNAL_STREAM)
    except NotFoundError:
        return  # it will be made
    except (NatsError, OSError, TimeoutError) as exc:
        raise PlatformError(
            f"{where} has no JetStream for this account: enable it there (nats-server -js), or set NATS_SERVER in .env"
        ) from exc
    finally:
        await client.close()
