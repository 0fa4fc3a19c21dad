"""Whether the embedded NATS is well is asked by one user, and no service is told anything about the server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from semg.platform.servers import embedded, nats
from semg.platform.servers.bus_users import BusUser

pytestmark = pytest.mark.servers
PASSWORD = "health-secret"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[nats.NatsServer]:
    port, config = embedded.free_port(), tmp_path / "nats.conf"
    users = (BusUser("api", "api-secret", ("semg.watch.*",), ("semg.samples.*",)),)
    nats.write_config(config, tmp_path / "js", port, "semg", "s", 64 << 20, users=users, health_password=PASSWORD)
    made = nats.start(config, port, tmp_path / "nats.log")
    yield made
    made.stop()


def test_server_listens_on_its_port_only(server: nats.NatsServer) -> None:
    process = psutil.Process(server.process.pid)
    listening = {one.laddr for one in process.net_connections() if one.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", server.port)}


def test_health_is_told_to_who_has_the_password_and_as_long_as_the_server_runs(server: nats.NatsServer) -> None:
    assert nats.is_healthy(server.port, PASSWORD)
    assert not nats.is_healthy(server.port, "guessed")
    server.stop()
    assert not nats.is_healthy(server.port, PASSWORD)


def said(port: int, user: str, password: str, *lines: str) -> str:
    """Say something to the server as a user, and return all that it says in a moment."""
    hello = json.dumps({"user": user, "pass": password, "verbose": False})
    with socket.create_connection(("127.0.0.1", port), timeout=0.7) as client:
        client.sendall("".join(f"{line}\r\n" for line in (f"CONNECT {hello}", *lines)).encode())
        heard = b""
        try:
            while part := client.recv(1 << 16):
                heard += part
        except TimeoutError:
            pass
    return heard.decode()


QUESTIONS = ("PING.CONNZ", "PING.VARZ", "PING.SUBSZ", "PING.JSZ", "PING.IDZ", "PING")


@pytest.mark.parametrize(("user", "password"), [("api", "api-secret"), (nats.HEALTH_USER, PASSWORD)])
def test_no_service_is_told_who_is_connected(server: nats.NatsServer, user: str, password: str) -> None:
    inbox = "_INBOX_semg_health" if user == nats.HEALTH_USER else "semg.samples.1"
    asked = [f"PUB $SYS.REQ.SERVER.{question} {inbox} 0\r\n" for question in QUESTIONS]
    heard = said(server.port, user, password, "SUB $SYS.> 1", f"SUB {inbox} 2", *asked)
    assert "MSG " not in heard
    assert "authorization" not in heard.lower()


def test_what_may_be_asked_is_answered(server: nats.NatsServer) -> None:
    heard = said(
        server.port, nats.HEALTH_USER, PASSWORD,
        "SUB _INBOX_semg_health 1", "PUB $SYS.REQ.SERVER.PING.HEALTHZ _INBOX_semg_health 0\r\n",
    )  # fmt: skip
    assert "MSG _INBOX_semg_health 1 " in heard


def test_password_of_the_health_question_is_needed(server: nats.NatsServer) -> None:
    assert "authorization violation" in said(server.port, nats.HEALTH_USER, "", "PING").lower()
