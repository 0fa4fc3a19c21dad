"""Start, stop and inspect the platform from the command line."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from semg.environment import child_environment
from semg.errors import PlatformError
from semg.platform.first_login import ensure_admin
from semg.platform.installation import env_file, identity, state
from semg.platform.lan import lan_address
from semg.platform.servers import cluster, embedded, postgres
from semg.platform.supervision import services, start_checks
from semg.platform.supervision.services import Service
from semg.security import private_files
from semg.settings import PROJECT_DIR, Settings, load_settings
from semg.settings import env_file as env_file_path

SUPERVISOR_STOP_S = 120.0
MAX_EARLY_EXITS = 3
"""A service that ended this often without having been ready once will not get ready by waiting."""

Say = Callable[[str], None]


class StartError(PlatformError):
    """A service did not get ready.

    Parameters
    ----------
    details
        The last lines of its log.
    """

    def __init__(self, message: str, details: list[str]) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True, slots=True)
class Started:
    """A running platform. ``password`` is that of a login which was just created, otherwise None."""

    settings: Settings
    state: state.State
    password: str | None


def start(say: Say, table: Path | None = None, *, reset_admin: bool = False, with_lan: bool = False) -> Started:
    """Start what does not run, and wait until everything is ready.

    Parameters
    ----------
    say
        Called with progress lines for the person who waits.
    table
        File with another table of services than the platform's own.
    reset_admin
        Set a new password for the admin account; otherwise a login is created only if there is none.
    with_lan
        Also serve other machines over HTTPS, as the setting ``LAN`` does.

    Raises
    ------
    PlatformError
        Something is wrong; nothing that this call has started is left running.
    """
    settings = load_settings()
    start_checks.check_tls(settings)
    start_checks.check_provider(settings)
    start_checks.check_folders(settings)
    start_checks.close_logs(settings)
    with _control_lock(settings, say):
        settings = load_settings()  # anew: another start may just have completed them
        installation = identity.make_installation(settings.data_dir)
        supervisor = identity.find_supervisor(installation)
        if supervisor is None:  # servers that run know nothing of a password that is made now
            made = env_file.complete(env_file_path(), settings)
            if made:
                say(f"Generated {', '.join(made)} in {env_file_path()}.")
            settings = load_settings()
        additions: dict[str, str] = {}
        if with_lan or settings.lan:
            settings, additions = lan_address.with_lan(settings)
        if supervisor is not None:
            ready = _match(settings, supervisor)
            if settings.lan and ready.addresses["app"] != settings.app_url:
                asked = "--lan" if with_lan else "LAN=true"
                raise PlatformError(
                    f"the platform runs at {ready.addresses['app']}: end it with ./stop_all.sh, then start with {asked}"
                )
            return Started(settings, ready, ensure_admin(settings, reset=reset_admin))
        sweep(settings, installation)
        start_checks.check_ports(settings)
        start_checks.check_named_servers(settings)
        say("Starting the services …")
        state.state_file(settings.data_dir).unlink(missing_ok=True)
        process = _spawn_supervisor(settings, installation, table, additions)
        try:
            ready = _wait_ready(settings, psutil.Process(process.pid), process)
            ports = env_file.remember_ports(env_file_path(), settings)
            if ports:
                say(f"Saved {', '.join(ports)} in {env_file_path()}, so that the tools can find the platform.")
            return Started(settings, ready, ensure_admin(settings, reset=reset_admin))
        except BaseException:
            _end_all(settings, installation)
            raise


def stop(say: Say) -> bool:
    """Stop everything of this installation.

    Returns
    -------
    bool
        Whether anything ran.

    Raises
    ------
    PlatformError
        A process does not end.
    """
    settings = load_settings()
    installation = identity.find_installation(settings.data_dir)
    if installation is None:
        return False
    with _control_lock(settings, say):
        return _end_all(settings, installation)


def status(settings: Settings) -> tuple[state.State | None, list[int]]:
    """Return the state of a running platform (or None), and the pids that an ended supervisor left behind."""
    current = state.read(state.state_file(settings.data_dir))
    if current is not None and current.is_current:
        return current, []
    installation = identity.find_installation(settings.data_dir)
    if installation is None:
        return None, []
    return None, sorted(process.pid for process in identity.processes(installation))


def add_service(settings: Settings, service: Service) -> state.State:
    """Add a service to the running supervisor, until the platform is stopped.

    A service of the same name and another definition is replaced.

    Raises
    ------
    PlatformError
        The platform does not run, or the service does not get ready.
    """
    installation = identity.find_installation(settings.data_dir)
    with _control_lock(settings, lambda line: None):
        supervisor = None if installation is None else identity.find_supervisor(installation)
        if supervisor is None:
            raise PlatformError(f"{service.name} needs the running platform: start it with ./start_all.sh")
        path = services.extra_file(settings)
        others = [other for other in services.load(path) if other.name != service.name]
        services.save(path, [*others, service])
        return _match(settings, supervisor, expected=service.name)


def sweep(settings: Settings, installation: str) -> bool:
    """End every process of this installation, services first, servers last.

    Returns
    -------
    bool
        Whether there was any.

    Raises
    ------
    PlatformError
        A process does not end.
    """
    servers = {p for name in ("nats", "postgres") for p in identity.processes(installation, name)}
    others = [process for process in identity.processes(installation) if process not in servers]
    identity.end(others)
    identity.end(identity.processes(installation, "nats"))
    folder = postgres.data_folder(settings.data_dir)
    backends = cluster.processes(folder)
    cluster.end_stale(folder)
    alive = identity.end(identity.processes(installation))  # what those had started while they were ended
    if alive:
        raise PlatformError(f"process {alive[0].pid} of this installation does not end: look at it with ps")
    return bool(servers or others or backends)


@contextmanager
def _control_lock(settings: Settings, say: Say) -> Iterator[None]:
    """Lock starts and stops against each other."""
    folder = settings.data_dir / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with identity.folder_lock(folder, wait=False) as held:
        if held:
            yield
            return
    say("Another start or stop is at work; waiting for it …")
    with identity.folder_lock(folder, wait=True):
        yield


def _spawn_supervisor(
    settings: Settings, installation: str, table: Path | None, additions: dict[str, str]
) -> subprocess.Popen[bytes]:
    marks = {**additions, identity.INSTALLATION_VARIABLE: installation, identity.SERVICE_VARIABLE: identity.SUPERVISOR}
    command = [sys.executable, "-m", "semg.platform", "supervise"]
    if table is not None:
        command += ["--services", str(table.resolve())]
    # SIGHUP makes it reload; until its handler is installed, the signal must not end it.
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with private_files.open_log(settings.log_dir / "supervisor.log") as out:
            return subprocess.Popen(
                command,
                cwd=PROJECT_DIR,
                env=child_environment(**marks),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
    finally:
        signal.signal(signal.SIGHUP, previous)


def _match(settings: Settings, supervisor: psutil.Process, expected: str = "") -> state.State:
    """Make a running supervisor reload the extra services and start waiting units, and wait until all are ready."""
    before = state.read(state.state_file(settings.data_dir))
    matched = before.matched if before is not None and before.pid == supervisor.pid else 0
    supervisor.send_signal(signal.SIGHUP)
    return _wait_ready(settings, supervisor, matched=matched, expected=expected)


def _wait_ready(
    settings: Settings,
    supervisor: psutil.Process,
    child: subprocess.Popen[bytes] | None = None,
    *,
    matched: int = 0,
    expected: str = "",
) -> state.State:
    """Wait until the supervisor has matched the services once more, and everything is ready.

    Parameters
    ----------
    child
        The supervisor when this process has just started it.
    matched
        Its ``matched`` count before the request.
    expected
        A service that must be among the ready ones.
    """
    path = state.state_file(settings.data_dir)
    deadline = time.monotonic() + settings.start_timeout_s
    early_exits: dict[str, int] = {}
    while True:
        if child is not None:
            child.poll()  # reaps it when it has ended; it would appear alive otherwise
        runs = identity.is_alive(supervisor)
        current = state.read(path)
        if current is not None and current.pid == supervisor.pid:
            if current.phase == "failed":
                raise PlatformError(current.error)
            names = {unit.name for unit in current.units}
            if current.is_ready and current.matched > matched and (not expected or expected in names):
                return current
            for unit in current.units:
                before = 0 if child is not None else early_exits.setdefault(unit.name, unit.exits_unready)
                if unit.exits_unready - before >= MAX_EARLY_EXITS:
                    raise _not_ready(settings, unit, f"ends at once ({unit.last_exit})")
        if not runs:
            tail = embedded.log_lines(settings.log_dir / "supervisor.log", 10)
            raise StartError(f"the supervisor ended: see {settings.log_dir / 'supervisor.log'}", tail)
        if time.monotonic() > deadline:
            waited = f"was not ready within {settings.start_timeout_s:.0f} s (START_TIMEOUT_S)"
            for unit in current.units if current is not None else ():
                if not unit.is_ready:
                    raise _not_ready(settings, unit, waited)
            raise PlatformError(f"the platform {waited}")
        time.sleep(0.1)


def _not_ready(settings: Settings, unit: state.UnitStatus, what: str) -> StartError:
    log = settings.log_dir / f"{unit.name}.log"
    reason = f": {unit.error}" if unit.error else f"; the end of {log}:"
    return StartError(f"{unit.name} {what}{reason}", [] if unit.error else embedded.log_lines(log, 12))


def _end_all(settings: Settings, installation: str) -> bool:
    supervisor = identity.find_supervisor(installation)
    if supervisor is not None:
        supervisor.terminate()
        for late in identity.wait_gone([supervisor], SUPERVISOR_STOP_S):
            late.kill()
    swept = sweep(settings, installation)
    run = settings.data_dir / "run"
    for name in ("state.json", "extra_services.json"):
        (run / name).unlink(missing_ok=True)
    for name in ("ready", "gateway"):
        shutil.rmtree(run / name, ignore_errors=True)
    return supervisor is not None or swept
