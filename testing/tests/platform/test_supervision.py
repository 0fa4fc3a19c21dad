"""Start, crash, kill, stop: with real processes, the embedded PostgreSQL and NATS among them."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from semg.platform import control
from semg.platform.database import earlier_databases
from semg.platform.installation import identity, state
from semg.platform.servers import embedded
from semg.platform.supervision import services
from semg.platform.supervision.services import Service
from semg.platform.supervision.supervisor import SERVICE_FILES
from semg.settings import Settings, load_settings
from semg.store.databases import Databases
from testing.tests.conftest import Servers
from testing.tests.platform.conftest import SERVICE_PROGRAM, Installation, wait_for

pytestmark = pytest.mark.servers

SERVICES = {"supervisor": 1, "one": 2, "two": 2}
"""Each service program has one child of its own."""
EVERYTHING = SERVICES | {"postgres": 1, "nats": 1}


def test_start_is_ready_prints_the_first_login_and_stop_leaves_nothing(embedded_installation: Installation) -> None:
    installation = embedded_installation
    started = installation.run("start")
    assert started.returncode == 0, started.stderr
    assert "Login   admin   password " in started.stdout
    assert installation.census() == EVERYTHING
    assert installation.state().is_ready
    assert installation.run("status").returncode == 0
    stopped = installation.run("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "Stopped.\n")
    assert installation.processes() == []
    assert sorted(path.name for path in (installation.data_dir / "run").iterdir()) == []
    assert installation.run("status").returncode == 3
    assert installation.run("stop").stdout == "Nothing runs.\n"


def test_second_start_is_harmless_and_shows_no_new_login(installation: Installation) -> None:
    assert installation.run("start").returncode == 0
    before = {unit.name: unit.pid for unit in installation.state().units}
    secrets_before = installation.env_file.read_text()
    again = installation.run("start")
    assert again.returncode == 0, again.stderr
    assert f"API     http://127.0.0.1:{installation.values['API_PORT']}" in again.stdout
    assert "password" not in again.stdout
    assert {unit.name: unit.pid for unit in installation.state().units} == before
    assert {path.stat().st_mode & 0o777 for path in installation.log_dir.iterdir()} == {0o600}
    assert installation.env_file.read_text() == secrets_before
    reset = installation.run("start", "--reset-admin")
    assert "Login   admin   password " in reset.stdout


def test_starts_at_the_same_time_give_one_of_each(embedded_installation: Installation) -> None:
    installation = embedded_installation
    environment = {**os.environ, "SEMG_ENV_FILE": str(installation.env_file)}
    command = [sys.executable, "-m", "semg.platform", "start", "--services", str(installation.folder / "table.json")]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("password" in out for out, _ in outputs) == 1
    assert installation.census() == EVERYTHING


def test_killed_process_is_started_again_without_leftovers(embedded_installation: Installation) -> None:
    installation = embedded_installation
    assert installation.run("start").returncode == 0
    for name in ("one", "nats", "postgres"):
        killed = psutil.Process(installation.pid(name))
        children = killed.children(recursive=True)
        killed.kill()
        wait_for(lambda: is_back(installation, name, killed.pid), f"{name} is back")  # noqa: B023
        assert not any(identity.is_alive(child) for child in children)
        unit = next(unit for unit in installation.state().units if unit.name == name)
        assert (unit.restarts, unit.last_exit) == (1, "killed by SIGKILL")
    assert installation.census() == EVERYTHING


def is_back(installation: Installation, name: str, old_pid: int) -> bool:
    unit = next(unit for unit in installation.state().units if unit.name == name)
    return unit.is_ready and unit.pid != old_pid


def test_start_after_a_killed_supervisor_gives_exactly_one_of_each(embedded_installation: Installation) -> None:
    installation = embedded_installation
    assert installation.run("start").returncode == 0
    before = installation.processes()
    supervisor = psutil.Process(installation.state().pid)
    supervisor.kill()
    identity.wait_gone([supervisor], 5)
    assert "left processes" in installation.run("status").stdout
    again = installation.run("start")
    assert again.returncode == 0, again.stderr
    assert installation.census() == EVERYTHING
    assert not any(identity.is_alive(process) for process in before)


def test_start_after_everything_was_killed_gives_exactly_one_of_each(embedded_installation: Installation) -> None:
    installation = embedded_installation
    assert installation.run("start").returncode == 0
    for process in installation.processes():
        process.kill()
    again = installation.run("start")
    assert again.returncode == 0, again.stderr
    assert installation.census() == EVERYTHING


def test_stop_after_a_killed_supervisor_leaves_nothing(installation: Installation) -> None:
    assert installation.run("start").returncode == 0
    psutil.Process(installation.state().pid).kill()
    assert installation.run("stop").stdout == "Stopped.\n"
    assert installation.processes() == []


def test_service_survives_the_death_of_its_supervisor_while_it_logs(installation: Installation) -> None:
    talker = """
import os, time
from pathlib import Path
Path(os.environ["SEMG_READY_FILE"]).write_text("")
while True:
    print("x" * 1000, flush=True)
    time.sleep(0.001)
"""
    installation.table = [installation.program("talker", talker)]
    installation.write()
    assert installation.run("start").returncode == 0
    talking = psutil.Process(installation.pid("talker"))
    psutil.Process(installation.state().pid).kill()
    log = installation.log_dir / "talker.log"
    size = log.stat().st_size
    wait_for(lambda: log.stat().st_size > size + 100_000, "more than a pipe holds is written")
    assert identity.is_alive(talking)


def test_logs_rotate_while_the_service_writes(installation: Installation) -> None:
    talker = """
import os, time
from pathlib import Path
Path(os.environ["SEMG_READY_FILE"]).write_text("")
while True:
    print("x" * 1000, flush=True)
    time.sleep(0.001)
"""
    installation.table = [installation.program("talker", talker)]
    installation.values |= {"LOG_MAX_BYTES": "50000", "LOG_BACKUPS": "2"}
    installation.write()
    assert installation.run("start").returncode == 0
    wait_for((installation.log_dir / "talker.log.2").exists, "the second rotation")
    log = installation.log_dir / "talker.log"
    assert log.read_bytes()[:1] != b"\0"  # the service appends: no hole where the file was emptied


def test_services_may_hold_more_connections_than_the_gateway_passes_on(installation: Installation) -> None:
    told = "import os, resource; from pathlib import Path; Path('files').write_text(str(resource.getrlimit(7)[0]));"
    told += " Path(os.environ['SEMG_READY_FILE']).write_text(''); import time; time.sleep(600)"
    installation.table = [installation.program("told", told)]
    installation.write()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))  # the usual limit
    try:
        assert installation.run("start").returncode == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert int((installation.folder / "files").read_text()) == min(hard, SERVICE_FILES) > 1024


def test_service_that_never_gets_ready_stops_everything(installation: Installation) -> None:
    sleeper = "import time\nprint('I wait for something', flush=True)\ntime.sleep(600)\n"
    installation.table.append(installation.program("sleeper", sleeper))
    installation.values["START_TIMEOUT_S"] = "4"
    installation.write()
    started = installation.run("start")
    assert started.returncode == 1
    assert "sleeper was not ready within 4 s (START_TIMEOUT_S)" in started.stderr
    assert "I wait for something" in started.stderr
    assert installation.processes() == []


def test_ports_of_a_start_that_failed_are_not_remembered_and_those_of_a_good_one_are(
    installation: Installation,
) -> None:
    port = str(embedded.free_port())
    good, installation.table = installation.table, [installation.program("crash", "import sys; sys.exit(1)")]
    installation.write()
    assert installation.run("start", API_PORT=port).returncode == 1
    assert f"API_PORT={port}" not in installation.env_file.read_text()
    installation.table = good
    installation.write()
    assert installation.run("start", API_PORT=port).returncode == 0
    assert f"API_PORT={port}" in installation.env_file.read_text()


def test_service_that_crashes_at_once_fails_the_start_early(installation: Installation) -> None:
    installation.table.append(installation.program("broken", "raise RuntimeError('no good')\n"))
    installation.values["RESTART_DELAY_S"] = "0.05"
    installation.write()
    started = installation.run("start")
    assert started.returncode == 1
    assert "broken ends at once (exit 1)" in started.stderr
    assert "RuntimeError: no good" in started.stderr
    assert installation.processes() == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("API_PORT", socket.SOCK_STREAM),
        ("STREAMLIT_PORT", socket.SOCK_STREAM),
        ("UDP_PORT", socket.SOCK_DGRAM),
        ("POSTGRES_PORT", socket.SOCK_STREAM),
        ("NATS_PORT", socket.SOCK_STREAM),
    ],
)
def test_taken_port_gives_one_sentence_and_leaves_nothing(
    embedded_installation: Installation, name: str, kind: socket.SocketKind
) -> None:
    installation = embedded_installation
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", int(installation.values[name])))
        if kind == socket.SOCK_STREAM:
            other.listen()
        started = installation.run("start")
    assert started.returncode == 1
    assert started.stderr.count("\n") == 1
    assert f"port {installation.values[name]} is taken by another program: set {name} in .env" in started.stderr
    assert installation.processes() == []


def test_wrong_password_of_the_embedded_database_gives_one_sentence(embedded_installation: Installation) -> None:
    installation = embedded_installation
    assert installation.run("start").returncode == 0
    assert installation.run("stop").returncode == 0
    text = installation.env_file.read_text()
    lines = [re.sub("^POSTGRES_(OWNER_)?PASSWORD=.*", r"POSTGRES_\1PASSWORD=wrong", line) for line in text.splitlines()]
    installation.env_file.write_text("\n".join(lines) + "\n")
    started = installation.run("start")
    assert started.returncode == 1
    assert started.stderr.count("\n") == 1
    assert "refuses POSTGRES_PASSWORD" in started.stderr
    assert installation.processes() == []


def test_added_service_is_kept_running_until_the_stop(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installation.run("start").returncode == 0
    monkeypatch.setenv("SEMG_ENV_FILE", str(installation.env_file))
    line = installation.program("stream", SERVICE_PROGRAM)
    extra = Service("stream", tuple(line["argv"]), str(installation.folder))  # type: ignore[arg-type]
    control.add_service(load_settings(), extra)
    assert installation.census() == SERVICES | {"stream": 2}
    first = installation.pid("stream")
    control.add_service(load_settings(), extra)
    assert installation.pid("stream") == first  # the same definition: left running
    control.add_service(load_settings(), replace(extra, argv=(*extra.argv, "faster")))
    assert psutil.Process(installation.pid("stream")).cmdline()[-1] == "faster"
    assert installation.census() == SERVICES | {"stream": 2}
    psutil.Process(installation.state().pid).kill()
    assert installation.run("start").returncode == 0
    assert installation.census() == SERVICES | {"stream": 2}
    installation.run("stop")
    assert installation.run("start").returncode == 0
    assert installation.census() == SERVICES


def test_interrupted_start_leaves_nothing(installation: Installation) -> None:
    installation.table.append(installation.program("sleeper", "import time\ntime.sleep(600)\n"))
    installation.write()
    environment = {**os.environ, "SEMG_ENV_FILE": str(installation.env_file)}
    command = [sys.executable, "-m", "semg.platform", "start", "--services", str(installation.folder / "table.json")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as starting:
        wait_for(lambda: (installation.log_dir / "sleeper.log").exists(), "the services are started")
        starting.send_signal(signal.SIGTERM)
        assert starting.wait(60) == 130
    assert installation.processes() == []


def test_stop_spares_the_shell_that_carries_the_same_identity(installation: Installation) -> None:
    assert installation.run("start").returncode == 0
    marks = {identity.INSTALLATION_VARIABLE: str(identity.find_installation(installation.data_dir))}
    environment = {**os.environ, **marks, "SEMG_ENV_FILE": str(installation.env_file)}
    script = f"{sys.executable} -m semg.platform stop && echo alive"
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "Stopped.\nalive\n", done.stderr


def test_status_tells_a_service_that_waits_for_its_next_try(installation: Installation) -> None:
    flag = installation.folder / "broken"
    source = SERVICE_PROGRAM.replace("child =", f"if Path({str(flag)!r}).exists():\n    sys.exit(7)\n\nchild =", 1)
    installation.table = [installation.program("one", source)]
    installation.values |= {"RESTART_DELAY_S": "20", "RESTART_DELAY_MAX_S": "20"}
    installation.write()
    assert installation.run("start").returncode == 0
    psutil.Process(installation.pid("one")).kill()
    wait_for(lambda: installation.state().units[-1].state == "waiting", "the crash is noticed")
    told = installation.run("status")
    assert told.returncode == 3
    assert "waiting" in told.stdout
    again = installation.run("start", timeout_s=15)  # does not wait out the pause
    assert again.returncode == 0, again.stderr


def test_state_file_of_another_process_is_not_taken_for_the_supervisor(installation: Installation) -> None:
    folder = installation.data_dir / "run"
    folder.mkdir(parents=True)
    stale = {"pid": os.getpid(), "create_time": 1.0, "phase": "running", "error": "", "addresses": {}, "units": []}
    (folder / "state.json").write_text(json.dumps(stale))
    assert state.read(state.state_file(installation.data_dir)) is not None
    assert installation.run("status").returncode == 3
    assert installation.run("start").returncode == 0


def test_named_servers_are_used_and_nothing_embedded_starts(installation: Installation) -> None:
    started = installation.run("start")
    assert started.returncode == 0, started.stderr
    assert installation.census() == SERVICES
    assert not (installation.data_dir / "postgres").exists()
    assert "PASSWORD" not in started.stdout  # only secrets of this platform are generated


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("POSTGRES_PASSWORD", "wrong", "set POSTGRES_USER and POSTGRES_PASSWORD"),
        ("POSTGRES_DB", "absent", "set POSTGRES_DB"),
        ("POSTGRES_PORT", "1", "set POSTGRES_HOST and POSTGRES_PORT"),
        ("NATS_PASSWORD", "wrong", "set NATS_USER and NATS_PASSWORD"),
        ("NATS_SERVER", "nats://127.0.0.1:1", "set NATS_SERVER"),
    ],
)
def test_named_server_that_refuses_gives_one_sentence(
    installation: Installation, name: str, wrong: str, told: str
) -> None:
    installation.values[name] = wrong
    installation.write()
    refused = installation.run("start")
    assert refused.returncode == 1
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert installation.processes() == []


def test_table_names_the_ports_of_the_settings() -> None:
    settings = load_settings(None).model_copy(update={"api_port": 7001, "streamlit_port": 7002})
    table = {service.name: service for service in services.table(settings)}
    assert list(table) == ["api", "nat_inference", "job_runner", "udpserver", "simulator", "streamlit"]
    assert table["api"].ready_url == "http://127.0.0.1:7001/readyz"
    assert table["streamlit"].ready_url == "http://127.0.0.1:7002/_stcore/health"


RECEIVER_PROGRAM = """
import os, socket
from pathlib import Path

receiving = socket.socket(fileno=int(os.environ["SEMG_UDP_FD"]))
receiving.setblocking(True)
Path(os.environ["SEMG_READY_FILE"]).write_text(str(os.getpid()))
with open("received", "a") as out:
    while True:
        out.write(receiving.recv(100).decode() + "\\n")
        out.flush()
"""


def test_what_arrives_while_the_receiver_is_away_waits_in_the_socket_that_it_is_handed_down(
    installation: Installation,
) -> None:
    service = installation.program("receiver", RECEIVER_PROGRAM)
    installation.table = [service | {"takes_udp": True}]
    installation.values["RESTART_DELAY_S"] = "1"
    installation.write()
    assert installation.run("start").returncode == 0
    received = installation.folder / "received"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.connect(("127.0.0.1", int(installation.values["UDP_PORT"])))
        sending.send(b"before")
        wait_for(lambda: received.read_text() == "before\n", "the first datagram")
        killed = psutil.Process(installation.pid("receiver"))
        killed.kill()
        identity.wait_gone([killed], 5)
        for number in range(100):
            sending.send(b"%d" % number)
    wait_for(lambda: len(received.read_text().splitlines()) == 101, "what was sent meanwhile")
    assert received.read_text().splitlines() == ["before", *map(str, range(100))]
    wait_for(lambda: is_back(installation, "receiver", killed.pid), "another process")


def test_killed_app_and_gateway_come_back_and_answer_again(installation: Installation) -> None:
    port = embedded.free_port()
    installation.values |= {"LAN": "true", "LAN_HOST": "127.0.0.1", "LAN_PORT": str(port)}
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in installation.values.items()})
    chosen = [service for service in services.table(settings) if service.name in ("streamlit", "gateway")]
    installation.table = [asdict(service) for service in chosen]
    installation.write()
    started = installation.run("start")
    assert started.returncode == 0, started.stdout + started.stderr
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE

    def answers() -> bool:
        """The app through the gateway."""
        try:
            with urllib.request.urlopen(
                f"https://127.0.0.1:{port}/_stcore/health", timeout=5, context=unverified
            ) as got:
                return got.read() == b"ok"
        except OSError:
            return False

    assert answers()
    for name in ("streamlit", "gateway"):
        old = installation.pid(name)
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: is_back(installation, name, old), f"{name} is back", 60)  # noqa: B023
        wait_for(answers, f"the app answers after the end of {name}")
    assert {unit.name: unit.restarts for unit in installation.state().units} == {"streamlit": 1, "gateway": 1}


def test_database_that_a_restore_put_aside_long_ago_goes_while_the_platform_runs(
    installation: Installation, servers: Servers
) -> None:
    databases, now = Databases(servers.settings), datetime.now(UTC)
    name = servers.settings.postgres_db
    old, young = (earlier_databases.name_aside(name, now - timedelta(days=age)) for age in (31, 29))
    for name in (old, young):
        databases.create(name)
    try:
        assert installation.run("start").returncode == 0
        wait_for(lambda: not databases.exists(old), "the old one is gone")
        assert databases.exists(young)
    finally:
        for name in (old, young):
            if databases.exists(name):
                databases.drop(name)
