"""``simulate_arduinodata.py`` sends what the sketch sends."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
import simulate_arduinodata

from semg.settings import PROJECT_DIR, Settings
from semg.wire.udp import encode_v1
from testing.kits.texts import decode_one

pytestmark = pytest.mark.slow
SKETCH = (PROJECT_DIR / "arduino" / "arduinocode.ino").read_text()


def sketch_constant(pattern: str) -> int:
    found = re.search(pattern, SKETCH)
    assert found is not None
    return int(found[1])


def test_defaults_are_the_sketchs() -> None:
    options = simulate_arduinodata.parse_arguments(Settings(_env_file=None), [])
    assert options.user_id == sketch_constant(r"int USER_ID = (\d+);")
    assert options.rate_hz == sketch_constant(r"#define SAMPLE_RATE_HZ (\d+)")
    assert options.channels == sketch_constant(r"#define CHANNELS (\d+)")
    assert options.port == sketch_constant(r"remotePort = (\d+);")


@pytest.mark.parametrize("arguments", [["--rate-hz", "1001"], ["--start-millis", "4294967296"], ["--channels", "0"]])
def test_what_the_sketch_cannot_do_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        simulate_arduinodata.parse_arguments(Settings(_env_file=None), arguments)


def test_stream_is_whole_12_bit_numbers_on_a_counter_that_wraps() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.5)
        arguments = ["--seconds", "1", "--start-millis", str(2**32 - 500), "--host", "127.0.0.1"]
        done = subprocess.run(
            [sys.executable, "simulate_arduinodata.py", *arguments, "--port", str(receiver.getsockname()[1])],
            cwd=PROJECT_DIR / "testing",
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR), "OMP_NUM_THREADS": "1", "USER_ID": "21"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr.count("\n")) == (0, 1)
        assert "sending to 127.0.0.1:" in done.stderr
        sent = json.loads(done.stdout)["sent"]
        datagrams = [receiver.recv(2048) for _ in range(sent)]
    samples = [decode_one(datagram) for datagram in datagrams]
    values = np.array([sample.values for sample in samples])
    assert sent == 200
    assert [sample.device_ms for sample in samples] == [(2**32 - 500 + 5 * i) % 2**32 for i in range(200)]
    assert values.shape == (200, 4)
    assert np.all(values == np.rint(values))
    assert values.min() >= 0
    assert values.max() <= 4095
    assert values.std() > 0
    assert [encode_v1(s.user_id, s.device_ms, s.values) for s in samples] == datagrams
    assert all(re.fullmatch(rb"21,\d+(,\d+){4}", datagram) for datagram in datagrams)
