"""``python -m semg.platform {start, stop, status, supervise, backup, restore, rotate-key, reencrypt}``."""

from __future__ import annotations

import argparse
import errno
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from semg import log
from semg.environment import child_environment
from semg.errors import SemgError
from semg.platform import backup_commands, control, key_commands, wsl
from semg.platform.first_login import LOGIN
from semg.platform.installation import identity, state
from semg.platform.lan import certificate, lan_address
from semg.platform.supervision import services
from semg.platform.supervision.supervisor import Supervisor
from semg.settings import load_settings

EXIT_FAILED, EXIT_NOT_READY, EXIT_INTERRUPTED = 1, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "start" and options.status:
        options.command = "status"
    command = {
        "start": _start,
        "stop": _stop,
        "status": _status,
        "supervise": _supervise,
        "backup": _back_up,
        "restore": _restore,
        "rotate-key": _rotate_key,
        "reencrypt": _reencrypt,
    }[options.command]
    try:
        return command(options)
    except control.StartError as exc:
        return _failed(options.command, str(exc), exc.details)
    except SemgError as exc:
        return _failed(options.command, str(exc))
    except KeyboardInterrupt:
        print("Interrupted; what was started is stopped.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return _failed(
                options.command,
                f"the disk is full ({exc.filename}): free some space, or set DATA_DIR in .env to another disk",
            )
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return _failed(
                options.command,
                f"{exc.filename} may not be used by this user: start as its owner, or set DATA_DIR in .env",
            )
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m semg.platform", description="Start and stop the platform.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start what does not run, and wait until everything is ready")
    start.add_argument("--demo", action="store_true", help="add a demo profile that streams and is recognised live")
    start.add_argument("--lan", action="store_true", help="serve other machines over HTTPS on one port")
    start.add_argument("--status", action="store_true", help="only show each service's state")
    start.add_argument("--reset-admin", action="store_true", help="give the admin account a new password")
    commands.add_parser("stop", help="stop everything of this installation")
    commands.add_parser("status", help="show each service's state; exit code 3 unless all are ready")
    backup = commands.add_parser("backup", help="write the database to DATA_DIR/backups")
    backup.add_argument("--videos", action="store_true", help="also the videos")
    restore = commands.add_parser("restore", help="put a backup in the database's place; the platform must not run")
    restore.add_argument("file", type=Path, help="….sql.gz.age that backup has written")
    restore.add_argument("--videos", type=Path, help="…-videos.tar.age that backup has written")
    restore.add_argument("--identity", type=Path, help="file with the private key; BACKUP_IDENTITY when not given")
    commands.add_parser("rotate-key", help="make a new SECRET_KEY; what was made with the one before is still read")
    commands.add_parser("reencrypt", help="encrypt with SECRET_KEY what earlier keys were used for; may run any time")
    supervise = commands.add_parser("supervise", help="keep the services running (what start starts)")
    for with_table in (start, supervise):
        with_table.add_argument("--services", type=Path, help="file with another table of services")
    return parser


def _start(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, _interrupt)
    started = control.start(_say, options.services, reset_admin=options.reset_admin, with_lan=options.lan)
    addresses = started.state.addresses
    print("The platform is ready.")
    print(f"  App     {addresses['app']}")
    print(f"  API     {addresses['api']}/docs")
    print(f"  UDP     {addresses['udp']}")
    print(f"  Logs    {addresses['logs']}")
    if wsl.is_wsl():
        print(f"  WSL     {wsl.sentence(wsl.networking_mode(), started.settings.udp_port)}")
    if started.password is not None:
        print(f"  Login   {LOGIN}   password {started.password}   (shown only now; --reset-admin makes a new one)")
    if started.settings.lan and not started.settings.tls_cert:
        print("  The certificate is this installation's own: a browser warns once. Its SHA-256, to compare:")
        print(f"  {certificate.fingerprint(started.settings.lan_certificate[0])}")
    sys.stdout.flush()
    if not options.demo:
        return 0
    marks = {
        identity.INSTALLATION_VARIABLE: identity.make_installation(started.settings.data_dir),
        identity.SERVICE_VARIABLE: "demo",
    }
    environment = child_environment(**marks)
    return subprocess.run([sys.executable, "-m", "semg.platform.demo"], env=environment, check=False).returncode


def _stop(options: argparse.Namespace) -> int:
    print("Stopped." if control.stop(_say) else "Nothing runs.")
    return 0


def _status(options: argparse.Namespace) -> int:
    current, leftovers = control.status(load_settings())
    if current is None:
        print("The platform does not run.")
        if leftovers:
            print(f"An ended supervisor left processes: {', '.join(map(str, leftovers))}.")
            print("./start_all.sh ends them and starts anew, ./stop_all.sh only ends them.")
        return EXIT_NOT_READY
    print(f"supervisor pid {current.pid}, {current.phase}")
    for unit in current.units:
        print(_describe(unit))
    return 0 if current.is_ready else EXIT_NOT_READY


def _back_up(options: argparse.Namespace) -> int:
    backup_commands.write_backup(load_settings(), _say, with_videos=options.videos)
    return 0


def _restore(options: argparse.Namespace) -> int:
    backup_commands.read_backup(load_settings(), _say, options.file.resolve(), options.videos, options.identity)
    return 0


def _rotate_key(options: argparse.Namespace) -> int:
    key_commands.rotate(load_settings(), _say)
    return 0


def _reencrypt(options: argparse.Namespace) -> int:
    return 0 if key_commands.reencrypt_all(load_settings(), _say) else EXIT_NOT_READY


def _describe(unit: state.UnitStatus) -> str:
    shown = unit.state if unit.state != "ready" or unit.is_ready else "ended"
    uptime = _duration(time.time() - unit.started_at) if unit.pid is not None and unit.started_at else "-"
    line = f"  {unit.name:<14} {shown:<10} pid {unit.pid or '-':<8} up {uptime:<10} restarts {unit.restarts}"
    return line + (f"   last exit: {unit.last_exit}" if unit.last_exit else "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _supervise(options: argparse.Namespace) -> int:
    from semg.platform.database.schema_setup import bring_up_to_date

    settings = load_settings()
    if settings.lan:  # also when somebody else than start has started it: a unit of systemd, for instance
        settings, _ = lan_address.with_lan(settings)
    log.configure("supervisor", settings.log_level)
    table = services.table(settings) if options.services is None else services.load(options.services)
    lock = settings.data_dir / "run" / "ready"
    lock.mkdir(parents=True, exist_ok=True)
    with identity.folder_lock(lock, wait=False) as held:
        if not held:
            logging.getLogger(__name__).error("another supervisor runs on %s", settings.data_dir)
            return EXIT_FAILED
        return Supervisor(settings, table, bring_up_to_date).run()


def _say(line: str) -> None:
    print(line, flush=True)


def _failed(command: str, sentence: str, details: list[str] | None = None) -> int:
    prefix = {"start": "Not started: ", "stop": "Not stopped: ", "restore": "Not restored: "}.get(command, "")
    print(prefix + sentence, file=sys.stderr)
    for line in details or []:
        print(f"    {line}", file=sys.stderr)
    return EXIT_FAILED


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
