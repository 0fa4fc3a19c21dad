"""An installation of its own for each test: own folders, own ports, small real programs as services."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from semg.platform.installation import identity, state
from semg.platform.servers import cluster, embedded
from semg.settings import PROJECT_DIR, Settings

SERVICE_PROGRAM = """
import os, signal, subprocess, sys
from pathlib import Path

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)

def leave(number, frame):
    child.terminate()
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
print("begins", os.getpid(), "child", child.pid, flush=True)
Path(os.environ["SEMG_READY_FILE"]).write_text(str(os.getpid()))
while True:
    signal.pause()
"""


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for: {what}"
        time.sleep(0.02)


@dataclass
class Installation:
    """Folders, settings and commands of one installation."""

    folder: Path
    values: dict[str, str]
    table: list[dict[str, object]] = field(default_factory=list)

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log_dir(self) -> Path:
        return self.folder / "logs"

    def program(self, name: str, source: str) -> dict[str, object]:
        """Write a program and give the table's line for it."""
        path = self.folder / f"{name}.py"
        path.write_text(source)
        return {"name": name, "argv": [sys.executable, str(path)], "cwd": str(self.folder), "grace_s": 5.0}

    def write(self) -> None:
        lines = [f"{name}={value}" for name, value in self.values.items()]
        self.env_file.write_text("\n".join(lines) + "\n")
        (self.folder / "table.json").write_text(json.dumps(self.table))

    def run(
        self, command: str, *arguments: str, timeout_s: float = 120.0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -m semg.platform`` as a person would, with a clean environment and these variables."""
        known = {name.upper() for name in Settings.model_fields}
        environment = {name: value for name, value in os.environ.items() if name.upper() not in known}
        environment |= {"SEMG_ENV_FILE": str(self.env_file), "PYTHONPATH": str(PROJECT_DIR)} | variables
        full = [sys.executable, "-m", "semg.platform", command, *arguments]
        if command == "start":
            full += ["--services", str(self.folder / "table.json")]
        return subprocess.run(
            full, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=self.folder
        )

    def state(self) -> state.State:
        found = state.read(state.state_file(self.data_dir))
        assert found is not None
        return found

    def pid(self, name: str) -> int:
        pid = next(unit.pid for unit in self.state().units if unit.name == name)
        assert pid is not None
        return pid

    def processes(self) -> list[psutil.Process]:
        """Every live process of this installation, the database's included."""
        installation = identity.find_installation(self.data_dir)
        if installation is None:
            return []
        found = identity.processes(installation)
        found += [p for p in cluster.processes(self.data_dir / "postgres") if p not in found]
        return [process for process in found if identity.is_alive(process)]

    def census(self) -> dict[str, int]:
        """How many processes of each service there are (PostgreSQL: postmasters)."""
        counts: dict[str, int] = {}
        for process in identity.processes(str(identity.find_installation(self.data_dir))):
            if identity.is_alive(process):
                name = process.environ()[identity.SERVICE_VARIABLE]
                if name != "postgres" or process.pid == cluster.postmaster_pid(self.data_dir / "postgres"):
                    counts[name] = counts.get(name, 0) + 1
        return counts


@contextmanager
def installed(values: dict[str, str]) -> Iterator[Installation]:
    """Return an installation with two services; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="semg-platform-"))
    folder.chmod(0o755)  # so that PostgreSQL's account reaches the cluster when root runs the tests
    made = Installation(
        folder,
        {
            "DATA_DIR": str(folder / "data"),
            "LOG_DIR": str(folder / "logs"),
            "API_PORT": str(embedded.free_port()),
            "STREAMLIT_PORT": str(embedded.free_port()),
            "UDP_HOST": "127.0.0.1",
            "UDP_PORT": str(embedded.free_port(kind=socket.SOCK_DGRAM)),
            "MIN_FREE_DISK_MB": "10",
            **values,
        },
    )
    made.table = [made.program("one", SERVICE_PROGRAM), made.program("two", SERVICE_PROGRAM)]
    made.write()
    try:
        yield made
        stopped = made.run("stop")
        assert stopped.returncode == 0, stopped.stderr
        assert made.processes() == []
    finally:
        identity.end(made.processes())
        shutil.rmtree(folder)


@pytest.fixture
def embedded_installation() -> Iterator[Installation]:
    """An installation with its own embedded PostgreSQL and NATS."""
    ports = {"POSTGRES_PORT": str(embedded.free_port()), "NATS_PORT": str(embedded.free_port())}
    with installed({**ports, "JOURNAL_MAX_BYTES": str(64 << 20)}) as made:
        yield made


@pytest.fixture
def installation(servers: Any) -> Iterator[Installation]:
    """An installation that uses the test run's servers by name: starts faster."""
    named = {
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(servers.postgres.port),
        "POSTGRES_DB": servers.settings.postgres_db,
        "POSTGRES_USER": servers.settings.postgres_user,
        "POSTGRES_PASSWORD": servers.settings.postgres_password.get_secret_value(),
        "POSTGRES_OWNER_USER": servers.postgres.user,
        "POSTGRES_OWNER_PASSWORD": servers.postgres.password,
        "NATS_SERVER": servers.settings.nats_server,
        "NATS_USER": servers.settings.nats_user,
        "NATS_PASSWORD": servers.settings.nats_password.get_secret_value(),
    }
    with installed(named) as made:
        yield made
