"""The committed sketch against the real udpserver: what it reads from its ADC is what PostgreSQL holds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from semg.privacy.consent import TEST_PERSON
from semg.security.board_keys import make_board, sketch_lines
from semg.settings import PROJECT_DIR, Settings
from semg.store import blocks, boards, profiles
from semg.store.pool import Pool
from semg.wire.udp2 import decode_v2

pytestmark = [pytest.mark.firmware, pytest.mark.servers]

SENT = 600
SIGNED = 100
WRAP_MS = 1 << 32


def write_env_file(settings: Settings, path: Path) -> None:
    values = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in settings.model_dump().items()
        if value is not None
    }
    path.write_text("".join(f"{name.upper()}={value}\n" for name, value in values.items()))
    path.chmod(0o600)


@contextmanager
def running_udpserver(settings: Settings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service as the README starts it, from its own folder; stopped in order at the end."""
    ready = folder / "udpserver.ready"
    write_env_file(settings.model_copy(update={"semg_ready_file": ready}), folder / "test.env")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT_DIR),
        "SEMG_ENV_FILE": str(folder / "test.env"),
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "udpserver.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "udpserver.py"], cwd=PROJECT_DIR / "udpserver", env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 40
        while not ready.exists():
            assert process.poll() is None, (folder / "udpserver.log").read_text()
            assert time.monotonic() < deadline, (folder / "udpserver.log").read_text()
            time.sleep(0.02)
        yield process
        process.terminate()
        assert process.wait(timeout=40) == 0, (folder / "udpserver.log").read_text()
    finally:
        process.kill()
        process.wait()


@contextmanager
def relay(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """Return a port that passes datagrams on to another, and what has passed."""
    passed: list[bytes] = []
    ended = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        wire.settimeout(0.1)

        def pass_on() -> None:
            while not ended.is_set():
                try:
                    datagram = wire.recv(2048)
                except TimeoutError:
                    continue
                passed.append(datagram)
                wire.sendto(datagram, ("127.0.0.1", port))

        thread = threading.Thread(target=pass_on)
        thread.start()
        try:
            yield wire.getsockname()[1], passed
        finally:
            ended.set()
            thread.join()


def expected_samples(n: int, channels: int) -> np.ndarray:
    """What the host's ADC gives: channel 0 counts, the others are known functions of the count."""
    number = np.arange(n)[:, None]
    channel = np.arange(channels)[None, :]
    values = np.where(channel == 0, number, number * (2 * channel + 1) + 97 * channel)
    return values % 4096


def test_every_sample_of_the_sketch_is_stored_once_while_its_clock_wraps(
    build: Callable[..., Path], servers: Any, tmp_path: Path
) -> None:
    binary = build("ARDUINO_ARCH_ESP32")
    pool = Pool(servers.settings, name="firmware-test")
    try:
        with pool.transaction() as tx:
            user_id = profiles.insert_profile(
                tx, "sketch", channels=["a0", "a1", "a2", "a3"], rate_hz=200.0, sensor="envelope", allow_v1=True,
                consent=TEST_PERSON,
            )  # fmt: skip
        assert user_id == 21  # the first profile is the one that the unchanged sketch sends for
        environment = {
            "HOST_REMOTE_IP": "127.0.0.1",
            "HOST_REMOTE_PORT": str(servers.settings.udp_port),
            "HOST_LOCAL_PORT": "0",
            "HOST_START_MILLIS": str(WRAP_MS - 2000),
            "HOST_MAX_DATAGRAMS": str(SENT),
        }
        with running_udpserver(servers.settings, tmp_path):
            subprocess.run([str(binary)], env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
        with pool.transaction() as tx:
            far = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
            found = blocks.list_blocks(tx, user_id, *far)
    finally:
        pool.close()
    stored = sorted(found, key=lambda block: (block.segment_id, block.device_us[0]))
    assert not any(block.late for block in stored)
    assert np.array_equal(np.concatenate([block.samples for block in stored]), expected_samples(SENT, 4))
    # The wrap starts a new segment, and is no jump in server time.
    assert len({block.segment_id for block in stored}) == 2
    device_ms = np.concatenate([block.device_us for block in stored]) // 1000 % WRAP_MS
    server_ms = np.concatenate([block.server_us for block in stored]) / 1000
    assert device_ms[0] > WRAP_MS - 2000
    assert device_ms[-1] < 5000
    elapsed_ms = np.cumsum(np.diff(device_ms) % WRAP_MS)
    assert np.all(elapsed_ms % 5 == 0)
    # Each segment has a clock fit of its own; a busy machine may move it by its scheduling delays.
    assert np.abs(server_ms[1:] - server_ms[0] - elapsed_ms).max() < 1000


def test_signed_samples_of_the_sketch_are_stored_for_the_assigned_profile_through_a_restart(
    build: Callable[..., Path], servers: Any, tmp_path: Path
) -> None:
    pool = Pool(servers.settings, name="firmware-test")
    try:
        with pool.transaction() as tx:
            board_id, key = make_board(tx, servers.settings.secret_key.get_secret_value(), "Left band")
            profiles.insert_profile(tx, "somebody else", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
            channels = ["a0", "a1", "a2", "a3"]
            user_id = profiles.insert_profile(tx, "sketch", channels=channels, rate_hz=200.0, consent=TEST_PERSON)
            boards.assign_board(tx, board_id, user_id)
        defines = [line.removeprefix("#define ") for line in sketch_lines(board_id, key).splitlines()]
        binary = build("ARDUINO_ARCH_ESP32", *(f"-D{line.replace(' ', '=', 1)}" for line in defines))
        environment = {
            "HOST_REMOTE_IP": "127.0.0.1",
            "HOST_LOCAL_PORT": "0",
            "HOST_NVM_FILE": str(tmp_path / "nvm"),
            "HOST_MAX_DATAGRAMS": str(SIGNED),
        }
        with running_udpserver(servers.settings, tmp_path), relay(servers.settings.udp_port) as (port, passed):
            environment["HOST_REMOTE_PORT"] = str(port)
            for _ in range(2):
                subprocess.run([str(binary)], env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
        with pool.transaction() as tx:
            far = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
            found = blocks.list_blocks(tx, user_id, *far)
            last_boot_id = boards.get_board(tx, board_id).last.boot_id
    finally:
        pool.close()
    sent = [decode_v2(datagram) for datagram in passed]
    starts = sorted({datagram.boot_id for datagram in sent})
    boots = sorted({block.segment_id for block in found})
    assert len(sent) == 2 * SIGNED
    assert len(starts) == len(boots) == 2
    assert last_boot_id == starts[-1]
    for start, boot in zip(starts, boots, strict=True):
        stored = np.concatenate([block.samples for block in found if block.segment_id == boot])
        assert np.array_equal(stored, np.concatenate([d.samples for d in sent if d.boot_id == start]))
