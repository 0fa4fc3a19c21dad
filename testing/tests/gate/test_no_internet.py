"""The app where outgoing traffic is dropped: a foreign origin neither reaches the internet by it nor holds it up.

Streamlit alone asks an address service for every foreign ``Origin``, on the event loop; where a firewall drops that,
the whole app waits. Here the app runs in a network namespace of its own whose way out leads nowhere, and every packet
that would leave is counted.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from semg.platform.servers import embedded
from semg.platform.supervision import services
from semg.settings import Settings
from testing.running_system import environment_of
from testing.tests.conftest import skip_or_fail

pytestmark = pytest.mark.slow
OUT = "out0"
NOWHERE = f"""
set -e
mount --bind "$1" /etc/resolv.conf
for off in /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/default/disable_ipv6; do
    [ ! -e $off ] || echo 1 >$off
done
ip link set lo up
ip link add {OUT} type veth peer name {OUT}-end
ip link set {OUT} arp off up
ip link set {OUT}-end arp off up
ip address add 192.0.2.2/24 dev {OUT}
ip route add default via 192.0.2.1 dev {OUT}
cd "$2"
shift 2
exec "$@"
"""
"""A way out that ends in the other half of a cable which nobody reads; names are asked of a server at its end. Without
ARP, a packet needs no answer to be sent, and nothing else is."""
FOREIGN = "http://evil.example"
SOCKETS = 5
AT_ONCE_S = 1.0
"""More than what an answer takes on this machine when nobody knocks."""

CLIENT = """
import json, sys, threading, time, urllib.request
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

port, origin, n = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
address = f"127.0.0.1:{port}"

def health():
    before = time.monotonic()
    with urllib.request.urlopen(f"http://{address}/_stcore/health", timeout=60) as answer:
        assert answer.status == 200
    return time.monotonic() - before

def is_up():
    try:
        return health() > 0
    except OSError:
        return False

deadline = time.monotonic() + 60
while not is_up():
    assert time.monotonic() < deadline, "the app did not start"
    time.sleep(0.1)

usual_s = max(health() for _ in range(10))
refused = []
def knock():
    before = time.monotonic()
    try:
        with connect(f"ws://{address}/_stcore/stream", origin=origin, subprotocols=["streamlit", "x"], open_timeout=60,
                     proxy=None):
            how = "open"
    except InvalidHandshake as exc:
        how = str(getattr(exc, "response", None) and exc.response.status_code)
    except Exception as exc:
        how = type(exc).__name__
    refused.append((how, time.monotonic() - before))

sockets = [threading.Thread(target=knock) for _ in range(n)]
for one in sockets:
    one.start()
waits = []
while any(one.is_alive() for one in sockets) or len(waits) < 10:
    time.sleep(0.02)
    waits.append(health())
print(json.dumps({"how": [how for how, _ in refused], "refused_s": max(s for _, s in refused) - usual_s,
                  "health_s": max(waits) - usual_s}))
"""


@dataclass(frozen=True)
class Cut:
    """A program that runs where outgoing traffic is dropped."""

    process: subprocess.Popen[bytes]
    log: Path

    def packets_out(self) -> int:
        """Return how many packets have left the machine, had there been a way."""
        for line in Path(f"/proc/{self.process.pid}/net/dev").read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == OUT:
                return int(numbers.split()[9])
        raise AssertionError(f"no {OUT}: {self.log.read_text()}")

    def inside(self, code: str, *arguments: str) -> str:
        """Run a Python program beside it, and give what it prints."""
        command = ["nsenter", "-t", str(self.process.pid), "-n", "-m", sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, cwd="/")
        assert done.returncode == 0, f"{done.stderr}\n{self.log.read_text()[-3000:]}"
        return done.stdout

    def knock(self, port: int) -> dict[str, Any]:
        """Open sockets of a foreign origin, all at once; tell how and how fast they were refused, and who waited."""
        told: dict[str, Any] = json.loads(self.inside(CLIENT, str(port), FOREIGN, str(SOCKETS)))
        return told


@contextmanager
def cut_off(command: Sequence[str], cwd: str, environment: Mapping[str, str], folder: Path) -> Iterator[Cut]:
    """Run a program where outgoing traffic is dropped."""
    names, log = folder / "resolv.conf", folder / "cut-off.log"
    names.write_text("nameserver 192.0.2.53\noptions timeout:2 attempts:1\n")
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", NOWHERE, "sh", str(names), cwd, *command],
            env=dict(environment), stdout=out, stderr=out,
        )  # fmt: skip
    try:
        made, deadline = Cut(process, log), time.monotonic() + 20
        while OUT not in Path(f"/proc/{process.pid}/net/dev").read_text() or _is_shell(process.pid):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield made
    finally:
        process.terminate()
        process.wait(20)


def _is_shell(pid: int) -> bool:
    return not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(os.fsencode(sys.executable))


@pytest.fixture(autouse=True)
def _may_cut() -> None:
    """Skip where no namespace can be made."""
    if os.geteuid() != 0 or sys.platform != "linux":
        skip_or_fail("only root on Linux can cut a program off from the network")
    missing = [name for name in ("ip", "unshare", "nsenter", "mount") if shutil.which(name) is None]
    if missing:
        skip_or_fail(f"{', '.join(missing)} not there: apt-get install iproute2 util-linux mount")
    made = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        skip_or_fail(f"this container lets nobody make a network namespace: {made.stderr.strip()}")


def test_what_leaves_is_counted(tmp_path: Path) -> None:
    """Or else the next test would prove nothing."""
    with cut_off([sys.executable, "-c", "import time; time.sleep(60)"], "/", os.environ, tmp_path) as cut:
        assert cut.packets_out() == 0
        cut.inside("import socket\ntry:\n socket.getaddrinfo('checkip.amazonaws.com', 80)\nexcept OSError:\n pass")
        asked = cut.packets_out()
        assert asked > 0, "the name"
        cut.inside(
            "import socket\ns = socket.socket(); s.settimeout(0.2)\ntry:\n s.connect(('203.0.113.1', 80))\n"
            "except TimeoutError:\n pass"
        )
        assert cut.packets_out() > asked, "the connection"


def test_streamlit_alone_asks_the_internet_for_a_foreign_origin(tmp_path: Path) -> None:
    """What the gate is there for; when this fails because Streamlit has mended it, be glad and remove it."""
    port = embedded.free_port()
    (tmp_path / "page.py").write_text("import streamlit as st\nst.write('hello')\n")
    command = [sys.executable, "-m", "streamlit", "run", "page.py", "--server.headless=true", f"--server.port={port}"]
    command += ["--server.address=127.0.0.1", "--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    with cut_off(command, str(tmp_path), os.environ, tmp_path) as cut:
        told = cut.knock(port)
        assert cut.packets_out() > 0
        assert told["health_s"] > AT_ONCE_S, shlex.join(command)


def test_app_refuses_a_foreign_origin_at_once_and_asks_nobody(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, postgres_host="127.0.0.1", postgres_port=embedded.free_port(), postgres_user="semg",
        postgres_password="none", nats_server="nats://127.0.0.1:1", streamlit_port=embedded.free_port(),
        data_dir=tmp_path / "data", log_dir=tmp_path / "logs", secret_key="k" * 48, semg_api_token="t" * 32,
    )  # fmt: skip
    service = next(one for one in services.table(settings) if one.name == "streamlit")
    environment = environment_of(settings, tmp_path, service.name)
    with cut_off(service.argv, service.cwd, environment, tmp_path) as cut:
        told = cut.knock(settings.streamlit_port)
        assert told["how"] == ["403"] * SOCKETS
        assert told["refused_s"] < AT_ONCE_S
        assert told["health_s"] < AT_ONCE_S
        time.sleep(0.5)
        assert cut.packets_out() == 0, cut.log.read_text()
