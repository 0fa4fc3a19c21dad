"""The committed sketch, compiled unchanged for the host: what it sends, and when."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semg.settings import PROJECT_DIR
from semg.wire.udp import SampleV1, encode_v1
from testing.kits.texts import decode_one

pytestmark = pytest.mark.firmware

BOARDS = ("ARDUINO_ARCH_ESP32", "ARDUINO_UNOR4_WIFI", "ESP8266")
WRAP = 1 << 32
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "v1.json").read_text())
Virtual = Callable[..., tuple[list[str], str]]
Build = Callable[..., Path]


def decode_all(lines: list[str]) -> list[SampleV1]:
    return [decode_one(line.encode()) for line in lines]


def unwrapped_ms(samples: list[SampleV1]) -> np.ndarray:
    """Device times as a count that does not wrap; valid while neighbours are less than 2^31 ms apart."""
    steps = np.diff([sample.device_ms for sample in samples]) % WRAP
    return samples[0].device_ms + np.concatenate([[0], np.cumsum(steps)])


def sample_numbers(samples: list[SampleV1], adc_range: int = 4096) -> np.ndarray:
    """The running sample number that the host's ADC gives in channel 0, modulo its range."""
    return np.diff([sample.values[0] for sample in samples]) % adc_range


def receive_run(binary: Path, run_ms: int, **environment: str | int) -> tuple[list[bytes], str]:
    """Run a built sketch in real time against a socket: datagrams as they arrived, and the serial output."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        variables = {
            "HOST_REMOTE_IP": "127.0.0.1",
            "HOST_REMOTE_PORT": str(receiver.getsockname()[1]),
            "HOST_LOCAL_PORT": "0",
            "HOST_RUN_MS": str(run_ms),
            **{name: str(value) for name, value in environment.items()},
        }
        process = subprocess.Popen([str(binary)], env=variables, stdout=subprocess.PIPE, text=True)
        datagrams: list[bytes] = []
        try:
            ended = False
            while not ended:
                ended = process.poll() is not None  # one more round after the end takes what is still queued
                try:
                    while True:
                        datagrams.append(receiver.recv(2048))
                except TimeoutError:
                    continue
            serial = process.communicate(timeout=10)[0]
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0
    return datagrams, serial


@pytest.mark.parametrize("board", BOARDS)
def test_sketch_compiles_without_warnings(build: Build, board: str) -> None:
    assert build(board).stat().st_size > 0


@pytest.mark.parametrize("option", ["-DCONFIG_IDF_TARGET_ESP32S3", "-DCONFIG_IDF_TARGET_ESP32C3", "-DCHANNELS=6"])
def test_esp32_variants_compile_without_warnings(build: Build, option: str) -> None:
    assert build("ARDUINO_ARCH_ESP32", option).stat().st_size > 0


def test_esp32_reads_only_adc1_pins() -> None:
    source = (PROJECT_DIR / "arduino" / "arduinocode.ino").read_text()
    classic = re.search(r"#elif defined\(ARDUINO_ARCH_ESP32\)\nconst uint8_t SENSOR_PINS\[\] = \{([\d, ]+)\}", source)
    assert classic is not None
    pins = {int(pin) for pin in classic[1].split(",")}
    assert pins <= set(range(32, 40))  # ESP32 data sheet: ADC1 is GPIO 32 to 39


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["datagram"][:24])
def test_golden_datagram_is_what_the_wire_format_says(golden: dict) -> None:
    datagram = golden["datagram"].encode()
    assert encode_v1(golden["user_id"], golden["device_ms"], golden["values"]) == datagram
    assert decode_one(datagram) == SampleV1(golden["user_id"], golden["device_ms"], tuple(golden["values"]))


def test_sketch_sends_the_golden_bytes(build: Build, run_virtual: Virtual) -> None:
    lines, _ = run_virtual(build(), 4000, HOST_START_MILLIS=WRAP - 2000)
    from_sketch = [golden["datagram"] for golden in GOLDEN if golden["user_id"] == 21]
    assert len(from_sketch) == 3
    assert lines[0] == from_sketch[0]
    assert set(from_sketch) <= set(lines)


@pytest.mark.parametrize(("board", "channels"), list(zip(BOARDS, (4, 4, 1), strict=True)))
def test_every_datagram_decodes_and_no_sample_is_lost(
    build: Build, run_virtual: Virtual, board: str, channels: int
) -> None:
    lines, _ = run_virtual(build(board), 60_000)
    samples = decode_all(lines)
    assert {sample.user_id for sample in samples} == {21}
    assert {len(sample.values) for sample in samples} == {channels}
    assert len(samples) > 11_000
    assert np.all(sample_numbers(samples, 1024 if board == "ESP8266" else 4096) == 1)
    assert [encode_v1(s.user_id, s.device_ms, s.values).decode() for s in samples] == lines


@pytest.mark.parametrize("rate_hz", [50, 128, 200, 300, 1000])
def test_schedule_does_not_drift_from_the_rate(build: Build, run_virtual: Virtual, rate_hz: int) -> None:
    lines, _ = run_virtual(build("ARDUINO_ARCH_ESP32", f"-DSAMPLE_RATE_HZ={rate_hz}"), 300_000)
    device_ms = unwrapped_ms(decode_all(lines))
    exact_ms = device_ms[0] + np.arange(len(device_ms)) * 1000 / rate_hz
    assert len(device_ms) == pytest.approx(299.5 * rate_hz, abs=2)
    # The stamp is the whole part of the exact time, up to the phase that the first sample fixed.
    assert np.all(np.abs(device_ms - exact_ms) <= 1.0)
    assert np.all(np.diff(device_ms) > 0)


@pytest.mark.parametrize("board", BOARDS)
def test_sampling_goes_on_when_both_counters_wrap(build: Build, run_virtual: Virtual, board: str) -> None:
    # 2^32 ms is a multiple of 2^32 us: millis() and micros() wrap at the same moment.
    lines, serial = run_virtual(build(board), 10_000, HOST_START_MILLIS=WRAP - 5000)
    samples = decode_all(lines)
    assert any(later.device_ms < earlier.device_ms for earlier, later in zip(samples, samples[1:], strict=False))
    assert np.all(np.diff(unwrapped_ms(samples)) == 5)
    assert "missed 0" in serial.splitlines()[-1]


def test_sampling_goes_on_when_only_micros_wraps(build: Build, run_virtual: Virtual) -> None:
    lines, _ = run_virtual(build(), 10_000, HOST_START_MILLIS=2**32 // 1000 - 5000)
    samples = decode_all(lines)
    assert np.all(np.diff([sample.device_ms for sample in samples]) == 5)
    assert len(samples) > 1800


def test_stall_leaves_a_gap_on_the_grid_and_no_burst(build: Build, run_virtual: Virtual) -> None:
    lines, serial = run_virtual(build(), 4000, HOST_STALL_AT_MS=2000, HOST_STALL_MS=123)
    steps = np.diff([sample.device_ms for sample in decode_all(lines)])
    assert sorted(set(steps)) == [5, 125]
    assert np.count_nonzero(steps == 125) == 1
    assert "missed 24" in serial.splitlines()[-1]


@pytest.mark.parametrize("board", BOARDS)
def test_wifi_drop_is_survived(build: Build, run_virtual: Virtual, board: str) -> None:
    lines, serial = run_virtual(
        build(board), 60_000, HOST_WIFI_DROP_AT_MS=5000, HOST_WIFI_DROP_MS=20_000, HOST_START_MILLIS=WRAP - 15_000
    )
    samples = decode_all(lines)
    steps = np.diff(unwrapped_ms(samples))
    gaps = steps[steps != 5]
    assert len(gaps) == 1
    # 20 s without a link, then at most a retry period and the time that connecting takes; the UNO R4's begin()
    # blocks for up to 8 s before the retry period starts.
    blocked_ms = 8000 if board == "ARDUINO_UNOR4_WIFI" else 0
    assert 20_000 <= gaps[0] <= 20_000 + blocked_ms + 10_000 + 1000
    assert np.all(steps % 5 == 0)
    assert len(samples) > 4000
    assert serial.count("WiFi: connected") == 2
    assert serial.count("WiFi: connecting to") >= 3


def test_refused_access_point_is_tried_again(build: Build, run_virtual: Virtual) -> None:
    lines, serial = run_virtual(build(), 40_000, HOST_WIFI_REFUSED_ATTEMPTS=2)
    assert len(lines) > 3000
    assert "connection failed, check ssid and pass" in serial
    assert serial.count("WiFi: connecting to") == 3


def test_unedited_address_is_reported_and_nothing_is_sent(build: Build, run_virtual: Virtual) -> None:
    lines, serial = run_virtual(build(), 3000, HOST_REMOTE_IP="")
    assert lines == []
    assert "remoteIp is no address" in serial


def test_serial_shows_state_and_data_but_never_the_password(build: Build, run_virtual: Virtual) -> None:
    _, serial = run_virtual(build(), 3500)
    assert "serial 115200 baud" in serial
    assert "WiFi: connected" in serial
    assert re.search(r"sent \d+ failed 0 missed 0 last 21,\d+,\d+,\d+,\d+,\d+\n", serial)
    assert "YOUR_WIFI_PASSWORD" not in serial
    assert max(len(line) for line in serial.splitlines()) < 120


@pytest.mark.parametrize("board", BOARDS)
def test_datagrams_of_a_real_run_arrive_in_order_at_the_rate(build: Build, board: str) -> None:
    datagrams, _ = receive_run(build(board), 2500, HOST_START_MILLIS=WRAP - 1500)
    samples = [decode_one(datagram) for datagram in datagrams]
    device_ms = unwrapped_ms(samples)
    assert device_ms[0] < WRAP <= device_ms[-1]
    assert np.all(sample_numbers(samples, 1024 if board == "ESP8266" else 4096) == 1)
    assert np.all((device_ms - device_ms[0]) % 5 == 0)
    # A busy machine makes the host miss moments; it must not make the sketch send more than the schedule has.
    due = (device_ms[-1] - device_ms[0]) // 5 + 1
    assert 0.8 * due <= len(samples) <= due


def test_real_run_goes_on_after_a_wifi_drop(build: Build) -> None:
    binary = build("ARDUINO_ARCH_ESP32", "-DWIFI_RETRY_MS=500")
    datagrams, serial = receive_run(binary, 3500, HOST_WIFI_DROP_AT_MS=1000, HOST_WIFI_DROP_MS=300)
    samples = [decode_one(datagram) for datagram in datagrams]
    assert serial.count("WiFi: connected") == 2
    assert max(np.diff(unwrapped_ms(samples))) >= 300
    assert samples[-1].device_ms > 3000


def test_sanitizers_find_nothing(build: Build, run_virtual: Virtual, sanitizers: tuple[str, ...]) -> None:
    binary = build("ARDUINO_ARCH_ESP32", *sanitizers, "-DCHANNELS=6")
    lines, _ = run_virtual(
        binary, 40_000, HOST_START_MILLIS=WRAP - 10_000, HOST_WIFI_DROP_AT_MS=5000, HOST_WIFI_DROP_MS=1000
    )
    assert len(decode_all(lines)) > 4000
