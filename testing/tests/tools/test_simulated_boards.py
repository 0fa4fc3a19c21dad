"""Simulated boards: binary datagrams whose bytes, times, sequence and tags are those of the wire format."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sending
import simulate_arduinodata
import simulated_boards
import udpsim

from semg.recordings.csv_format import load_recording
from semg.settings import PROJECT_DIR, Settings
from semg.simulation import sample_sources
from semg.simulation.board_encoder import BoardEncoder, in_blocks
from semg.simulation.sample_sources import Chunk, Network, SimulationError
from semg.wire.udp2 import DatagramV2, Key, decode_v2, encode_v2
from testing.kits.recording_kit import write_recording

pytestmark = pytest.mark.slow
SECRET = bytes(range(32))
GOLDEN = json.loads((PROJECT_DIR / "testing/tests/golden/v2.json").read_text())


class FakeTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def counting(n: int, rate_hz: float, channels: int = 2, start_ms: int = 0) -> Iterator[Chunk]:
    """Samples whose first channel is their number, in chunks of 100."""
    blocks = (np.arange(at, min(at + 100, n)) for at in range(0, n, 100))
    return sample_sources.from_arrays(
        (np.repeat(block[:, None], channels, axis=1) for block in blocks), rate_hz, start_ms
    )


def send_boards(
    sources: dict[int, Iterator[Chunk]], boot_id: int = 5, **options: Any
) -> tuple[list[tuple[float, DatagramV2]], sending.Tally]:
    """Stream on the fake clock: (moment, verified and decoded datagram) of everything sent."""
    time, key = FakeTime(), Key(SECRET)
    sent: list[tuple[float, DatagramV2]] = []

    def send(datagram: bytes) -> None:
        assert key.signs(datagram)
        sent.append((time.now_s, decode_v2(datagram)))

    encoder = BoardEncoder(dict.fromkeys(sources, SECRET), boot_id)
    tally = sending.stream(sources, send, encode=encoder, in_blocks=True, clock=time.clock, sleep=time.sleep, **options)
    return sent, tally


def test_golden_datagrams_come_out_of_the_encoder() -> None:
    plain = [entry for entry in GOLDEN if "flags" not in entry]
    assert len(plain) == 2
    for entry in plain:
        encoder = BoardEncoder({entry["board_id"]: bytes.fromhex(entry["key"])}, entry["boot_id"])
        samples = np.array(entry["samples"], np.float32)
        offset_s = entry["device_us"] / 1e6 + np.arange(len(samples)) * entry["period_ns"] / 1e9
        encoder._boards[entry["board_id"]].sequence = entry["sequence"]
        encoder._boards[entry["board_id"]].started_us = 0
        chunk = Chunk(offset_s, np.zeros(len(samples), np.int64), samples, period_ns=entry["period_ns"])
        assert [datagram.hex() for datagram in encoder(entry["board_id"], chunk)] == [entry["datagram"]]


def test_encoder_gives_the_bytes_of_the_wire_format_and_wraps_its_sequence() -> None:
    encoder = BoardEncoder({7: SECRET, 8: SECRET}, 42)
    encoder._boards[7].sequence = 2**32 - 1
    for sequence in (2**32 - 1, 0, 1):
        samples = np.array([[2048, -1], [32767, -32767]], np.float32)
        chunk = Chunk(np.array([1.0, 1.005]), np.array([1500, 1505]), samples, period_ns=5_000_000)
        expected = DatagramV2(7, 42, sequence, 1_500_000, 5_000_000, samples.astype(np.int16))
        assert encoder(7, chunk) == [encode_v2(expected, Key(SECRET))]


@pytest.mark.parametrize("size", [1, 7, 10, 100, 168])
@pytest.mark.parametrize("rate_hz", [50.0, 200.0, 300.0, 1000.0])
def test_boards_send_every_sample_once_in_order_on_its_moment(size: int, rate_hz: float) -> None:
    sent, tally = send_boards({7: in_blocks(counting(1999, rate_hz), rate_hz, size)})
    datagrams = [datagram for _, datagram in sent]
    assert np.concatenate([d.samples[:, 0] for d in datagrams]).tolist() == list(range(1999))
    assert [d.sequence for d in datagrams] == list(range(-(-1999 // size))) == list(range(tally.sent))
    assert {len(d.samples) for d in datagrams[:-1]} <= {size}
    first = np.array([d.samples[0, 0] for d in datagrams])
    assert np.abs([d.device_us for d in datagrams] - first * 1e6 / rate_hz).max() <= 0.5
    # A datagram leaves when its last sample has been taken, not before and hardly later.
    late_s = np.array([moment for moment, _ in sent]) - np.array([d.samples[-1, 0] for d in datagrams]) / rate_hz
    assert late_s.min() >= -1e-9
    assert late_s.max() <= sending.SHORTEST_SLEEP_S + 1e-9


@pytest.mark.parametrize(("rate_hz", "channels", "expected"), [(50.0, 4, 1), (200.0, 8, 4), (2000.0, 16, 40)])
def test_default_block_is_20_ms(rate_hz: float, channels: int, expected: int) -> None:
    chunk = next(in_blocks(counting(1000, rate_hz, channels), rate_hz))
    assert (len(chunk.samples), chunk.period_ns) == (expected, round(1e9 / rate_hz))


@pytest.mark.parametrize("samples", [0, 85, 256])
def test_block_that_no_datagram_holds_is_refused(samples: int) -> None:
    with pytest.raises(SimulationError, match="between 1 and 84 with 8 channels"):
        next(in_blocks(counting(1000, 200.0, channels=8), 200.0, samples))


def test_device_clock_does_not_wrap_with_the_32_bit_counter() -> None:
    sent, _ = send_boards({7: in_blocks(counting(40, 200.0, start_ms=2**32 - 50), 200.0, 4)})
    assert [d.device_us for _, d in sent] == [(2**32 - 50 + 20 * i) * 1000 for i in range(10)]


def test_gap_of_a_recording_ends_a_datagram(tmp_path: Path) -> None:
    path = tmp_path / "gap.csv"
    millis = np.concatenate([1000 + 5 * np.arange(33), 3000 + 5 * np.arange(30)])
    samples = np.column_stack([np.arange(63), -np.arange(63)])
    write_recording(path, samples, millis, ["rest"] * 63, np.ones(63, int))
    source = in_blocks(sample_sources.from_recording(load_recording(path)), 200.0, 10)
    datagrams = [datagram for _, datagram in send_boards({7: source})[0]]
    assert [len(d.samples) for d in datagrams] == [10, 10, 10, 3, 10, 10, 10]
    assert [d.device_us for d in datagrams] == [
        1_000_000,
        1_050_000,
        1_100_000,
        1_150_000,
        3_000_000,
        3_050_000,
        3_100_000,
    ]


def test_loss_takes_whole_datagrams_and_their_sequence() -> None:
    runs = [
        send_boards({7: in_blocks(counting(8000, 200.0), 200.0, 4)}, network=Network(loss=0.1, seed=seed))
        for seed in (3, 3, 4)
    ]
    sequences = [[datagram.sequence for _, datagram in sent] for sent, _ in runs]
    assert sequences[0] == sequences[1] != sequences[2]
    assert len(sequences[0]) + runs[0][1].dropped_on_purpose == 2000
    assert 120 < runs[0][1].dropped_on_purpose < 280
    assert all(datagram.samples[0, 0] == 4 * datagram.sequence for _, datagram in runs[0][0])


@pytest.mark.parametrize("network", [Network(reorder=0.1), Network(jitter_ms=80)])
def test_disorder_of_boards_loses_nothing(network: Network) -> None:
    sent, _ = send_boards({7: in_blocks(counting(4000, 200.0), 200.0, 4)}, network=network)
    sequences = [datagram.sequence for _, datagram in sent]
    assert sorted(sequences) == list(range(1000))
    assert sequences != sorted(sequences)


def test_values_that_16_bits_cannot_hold_are_refused() -> None:
    for value in (0.5, 40000.0, np.nan):
        with pytest.raises(SimulationError, match="use --protocol v1"):
            BoardEncoder({7: SECRET}, 1)(7, Chunk(np.zeros(1), np.zeros(1, np.int64), np.array([[value]]), 5_000_000))


def options_of(*arguments: str) -> argparse.Namespace:
    return udpsim.parse_arguments(Settings(_env_file=None), ["--protocol", "v2", *arguments])


def test_keys_come_from_a_file_and_users_are_consecutive_boards(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    secrets = {str(board): bytes([board] * 32).hex() for board in (7, 8, 9)}
    keys.write_text(json.dumps(secrets))
    options = options_of("--users", "3", "--board-id", "7", "--keys-file", str(keys), "--boot-id", "9")
    sources = udpsim.make_sources(options, options.ids)
    assert list(sources) == [7, 8, 9]
    for board_id, source in sources.items():
        (datagram,) = options.encoder(board_id, next(source))
        assert Key(bytes([board_id] * 32)).signs(datagram)
        assert (decode_v2(datagram).board_id, decode_v2(datagram).boot_id) == (board_id, 9)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--key-hex", "00" * 32], "needs --board-id"),
        (["--board-id", "7"], "either --key-hex or --keys-file"),
        (["--board-id", "7", "--key-hex", "00" * 31], "64 hexadecimal digits"),
        (["--board-id", "7", "--key-hex", "xy" * 32], "64 hexadecimal digits"),
        (["--board-id", "7", "--keys-file", "/nowhere/keys.json"], "is no JSON of the form"),
        (["--board-id", "7", "--key-hex", "00" * 32, "--boot-id", "-1"], "--boot-id must lie between"),
    ],
)
def test_missing_or_wrong_board_options_are_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for parse in (udpsim.parse_arguments, simulate_arduinodata.parse_arguments):
        with pytest.raises(SystemExit):
            parse(Settings(_env_file=None), ["--protocol", "v2", *arguments])
        assert sentence in capsys.readouterr().err


def test_file_without_the_boards_key_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"7": "00" * 32}))
    with pytest.raises(SystemExit):
        options_of("--users", "2", "--board-id", "7", "--keys-file", str(keys))
    assert "no key for board 8" in capsys.readouterr().err


def test_boot_id_grows_without_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    boots = []
    for now_s in (1_800_000_000.2, 1_800_000_001.4):
        monkeypatch.setattr(simulated_boards.time, "time", lambda now_s=now_s: now_s)
        boots.append(options_of("--board-id", "7", "--key-hex", SECRET.hex()).encoder.boot_id)
    assert boots == [1_800_000_000, 1_800_000_001]


@pytest.mark.parametrize(("program", "channels"), [("udpsim.py", 8), ("simulate_arduinodata.py", 4)])
def test_program_sends_verifiable_datagrams_and_prints_its_summary(program: str, channels: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.5)
        where = ["--host", "127.0.0.1", "--port", str(receiver.getsockname()[1])]
        board = ["--protocol", "v2", "--board-id", "7", "--key-hex", SECRET.hex(), "--samples-per-datagram", "10"]
        done = subprocess.run(
            [sys.executable, program, *where, *board, "--seconds", "1"],
            cwd=PROJECT_DIR / "testing",
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr.count("\n")) == (0, 1)
        summary = json.loads(done.stdout)
        received = [receiver.recv(2048) for _ in range(summary["sent"])]
    assert summary["boards"] == [7]
    assert all(Key(SECRET).signs(datagram) for datagram in received)
    decoded = [decode_v2(datagram) for datagram in received]
    assert [d.sequence for d in decoded] == list(range(20))
    assert [d.device_us for d in decoded] == [50_000 * i for i in range(20)]
    assert {d.samples.shape for d in decoded} == {(10, channels)}
    assert np.concatenate([d.samples for d in decoded]).std() > 0


def test_two_boards_have_their_own_sequences() -> None:
    sent, _ = send_boards({board: in_blocks(counting(400, 200.0), 200.0, 4) for board in (7, 8)}, spread_s=0.004)
    by_board: dict[int, list[int]] = defaultdict(list)
    for _, datagram in sent:
        by_board[datagram.board_id].append(datagram.sequence)
    assert by_board == {7: list(range(100)), 8: list(range(100))}
