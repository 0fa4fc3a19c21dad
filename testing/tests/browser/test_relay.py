"""A webcam in a network that lets nothing through directly: its pictures come by the TURN server of the settings."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from semg.platform.servers import embedded
from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import gestures, profiles
from semg.store.pool import Pool
from testing.kits.journey import log_in, open_page
from testing.running_system import running, streaming
from testing.tests.conftest import skip_or_fail

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(300)]

USER = "semg"
RELAYED_ONLY = """
  const Direct = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Direct {
    constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); }
  };
"""
"""What a firewall does: the browser may reach the relay and nothing else."""


@contextmanager
def turn_server(folder: Path, port: int, password: str) -> Iterator[Path]:
    """Run coturn on loopback; give its log."""
    program = shutil.which("turnserver")
    if program is None:
        skip_or_fail("turnserver is not there: apt-get install coturn")
    log = folder / "turn.log"
    options = {
        "listening-ip": "127.0.0.1", "listening-port": port, "relay-ip": "127.0.0.1", "realm": "test",
        "user": f"{USER}:{password}", "db": folder / "turn.db", "pidfile": folder / "turn.pid", "log-file": log,
    }  # fmt: skip
    flags = ("lt-cred-mech", "allow-loopback-peers", "no-tls", "no-dtls", "no-cli", "simple-log", "verbose")
    configuration = folder / "turn.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        "".join([*(f"{name}={value}\n" for name, value in options.items()), *(f"{f}\n" for f in flags)])
    )
    process = subprocess.Popen([program, "-c", str(configuration)], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        yield log
    finally:
        process.terminate()
        process.wait(10)


def test_pictures_come_by_the_relay_when_nothing_else_is_let_through(
    camera_page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    port, password = embedded.free_port(kind=2), secrets.token_urlsafe(12)
    settings = live_settings.model_copy(
        update={
            "webrtc_hosts": "127.0.0.1",
            "ice_servers": f"turn:127.0.0.1:{port}",
            "turn_user": USER,
            "turn_password": SecretStr(password),
        }
    )
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON, allow_v1=True)
        gestures.insert_gesture(tx, user_id, "fist", "")
    camera_page.add_init_script(RELAYED_ONLY)
    stream = ("--user-id", str(user_id), "--channels", "1", "--rate-hz", "200")
    with (
        turn_server(tmp_path, port, password) as log,
        running(settings, tmp_path),
        streaming(settings, tmp_path, *stream),
    ):
        log_in(camera_page, settings)
        open_page(camera_page, "Capture")
        camera_page.get_by_text("Record the webcam").click()
        expect(camera_page.get_by_text(re.compile("Ready, .* frames/s"))).to_be_visible()
    told = log.read_text()
    for step in ("ALLOCATE", "CREATE_PERMISSION"):
        assert re.search(rf"user <{USER}>.*{step} processed, success", told), told[-2000:]
