"""The table of services."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from semg.errors import PlatformError
from semg.platform.installation.identity import write_atomically
from semg.platform.lan.gateway_config import HEALTH_PATH
from semg.settings import PROJECT_DIR, Settings, reachable


@dataclass(frozen=True, slots=True)
class Service:
    """How a service is started, and how its readiness is determined.

    Attributes
    ----------
    argv
        Program and arguments; no shell.
    cwd
        Working folder: the service's own, as when it is started by hand.
    ready_url
        Address that answers 200 when the service is ready. None: the service writes the file that the setting
        ``SEMG_READY_FILE`` names.
    grace_s
        How long it may take to stop before it is killed.
    takes_udp
        Whether the supervisor opens the UDP socket for it and hands it down, so that what arrives while the service
        is started again is not lost.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    ready_url: str | None = None
    grace_s: float = 10.0
    takes_udp: bool = False


def table(settings: Settings) -> list[Service]:
    """Return the platform's services in the order of their start; they stop in the reverse order."""
    api = ["-m", "uvicorn", "api:app", "--host", settings.api_host, "--port", str(settings.api_port)]
    api += ["--workers", "1", "--no-access-log", "--timeout-graceful-shutdown", "3"]
    api += ["--ws-max-size", "4096", "--ws-per-message-deflate", "false"]  # viewers have nothing to say
    api += ["--no-proxy-headers"]  # semg.security.client_address reads them; uvicorn believes all of this machine
    app = ["-m", "streamlit", "run", "Main.py", "--server.headless=true", "--browser.gatherUsageStats=false"]
    app += [f"--server.address={settings.streamlit_host}", f"--server.port={settings.streamlit_port}"]
    app += ["--server.fileWatcherType=none"]
    if settings.public_app_url:
        # The app's WebSocket is open to this origin, also behind a proxy that does not pass the Host on.
        public = urlsplit(settings.public_app_url)
        app += [f"--browser.serverAddress={public.hostname}"]
        app += [f"--browser.serverPort={public.port or (443 if public.scheme == 'https' else 80)}"]
    prefix = urlsplit(settings.api_url).path.rstrip("/")
    if prefix:
        api += ["--root-path", prefix]
    if settings.scheme == "https":
        api += ["--ssl-certfile", settings.tls_cert, "--ssl-keyfile", settings.tls_key]
        app += [f"--server.sslCertFile={settings.tls_cert}", f"--server.sslKeyFile={settings.tls_key}"]
    answers = f"https://{reachable(settings.lan_host)}:{settings.lan_port}{HEALTH_PATH}"
    gateway = _python("gateway", ".", ["-m", "semg.platform.lan.gateway"], answers)
    return [
        _python("api", "ml_model", api, f"{settings.internal_api_url}/readyz"),
        _python("nat_inference", "ml_model", ["nat_inference.py"]),
        _python("job_runner", "ml_model", ["job_runner.py"]),
        _python("udpserver", "udpserver", ["udpserver.py"], takes_udp=True),
        _python("simulator", "udpserver", ["simulator.py"]),
        _python("streamlit", "streamlit_apps", app, f"{settings.internal_app_url}/_stcore/health"),
        *([gateway] if settings.lan else []),
    ]


def _python(
    name: str, folder: str, arguments: list[str], ready_url: str | None = None, *, takes_udp: bool = False
) -> Service:
    return Service(name, (sys.executable, *arguments), str(PROJECT_DIR / folder), ready_url, takes_udp=takes_udp)


def extra_file(settings: Settings) -> Path:
    """Return the file that lists the services beside the table, such as the demo's stream."""
    return settings.data_dir / "run" / "extra_services.json"


def load(path: Path) -> list[Service]:
    """Read services from a file that ``save`` wrote; no file: none.

    Raises
    ------
    PlatformError
        The file does not have that form.
    """
    if not path.exists():
        return []
    try:
        return [
            Service(
                name=str(entry["name"]),
                argv=tuple(str(part) for part in entry["argv"]),
                cwd=str(entry["cwd"]),
                ready_url=entry.get("ready_url"),
                grace_s=float(entry.get("grace_s", 10.0)),
                takes_udp=bool(entry.get("takes_udp", False)),
            )
            for entry in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (ValueError, KeyError, TypeError) as exc:
        raise PlatformError(f"{path} is no list of services ({exc}): remove it, or correct it") from exc


def save(path: Path, services: Sequence[Service]) -> None:
    """Write services to a file."""
    write_atomically(path, json.dumps([asdict(service) for service in services], indent=1) + "\n")
