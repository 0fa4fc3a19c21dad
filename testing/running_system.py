"""The whole system on free ports, thrown away afterwards: for browser tests and screenshots."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import SecretStr

from semg.platform.database import schema_setup
from semg.platform.servers import embedded, nats, postgres
from semg.platform.servers.bus_users import users_of
from semg.platform.supervision import services
from semg.platform.supervision.unit import url_answers
from semg.settings import NATS_SERVICES, PROJECT_DIR, Settings

ALL = ("api", "nat_inference", "job_runner", "udpserver", "simulator", "streamlit")
READY_S = 60.0


@contextmanager
def throwaway_servers(folder: Path, *, durable: bool = False, journal_bytes: int = 256 << 20) -> Iterator[Settings]:
    """Start an empty PostgreSQL with the schema and a NATS below a folder, and give the settings that name them.

    Parameters
    ----------
    durable
        Whether both sync to disk, as in operation.
    """
    with ExitStack() as stack:
        data = postgres.data_folder(folder)
        port = embedded.free_port()
        database = postgres.start(
            data,
            port,
            "semg_owner",
            secrets.token_urlsafe(16),
            "sensordb",
            folder / "postgres.log",
            service=("semg", "service-secret"),
            durable=durable,
        )
        stack.callback(database.stop)
        bus_port = embedded.free_port()
        config = folder / "nats.conf"
        store_bytes = max(1 << 30, 2 * journal_bytes)
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            postgres_host="127.0.0.1",
            postgres_port=port,
            postgres_user="semg",
            postgres_password=SecretStr("service-secret"),
            postgres_owner_user=database.user,
            postgres_owner_password=SecretStr(database.password),
            nats_server=f"nats://127.0.0.1:{bus_port}",
            nats_user="semg",
            nats_password=SecretStr("nats-secret"),
            **{f"nats_{service}_password": SecretStr(f"{service}-secret") for service in NATS_SERVICES},
            api_port=embedded.free_port(),
            udp_host="127.0.0.1",
            udp_port=embedded.free_port(kind=2),
            streamlit_port=embedded.free_port(),
            journal_max_bytes=journal_bytes,
            data_dir=folder / "data",
            log_dir=folder / "logs",
            secret_key=SecretStr("k" * 48),
            semg_api_token=SecretStr(secrets.token_urlsafe(24)),
        )
        users = users_of(settings)
        nats.write_config(
            config, folder / "jetstream", bus_port, "semg", "nats-secret", store_bytes, users=users, sync_always=durable
        )
        stack.callback(nats.start(config, bus_port, folder / "nats.log").stop)
        schema_setup.bring_up_to_date(settings)
        yield settings


@contextmanager
def running(settings: Settings, folder: Path, names: Sequence[str] = ALL) -> Iterator[None]:
    """Start services as the platform's table says, wait until each is ready, and stop them at the end.

    Raises
    ------
    AssertionError
        A service ended or was not ready in time; the message is the end of its log.
    """
    with ExitStack() as stack:
        started = []
        for service in services.table(settings):
            if service.name in names:
                ready, log_path = folder / f"{service.name}.ready", folder / f"{service.name}.log"
                ready.unlink(missing_ok=True)  # of a process before this one
                environment = environment_of(
                    settings.model_copy(update={"semg_ready_file": ready}), folder, service.name
                )
                log = stack.enter_context(log_path.open("wb"))
                process = subprocess.Popen(  # noqa: S603 - the platform's own table
                    service.argv, cwd=service.cwd, env=environment, stdout=log, stderr=log
                )
                stack.callback(_stop, process)
                started.append((service, process, ready, log_path))
        deadline = time.monotonic() + READY_S
        for service, process, ready, log_path in started:
            while not (ready.exists() if service.ready_url is None else url_answers(service.ready_url)):
                assert process.poll() is None, f"{service.name} ended: {log_path.read_text()[-3000:]}"
                assert time.monotonic() < deadline, f"{service.name} is not ready: {log_path.read_text()[-3000:]}"
                time.sleep(0.05)
        yield


@contextmanager
def streaming(settings: Settings, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``udpsim.py`` with arguments against the system until the block ends."""
    environment = environment_of(settings, folder, "udpsim")
    with (folder / "udpsim.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the project's own program
            [sys.executable, "udpsim.py", *arguments],
            cwd=PROJECT_DIR / "testing",
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            _stop(process)


def environment_of(settings: Settings, folder: Path, name: str) -> dict[str, str]:
    """Write an ``.env`` of the settings, and give the environment of a process that reads it and no other."""
    path = folder / f"{name}.env"
    path.touch(mode=0o600)
    values = {
        field: value.get_secret_value() if isinstance(value, SecretStr) else value
        for field, value in settings.model_dump().items()
        if value is not None
    }
    path.write_text("".join(f"{field.upper()}={value}\n" for field, value in values.items()))
    keep = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return keep | {"PYTHONPATH": str(PROJECT_DIR), "SEMG_ENV_FILE": str(path), "OMP_NUM_THREADS": "1"}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
