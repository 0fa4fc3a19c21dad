"""The committed sketch with a board number and key, compiled unchanged for the host: its binary datagrams."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from semg.settings import PROJECT_DIR
from semg.wire.udp2 import MAX_PERIOD_NS, MIN_PERIOD_NS, DatagramV2, Flag, Key, decode_v2

pytestmark = pytest.mark.firmware

BOARDS = ("ARDUINO_ARCH_ESP32", "ARDUINO_UNOR4_WIFI", "ESP8266")
TIMED_BOARDS = BOARDS[:2]
CHANNELS = {"ARDUINO_ARCH_ESP32": 4, "ARDUINO_UNOR4_WIFI": 4, "ESP8266": 1}
ADC_RANGE = {"ARDUINO_ARCH_ESP32": 4096, "ARDUINO_UNOR4_WIFI": 4096, "ESP8266": 1024}
BLOCK_SAMPLES = {"ARDUINO_ARCH_ESP32": 4, "ARDUINO_UNOR4_WIFI": 8, "ESP8266": 4}
BOARD_ID = 1_099_511_627_781
SECRET = bytes(range(32))
V2 = (f"-DBOARD_ID={BOARD_ID}", f'-DBOARD_KEY="{SECRET.hex()}"')
MICROS_WRAP_MS = 2**32 // 1000
Virtual = Callable[..., tuple[list[str], str]]
Build = Callable[..., Path]


class Run(NamedTuple):
    """What a run sent, verified and decoded, and its serial output."""

    datagrams: list[DatagramV2]
    serial: str

    @property
    def numbers(self) -> np.ndarray:
        """The running sample number that the host's ADC gives in channel 0."""
        return np.concatenate([datagram.samples[:, 0] for datagram in self.datagrams]).astype(int)

    @property
    def device_us(self) -> np.ndarray:
        """When each sample was taken, by the first sample of its datagram and the period."""
        return np.concatenate(
            [d.device_us + np.arange(len(d.samples)) * d.period_ns / 1000 for d in self.datagrams]
        ).astype(float)

    @property
    def last_report(self) -> dict[str, int]:
        lines = [line for line in self.serial.splitlines() if line.startswith("sent ")]
        return {name: int(count) for name, count in re.findall(r"(sent|failed|missed|unsent) (\d+)", lines[-1])}


def verified(datagrams: list[bytes]) -> list[DatagramV2]:
    key = Key(SECRET)
    assert all(key.signs(datagram) for datagram in datagrams)
    return [decode_v2(datagram) for datagram in datagrams]


@pytest.fixture
def run_v2(build: Build, run_virtual: Virtual) -> Callable[..., Run]:
    """Return a function that builds the sketch with a key and runs it on the virtual clock."""

    def run(board: str, run_ms: int, *options: str, **environment: str | int) -> Run:
        lines, serial = run_virtual(build(board, *V2, *options), run_ms, HOST_UDP_HEX=1, **environment)
        return Run(verified([bytes.fromhex(line) for line in lines]), serial)

    return run


def assert_whole(run: Run, board: str) -> None:
    """Nothing lost, nothing doubled, nothing out of order."""
    assert [datagram.sequence for datagram in run.datagrams] == list(range(len(run.datagrams)))
    assert np.all(np.diff(run.numbers) % ADC_RANGE[board] == 1)
    assert not any(Flag.MISSED in datagram.flags for datagram in run.datagrams)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("protocol", [1, 2])
def test_both_protocols_compile_without_warnings_with_a_key(build: Build, board: str, protocol: int) -> None:
    assert build(board, *V2, f"-DPROTOCOL={protocol}").stat().st_size > 0


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("options", [(), V2], ids=["v1", "v2"])
def test_sketch_is_also_the_older_language_of_old_board_packages(
    compiler: str, board: str, options: tuple[str, ...]
) -> None:
    arduino = PROJECT_DIR / "arduino"
    command = [compiler, "-std=c++11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-D{board}", *options]
    command += [f"-I{arduino / 'host'}", "-x", "c++", str(arduino / "arduinocode.ino")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (('-DBOARD_KEY="abc"', "-DBOARD_ID=7"), "BOARD_KEY must be 64 hexadecimal digits"),
        ((f'-DBOARD_KEY="{"0" * 63}x"', "-DBOARD_ID=7"), "BOARD_KEY must be 64 hexadecimal digits"),
        (("-DBOARD_ID=7",), "BOARD_KEY must be 64 hexadecimal digits"),
        (("-DPROTOCOL=2",), "binary v2 needs the BOARD_ID"),
        (("-DPROTOCOL=3",), "PROTOCOL must be 1 (text) or 2 (binary)"),
    ],
)
def test_wrong_board_settings_do_not_compile_and_say_why(
    compiler: str, options: tuple[str, ...], sentence: str
) -> None:
    arduino = PROJECT_DIR / "arduino"
    command = [compiler, "-std=c++17", "-fsyntax-only", "-DARDUINO_ARCH_ESP32", *options, f"-I{arduino / 'host'}"]
    done = subprocess.run([*command, "-x", "c++", str(arduino / "arduinocode.ino")], capture_output=True, text=True)
    assert done.returncode != 0
    assert sentence in done.stderr


@pytest.mark.parametrize("board", BOARDS)
def test_every_datagram_verifies_and_no_sample_is_lost(run_v2: Callable[..., Run], board: str) -> None:
    run = run_v2(board, 60_000)
    assert_whole(run, board)
    assert {datagram.board_id for datagram in run.datagrams} == {BOARD_ID}
    assert {datagram.period_ns for datagram in run.datagrams} == {5_000_000}
    assert {datagram.samples.shape for datagram in run.datagrams} == {(BLOCK_SAMPLES[board], CHANNELS[board])}
    assert len(run.numbers) > 11_900 - 8
    # The other channels are known functions of the sample's number.
    assert all(
        np.all((d.samples[:, c] - d.samples[:, 0] * (2 * c + 1) - 97 * c) % ADC_RANGE[board] == 0)
        for d in run.datagrams
        for c in range(1, CHANNELS[board])
    )


@pytest.mark.parametrize("board", BOARDS)
def test_device_clock_goes_on_when_micros_wraps(run_v2: Callable[..., Run], board: str) -> None:
    run = run_v2(board, 10_000, HOST_START_MILLIS=MICROS_WRAP_MS - 5000)
    assert_whole(run, board)
    steps = np.diff(run.device_us)
    assert np.all(np.abs(steps - 5000) <= 40)  # a turn of the host's loop is 37 us
    assert run.device_us[0] < 2**32 < run.device_us[-1]


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("rate_hz", [50, 128, 300, 1000])
def test_device_clock_does_not_drift_from_the_rate(run_v2: Callable[..., Run], board: str, rate_hz: int) -> None:
    run = run_v2(board, 60_000, f"-DSAMPLE_RATE_HZ={rate_hz}")
    assert_whole(run, board)
    exact_us = run.device_us[0] + np.arange(len(run.device_us)) * 1e6 / rate_hz
    assert np.abs(run.device_us - exact_us).max() < 45
    assert run.datagrams[0].period_ns == round(1e9 / rate_hz)
    assert MIN_PERIOD_NS <= run.datagrams[0].period_ns <= MAX_PERIOD_NS


def test_device_clock_follows_a_timer_whose_period_is_off(run_v2: Callable[..., Run]) -> None:
    run = run_v2("ARDUINO_UNOR4_WIFI", 60_000, HOST_TIMER_SLOW_PPM=500)
    assert_whole(run, "ARDUINO_UNOR4_WIFI")
    true_us = run.device_us[0] + np.arange(len(run.device_us)) * 5000 * (1 + 500e-6)
    assert np.abs(run.device_us - true_us).max() < 100
    assert run.last_report["missed"] == 0


@pytest.mark.parametrize(("channels", "datagram_ms", "expected"), [(6, 20, 20), (4, 50, 50), (6, 200, 112), (1, 1, 1)])
def test_datagram_holds_what_the_delay_allows_and_1400_bytes_take(
    run_v2: Callable[..., Run], channels: int, datagram_ms: int, expected: int
) -> None:
    options = (f"-DCHANNELS={channels}", f"-DDATAGRAM_MS={datagram_ms}", "-DSAMPLE_RATE_HZ=1000")
    run = run_v2("ARDUINO_ARCH_ESP32", 5000, *options)
    assert_whole(run, "ARDUINO_ARCH_ESP32")
    assert {datagram.samples.shape for datagram in run.datagrams} == {(expected, channels)}


@pytest.mark.parametrize("board", BOARDS)
def test_boot_id_grows_with_every_start(run_v2: Callable[..., Run], board: str, tmp_path: Path) -> None:
    boots = []
    for _ in range(4):
        run = run_v2(board, 1000, HOST_NVM_FILE=str(tmp_path / "memory"))
        assert len({datagram.boot_id for datagram in run.datagrams}) == 1
        assert run.datagrams[0].sequence == 0
        boots.append(run.datagrams[0].boot_id)
    assert boots == [1, 2, 3, 4]


@pytest.mark.parametrize("board", BOARDS[1:])
def test_write_cut_off_by_a_power_failure_does_not_set_the_boot_id_back(
    run_v2: Callable[..., Run], board: str, tmp_path: Path
) -> None:
    memory = tmp_path / "memory"
    boots = []
    for at in (None, 5, 17):  # the second start wrote the place at 0, the third the one at 12
        if at is not None:
            spoilt = bytearray(memory.read_bytes())
            assert len(spoilt) > at
            spoilt[at] ^= 0xFF
            memory.write_bytes(spoilt)
        boots += [run_v2(board, 700, HOST_NVM_FILE=str(memory)).datagrams[0].boot_id for _ in range(2)]
    assert boots == [1, 2, 2, 3, 3, 4]


def test_boot_id_can_start_higher_after_the_memory_was_lost(run_v2: Callable[..., Run], tmp_path: Path) -> None:
    memory = str(tmp_path / "erased")
    boots = [
        run_v2("ARDUINO_ARCH_ESP32", 1000, "-DFIRST_BOOT_ID=500", HOST_NVM_FILE=memory).datagrams[0].boot_id
        for _ in range(2)
    ]
    assert boots == [500, 501]


@pytest.mark.parametrize("board", BOARDS)
def test_board_whose_memory_fails_says_so_and_sends_nothing(run_v2: Callable[..., Run], board: str) -> None:
    run = run_v2(board, 3000, HOST_NVM_BROKEN=1)
    assert run.datagrams == []
    assert "the boot id cannot be stored" in run.serial


@pytest.mark.parametrize("board", TIMED_BOARDS)
def test_loop_that_is_held_up_loses_no_sample_where_a_timer_takes_them(run_v2: Callable[..., Run], board: str) -> None:
    run = run_v2(board, 4000, HOST_STALL_AT_MS=2000, HOST_STALL_MS=423)
    assert_whole(run, board)
    assert np.abs(np.diff(run.device_us) - 5000).max() <= 1
    assert run.last_report["missed"] == 0


@pytest.mark.parametrize(
    ("board", "environment"), [("ESP8266", {}), *((b, {"HOST_NO_TIMER": 1}) for b in TIMED_BOARDS)]
)
def test_loop_that_takes_the_samples_leaves_a_flagged_gap_when_held_up(
    run_v2: Callable[..., Run], board: str, environment: dict[str, int]
) -> None:
    run = run_v2(board, 4000, HOST_STALL_AT_MS=2000, HOST_STALL_MS=123, **environment)
    assert "taken by the loop" in run.serial
    steps = np.diff(run.device_us)
    assert np.count_nonzero(np.abs(steps - 5000) > 1) == 1
    assert steps.max() == pytest.approx(125_000, abs=1)
    flagged = [datagram for datagram in run.datagrams if Flag.MISSED in datagram.flags]
    assert len(flagged) == 1
    assert flagged[0].device_us == run.device_us[np.argmax(steps) + 1]
    assert run.last_report["missed"] == 24
    assert [datagram.sequence for datagram in run.datagrams] == list(range(len(run.datagrams)))


@pytest.mark.parametrize("board", BOARDS)
def test_short_wifi_drop_loses_no_sample(run_v2: Callable[..., Run], board: str) -> None:
    run = run_v2(board, 20_000, "-DWIFI_RETRY_MS=200", HOST_WIFI_DROP_AT_MS=5100, HOST_WIFI_DROP_MS=300)
    assert run.serial.count("WiFi: connected") == 2
    assert run.last_report["failed"] > 0
    # The ESP8266's samples are taken by the loop, which the drop does not hold up.
    assert_whole(run, board)
    assert np.all(np.abs(np.diff(run.device_us) - 5000) <= 1)


@pytest.mark.parametrize("board", BOARDS)
def test_long_wifi_drop_is_one_flagged_gap_and_nothing_stale(run_v2: Callable[..., Run], board: str) -> None:
    run = run_v2(board, 60_000, HOST_WIFI_DROP_AT_MS=5100, HOST_WIFI_DROP_MS=20_000)
    numbers, steps = run.numbers, np.diff(run.device_us)
    gaps = np.flatnonzero(np.abs(steps - 5000) > 1)
    assert len(gaps) == 1
    assert 19_000_000 < steps[gaps[0]] < 40_000_000
    flagged = [datagram for datagram in run.datagrams if Flag.MISSED in datagram.flags]
    assert [datagram.device_us for datagram in flagged] == [run.device_us[gaps[0] + 1]]
    # What the board waited for in vain has used up at most the sequence of the datagram that it tried to send.
    sequences = np.diff([datagram.sequence for datagram in run.datagrams])
    assert sorted(sequences)[:-1] == [1] * (len(sequences) - 1)
    assert max(sequences) <= 2
    report = run.last_report
    lost = report["missed"] + report["unsent"]
    assert lost == pytest.approx(steps[gaps[0]] / 5000 - 1, abs=1)
    assert np.all(np.diff(numbers[: gaps[0] + 1]) % ADC_RANGE[board] == 1)


@pytest.mark.parametrize("board", BOARDS)
def test_values_at_the_ends_of_the_converter_are_flagged(run_v2: Callable[..., Run], board: str) -> None:
    top = ADC_RANGE[board] - 1
    for below, ends in ((1, (0, top)), (0, (top,))):
        run = run_v2(board, 30_000, f"-DCLIP_BELOW={below}")
        for datagram in run.datagrams:
            at_end = np.isin(datagram.samples, ends).any(axis=0)
            assert datagram.clipping == sum(1 << channel for channel in np.flatnonzero(at_end))
            assert (Flag.CLIPPING in datagram.flags) == bool(at_end.any())
        assert any(datagram.clipping for datagram in run.datagrams)
        assert not all(datagram.clipping for datagram in run.datagrams)


def test_own_functions_for_electrodes_and_battery_replace_the_sketchs(
    build: Build, run_v2: Callable[..., Run], tmp_path: Path
) -> None:
    plain = run_v2("ARDUINO_ARCH_ESP32", 1000)
    assert {(d.lead_off, d.battery_percent) for d in plain.datagrams} == {(0, 255)}
    hooks = tmp_path / "my_board.cpp"
    hooks.write_text(
        "#include <stdint.h>\nuint16_t leadOffBits() { return 5; }\nuint8_t batteryPercent() { return 9; }\n"
    )
    own = run_v2("ARDUINO_ARCH_ESP32", 1000, str(hooks))
    assert {(d.lead_off, d.battery_percent) for d in own.datagrams} == {(5, 9)}
    assert all(Flag.LEAD_OFF | Flag.BATTERY_LOW in datagram.flags for datagram in own.datagrams)


def test_serial_shows_state_and_data_but_neither_key_nor_password(run_v2: Callable[..., Run]) -> None:
    run = run_v2("ARDUINO_ARCH_ESP32", 3500, "-DCHANNELS=6")
    assert f"board {BOARD_ID} boot 1: 200 Hz, 6 channels, 4 samples a datagram, by a timer" in run.serial
    assert re.search(r"sent \d+ failed 0 missed 0 unsent 0 last \d+(,\d+){5}\n", run.serial)
    assert SECRET.hex() not in run.serial
    assert "YOUR_WIFI_PASSWORD" not in run.serial
    assert max(len(line) for line in run.serial.splitlines()) < 120


@pytest.mark.parametrize("rate_hz", [200, 1000])
@pytest.mark.parametrize("board", BOARDS)
def test_datagrams_of_a_real_run_arrive_whole(build: Build, board: str, rate_hz: int, tmp_path: Path) -> None:
    binary = build(board, *V2, f"-DSAMPLE_RATE_HZ={rate_hz}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.3)
        variables = {
            "HOST_REMOTE_IP": "127.0.0.1",
            "HOST_REMOTE_PORT": str(receiver.getsockname()[1]),
            "HOST_LOCAL_PORT": "0",
            "HOST_RUN_MS": "2500",
            "HOST_START_MILLIS": str(MICROS_WRAP_MS - 1500),
            "HOST_NVM_FILE": str(tmp_path / "nvm"),
        }
        done = subprocess.run([str(binary)], env=variables, capture_output=True, text=True, timeout=30, check=True)
        received = []
        try:
            while True:
                received.append(receiver.recv(2048))
        except TimeoutError:
            pass
    run = Run(verified(received), done.stdout)
    assert [datagram.sequence for datagram in run.datagrams] == list(range(len(run.datagrams)))
    # The timer is a thread that interrupts the loop. A busy machine makes it late, and what it then misses is no
    # sample at all; a number that is lost or doubled would be one on the way from the timer to the datagram.
    numbers = run.numbers
    steps = np.diff(numbers) % ADC_RANGE[board]
    assert np.all(steps == 1)
    device_us = run.device_us
    assert np.all(np.diff(device_us) > 0)
    assert device_us[0] < 2**32 < device_us[-1]
    due = (device_us[-1] - device_us[0]) / 1e6 * rate_hz + 1
    assert 0.3 * due <= len(numbers) <= due + 1
    flagged = [datagram.device_us for datagram in run.datagrams if Flag.MISSED in datagram.flags]
    assert set(device_us[1:][np.diff(device_us) > 1.6e6 / rate_hz]) <= set(flagged)


@pytest.mark.parametrize("board", BOARDS)
def test_sanitizers_find_nothing_in_the_binary_protocol(
    run_v2: Callable[..., Run], sanitizers: tuple[str, ...], board: str
) -> None:
    run = run_v2(
        board, 40_000, *sanitizers, "-DCHANNELS=6", "-DSAMPLE_RATE_HZ=1000",
        HOST_START_MILLIS=MICROS_WRAP_MS - 10_000, HOST_WIFI_DROP_AT_MS=5000, HOST_WIFI_DROP_MS=1000,
    )  # fmt: skip
    assert len(run.numbers) > 10_000


@pytest.mark.parametrize("board", TIMED_BOARDS)
def test_timer_and_loop_share_nothing_unguarded(build: Build, thread_sanitizer: tuple[str, ...], board: str) -> None:
    variables = {"HOST_REMOTE_IP": "127.0.0.1", "HOST_REMOTE_PORT": "9", "HOST_LOCAL_PORT": "0", "HOST_RUN_MS": "1500"}
    binary = build(board, *V2, *thread_sanitizer, "-DSAMPLE_RATE_HZ=1000")
    done = subprocess.run([str(binary)], env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "by a timer" in done.stdout
