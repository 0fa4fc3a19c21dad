"""Create the files of an embedded PostgreSQL that does not run, and its roles.

``postgres --single`` works on a cluster's files as its superuser, without a server and without a password.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from semg.errors import PlatformError
from semg.platform.servers import embedded, postgres_roles
from semg.platform.servers.postgres_roles import Login

logger = logging.getLogger(__name__)

NEW_CLUSTER_BYTES = 64 << 20
"""An empty cluster has 40 MB (``du`` after ``initdb``); the rest is room for its first start."""


def give_roles(
    folder: Path,
    data: Path,
    owner: Login,
    service: Login | None,
    foreign: Sequence[str],
    environment: Mapping[str, str] | None,
) -> None:
    """Create the roles of a cluster that does not run, and reassign an earlier superuser's objects to the owner."""
    run_alone(folder, data, "postgres", postgres_roles.role_script(owner, service), environment)
    for name in foreign:
        run_alone(folder, data, name, postgres_roles.ownership_script(owner[0]), environment)
    logger.info("database and tables belong to %s, who is no superuser", owner[0])


def run_alone(folder: Path, data: Path, database: str, script: str, environment: Mapping[str, str] | None) -> None:
    """Run a script as the superuser of a cluster that no server runs on.

    Raises
    ------
    PlatformError
        A statement was refused; those before it in its transaction did nothing.
    """
    quiet = ["-c", "log_min_error_statement=panic", "-c", "log_statement=none", "-c", "unix_socket_directories="]
    done = subprocess.run(
        [str(folder / "postgres"), "--single", "-j", "-D", str(data), *quiet, database],
        input=script.encode(),
        capture_output=True,
        cwd="/",
        check=False,
        env=environment,
        **embedded.unprivileged(),  # type: ignore[call-overload]
    )
    output = done.stderr.decode("utf-8", "replace")
    refused = [line for line in output.splitlines() if re.search(r"\b(ERROR|FATAL|PANIC):", line)]
    if done.returncode != 0 or refused:
        raise PlatformError(f"PostgreSQL in {data} cannot be given its roles: {(refused or [output.strip()])[0]}")


def initialise(
    folder: Path,
    data: Path,
    owner: Login,
    service: Login | None,
    environment: Mapping[str, str] | None,
) -> None:
    """Create the cluster at a temporary path and rename it, so that an incomplete one is never used."""
    data.parent.mkdir(parents=True, exist_ok=True)
    partial = data.with_name(data.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    if data.exists() and any(data.iterdir()):
        raise PlatformError(f"{data} has files but no PostgreSQL in it: move them away, or set DATA_DIR")
    if shutil.disk_usage(data.parent).free < NEW_CLUSTER_BYTES:  # initdb itself only crashes on a full disk
        raise PlatformError(
            f"the disk is full: PostgreSQL needs {NEW_CLUSTER_BYTES >> 20} MB in {data}; free space, or set DATA_DIR"
        )
    partial.mkdir(mode=0o700)
    embedded.hand_over(partial)
    with tempfile.NamedTemporaryFile("w", prefix="semg-pw-") as secret:
        secret.write(secrets.token_urlsafe(32))  # of the superuser, for a moment: it may not log in afterwards
        secret.flush()
        embedded.hand_over(Path(secret.name))
        command = [
            str(folder / "initdb"), "-D", str(partial), "-U", postgres_roles.BOOTSTRAP, "--pwfile", secret.name,
            "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            capture_output=True,
            cwd="/",
            check=False,
            env=environment,
            **embedded.unprivileged(),  # type: ignore[call-overload]
        )
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise PlatformError(f"PostgreSQL cannot make its files in {data} (DATA_DIR): {' '.join(reason[-2:])}")
    run_alone(folder, partial, "postgres", postgres_roles.role_script(owner, service), environment)
    if data.exists():
        data.rmdir()
    partial.rename(data)
