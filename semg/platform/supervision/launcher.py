"""Start each supervised process: the embedded servers and the services."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from semg import clock
from semg.environment import CLOCK_VARIABLE, child_environment
from semg.errors import PlatformError, SettingsError
from semg.ingest.udp_socket import open_socket
from semg.platform.installation import identity
from semg.platform.lan import lan_address
from semg.platform.servers import cluster, nats, postgres
from semg.platform.servers.bus_users import users_of
from semg.platform.supervision.services import Service
from semg.platform.supervision.unit import Unit, url_answers
from semg.security import private_files
from semg.settings import Settings

NATS_SPARE_BYTES = 64 << 20
"""What JetStream may keep beside the journal."""


class Launcher:
    """Creates the units of an installation.

    Attributes
    ----------
    clock_offset_ns
        The platform's clock, passed to every started process.

    Parameters
    ----------
    installation
        The id that every started process carries.
    workers
        Threads in which the units start and check their processes.
    """

    def __init__(self, settings: Settings, installation: str, workers: ThreadPoolExecutor) -> None:
        self._settings, self._installation, self._workers = settings, installation, workers
        self._udp: socket.socket | None = None
        self.clock_offset_ns = clock.machine_offset_ns()
        self._health_password = secrets.token_urlsafe(32)
        self._ready_dir = settings.data_dir / "run" / "ready"
        self._ready_dir.mkdir(parents=True, exist_ok=True)
        settings.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def servers(self) -> list[Unit]:
        """Return the units of the servers that no setting names. Their start waits until they answer."""
        units = []
        if self._settings.embedded_postgres:
            folder = postgres.data_folder(self._settings.data_dir)
            units.append(
                self._unit(
                    "postgres",
                    self.launch_postgres,
                    lambda: True,
                    lambda: cluster.end_stale(folder),
                    stop_signal=signal.SIGINT,
                    grace_s=20.0,
                )
            )
        if self._settings.embedded_nats:
            units.append(self._unit("nats", self._launch_nats, self._nats_answers, stuck=self._nats_is_stuck))
        return units

    def service(self, service: Service) -> Unit:
        """Return the unit of a service."""
        ready_file = self._ready_dir / service.name
        url = service.ready_url

        def launch() -> subprocess.Popen[bytes]:
            self._end_leftovers(service.name)
            ready_file.unlink(missing_ok=True)
            environment = self._environment(service.name) | {
                "SEMG_READY_FILE": str(ready_file),
                "PYTHONUNBUFFERED": "1",
            }
            environment.setdefault("OMP_NUM_THREADS", "1")  # small matrices: more threads only wait for each other
            handed_down = [self._udp_descriptor()] if service.takes_udp else []
            if handed_down:
                environment["SEMG_UDP_FD"] = str(handed_down[0])
            with private_files.open_log(self._log(service.name)) as out:
                return subprocess.Popen(
                    service.argv,
                    cwd=service.cwd,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                    pass_fds=handed_down,
                )

        probe = ready_file.exists if url is None else (lambda: url_answers(url))
        return self._unit(service.name, launch, probe, grace_s=service.grace_s)

    def _udp_descriptor(self) -> int:
        """Return the UDP socket, which stays open as long as this process lives."""
        if self._udp is None:
            try:
                self._udp = open_socket(self._settings)
            except SettingsError as exc:
                raise PlatformError(str(exc)) from exc
        return self._udp.fileno()

    def launch_postgres(self) -> subprocess.Popen[bytes]:
        """Start the embedded PostgreSQL and wait until it answers."""
        settings = self._settings
        owner, service = settings.postgres_owner, settings.postgres_service
        return postgres.start(
            postgres.data_folder(settings.data_dir),
            settings.postgres_port,
            *owner,
            settings.postgres_db,
            self._log("postgres"),
            service=service if service != owner else None,
            environment=self._environment("postgres"),
        ).process

    def _launch_nats(self) -> subprocess.Popen[bytes]:
        settings = self._settings
        self._end_leftovers("nats")
        folder = settings.data_dir / "nats"
        private_files.make_folder(folder)  # the journal is muscle recordings
        config = folder / "nats.conf"
        nats.write_config(
            config,
            folder / "jetstream",
            settings.nats_port,
            settings.nats_user,
            settings.nats_password.get_secret_value(),
            settings.journal_max_bytes + NATS_SPARE_BYTES,
            users=users_of(settings),
            health_password=self._health_password,
        )
        return nats.start(config, settings.nats_port, self._log("nats"), environment=self._environment("nats")).process

    def _nats_answers(self) -> bool:
        return nats.is_healthy(self._settings.nats_port, self._health_password)

    def _nats_is_stuck(self) -> bool:
        """Return whether NATS, which refuses messages, would take them after a restart: its disk has room again."""
        folder = self._settings.data_dir / "nats"
        return shutil.disk_usage(folder).free >= self._settings.min_free_disk_mb << 20

    def _unit(
        self,
        name: str,
        launch: Callable[[], subprocess.Popen[bytes]],
        probe: Callable[[], bool],
        clean: Callable[[], None] | None = None,
        *,
        stuck: Callable[[], bool] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace_s: float = 10.0,
    ) -> Unit:
        return Unit(
            name,
            launch,
            probe,
            clean or (lambda: self._end_leftovers(name)),
            self._workers,
            stop_signal=stop_signal,
            grace_s=grace_s,
            delay_s=self._settings.restart_delay_s,
            delay_max_s=self._settings.restart_delay_max_s,
            stuck=stuck,
        )

    def _end_leftovers(self, name: str) -> None:
        alive = identity.end(identity.processes(self._installation, name))
        if alive:
            raise PlatformError(f"{name}: an earlier process (pid {alive[0].pid}) does not end")

    def _environment(self, name: str) -> dict[str, str]:
        marks = {identity.INSTALLATION_VARIABLE: self._installation, identity.SERVICE_VARIABLE: name}
        passed = {CLOCK_VARIABLE: str(self.clock_offset_ns)} | lan_address.environment(self._settings)
        return child_environment(**marks, **passed)

    def _log(self, name: str) -> Path:
        return self._settings.log_dir / f"{name}.log"
