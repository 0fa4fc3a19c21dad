"""The supervisor: one process that keeps the embedded servers and the services running."""

from __future__ import annotations

import logging
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from semg import clock
from semg.errors import PlatformError, SemgError
from semg.platform.database import earlier_databases
from semg.platform.installation import identity, state
from semg.platform.lan.gateway_config import OPEN_FILES
from semg.platform.supervision import log_rotation, services
from semg.platform.supervision.launcher import Launcher
from semg.platform.supervision.services import Service
from semg.platform.supervision.unit import Unit
from semg.settings import Settings

logger = logging.getLogger(__name__)

TICK_S = 0.1
ROTATE_EVERY_S = 2.0
EXPIRE_EVERY_S = 3600.0
"""Interval of the search for databases kept aside by restores, the first time after everything was started."""


SERVICE_FILES = 4 * OPEN_FILES
"""Open files of a service at most: far more than the gateway passes on to it."""


def allow_files() -> None:
    """Raise the limit of open files of this process and its services to ``SERVICE_FILES``, as far as the system allows.

    The usual limit of 1,024 is less than the gateway passes on: who held its connections open would shut the API and
    the app for everybody on this machine too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SERVICE_FILES if hard == resource.RLIM_INFINITY else min(hard, SERVICE_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted <= OPEN_FILES:
        logger.warning("a service may have %s open files; allow at least %s (ulimit -Hn)", wanted, SERVICE_FILES)


class Supervisor:
    """Starts all units, restarts those that end, and stops all.

    Parameters
    ----------
    table
        The services, in the order of their start.
    bring_up_to_date
        Called once the servers run and before the first service: applies the schema.
    """

    def __init__(
        self, settings: Settings, table: Sequence[Service], bring_up_to_date: Callable[[Settings], object]
    ) -> None:
        self._settings, self._table, self._bring_up_to_date = settings, list(table), bring_up_to_date
        self._workers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="supervise")
        self._launcher = Launcher(settings, identity.make_installation(settings.data_dir), self._workers)
        self._servers = self._launcher.servers()
        self._units: dict[str, tuple[Service, Unit]] = {}
        self._phase: state.Phase = "starting"
        self._error = ""
        self._written: state.State | None = None
        self._matched = 0
        self._rotated_at = 0.0
        self._expired_at = -EXPIRE_EVERY_S
        self._clock_set_by_s = 0
        self._stop_asked = self._reload_asked = False

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; SIGHUP starts waiting units at once, and reloads the extra services.

        Returns
        -------
        int
            0 after a requested stop, 1 if the servers or the schema could not be started.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        allow_files()
        try:
            self._start_servers()
            if not self._stop_asked:
                self._bring_up_to_date(self._settings)
                self._match_services()
                self._phase = "running"
            while not self._stop_asked:
                self._turn()
        except SemgError as exc:
            logger.error("%s", exc)
            self._error = str(exc)
        except Exception as exc:
            logger.exception("the supervisor failed")
            self._error = f"the supervisor failed ({exc}): see {self._settings.log_dir / 'supervisor.log'}"
        finally:
            self._stop_all()
        return 1 if self._error else 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload_asked = True
        else:
            self._stop_asked = True

    def _turn(self) -> None:
        """Run one iteration: every unit takes a step, the state is written if it changed."""
        time.sleep(TICK_S)
        if self._reload_asked and self._phase == "running":
            self._reload_asked = False
            try:
                self._match_services()
            except PlatformError as exc:
                logger.error("%s", exc)
        for unit in self._all_units():
            unit.step()
        self._write_state()
        if time.monotonic() - self._rotated_at > ROTATE_EVERY_S:
            self._rotated_at = time.monotonic()
            self._rotate_logs()
            self._look_at_clock()
        if self._phase == "running" and time.monotonic() - self._expired_at > EXPIRE_EVERY_S:
            self._expired_at = time.monotonic()
            self._workers.submit(self._expire_databases)

    def _start_servers(self) -> None:
        for unit in self._servers:
            unit.start()
        while not self._stop_asked and any(unit.state != "ready" for unit in self._servers):
            self._turn()
            for unit in self._servers:
                if unit.failure is not None:
                    raise PlatformError(str(unit.failure)) from unit.failure

    def _match_services(self) -> None:
        """Start the missing units of the table and the extra services, and stop removed ones."""
        self._matched += 1
        wanted = {service.name: service for service in services.load(services.extra_file(self._settings))}
        wanted |= {service.name: service for service in self._table}
        for name, (service, unit) in list(self._units.items()):
            if wanted.get(name) != service:
                unit.stop()
                del self._units[name]
        for service in (*self._table, *wanted.values()):
            if service.name not in self._units:
                self._units[service.name] = (service, self._launcher.service(service))
        for unit in self._all_units():
            unit.start()

    def _all_units(self) -> list[Unit]:
        return [*self._servers, *(unit for _, unit in self._units.values())]

    def _stop_all(self) -> None:
        self._phase = "failed" if self._error else "stopping"
        self._write_state()
        for unit in reversed(self._all_units()):
            try:
                unit.stop()
            except Exception:
                logger.exception("%s could not be stopped", unit.name)
            self._write_state()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _write_state(self) -> None:
        made_at = state.create_time(os.getpid())
        settings = self._settings
        now = state.State(
            pid=os.getpid(),
            create_time=made_at or 0.0,
            phase=self._phase,
            error=self._error,
            addresses={
                "app": settings.app_url,
                "api": settings.api_url,
                "udp": f"{settings.udp_host}:{settings.udp_port}",
                "logs": str(settings.log_dir),
            },
            units=tuple(unit.status() for unit in self._all_units()),
            matched=self._matched,
        )
        if now == self._written:
            return
        try:
            state.write(state.state_file(settings.data_dir), now)
        except OSError as exc:
            logger.error("the state cannot be written: %s", exc)
            return
        self._written = now

    def _look_at_clock(self) -> None:
        """Log when this machine's clock was set: the platform keeps the time that it started with."""
        set_by_s = round((clock.machine_offset_ns() - self._launcher.clock_offset_ns) / 1e9)
        if set_by_s != self._clock_set_by_s:
            self._clock_set_by_s = set_by_s
            logger.warning(
                "this machine's clock now differs by %+d s from the one that the platform started with and keeps; "
                "to take it over, run ./stop_all.sh and ./start_all.sh while nothing is recorded", set_by_s,
            )  # fmt: skip

    def _expire_databases(self) -> None:
        """Remove databases kept aside by restores, which the services' role cannot."""
        try:
            earlier_databases.remove_earlier(self._settings, datetime.now(UTC))
        except SemgError as exc:
            logger.warning("databases that were put aside are looked at again later: %s", exc)
        except Exception:
            logger.exception("databases that were put aside cannot be removed")

    def _rotate_logs(self) -> None:
        names = ["supervisor", *(unit.name for unit in self._all_units())]
        for name in names:
            try:
                log_rotation.rotate(self._log(name), self._settings.log_max_bytes, self._settings.log_backups)
            except OSError as exc:
                logger.error("log of %s cannot be rotated: %s", name, exc)

    def _log(self, name: str) -> Path:
        return self._settings.log_dir / f"{name}.log"
