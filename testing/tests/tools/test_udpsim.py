"""The UDP simulator: what it sends, when, over which network, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sending
import udpsim
from hypothesis import given
from hypothesis import strategies as st

from semg.recordings.csv_format import load_recording
from semg.settings import PROJECT_DIR, Settings
from semg.simulation import sample_sources
from semg.simulation.sample_sources import Chunk, Network, SimulationError
from semg.wire.udp import SampleV1, encode_v1
from testing.kits.recording_kit import write_recording
from testing.kits.texts import decode_one

pytestmark = pytest.mark.slow
TESTING = PROJECT_DIR / "testing"
LATEST_S = sending.SHORTEST_SLEEP_S + 1e-9


class FakeTime:
    """A clock that moves only when somebody sleeps, or is made to jump."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def counting(n: int, rate_hz: float, channels: int = 2, start_ms: int = 0) -> Iterator[Chunk]:
    """Samples whose first channel is their number."""
    blocks = (np.arange(at, min(at + 100, n)) for at in range(0, n, 100))
    return sample_sources.from_arrays(
        (np.repeat(block[:, None], channels, axis=1) for block in blocks), rate_hz, start_ms
    )


def send_all(
    sources: dict[int, Iterator[Chunk]], **options: object
) -> tuple[list[tuple[float, SampleV1]], sending.Tally]:
    """Stream on the fake clock: (moment, decoded) of everything sent."""
    time = FakeTime()
    sent: list[tuple[float, SampleV1]] = []
    started = time.now_s
    tally = sending.stream(
        sources,
        lambda datagram: sent.append((time.now_s - started, decode_one(datagram))),
        clock=time.clock,
        sleep=time.sleep,
        **options,  # type: ignore[arg-type]
    )
    return sent, tally


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "five.csv.gz"
    samples = np.column_stack([np.arange(50), -np.arange(50), np.full(50, 7)])
    write_recording(path, samples, 1000 + 5 * np.arange(50), ["rest"] * 50, np.ones(50, int))
    return path


def test_every_sample_is_sent_once_in_order_on_its_moment() -> None:
    sent, tally = send_all({21: counting(2000, 200.0)})
    assert [sample.values[0] for _, sample in sent] == list(range(2000))
    assert [sample.device_ms for _, sample in sent] == list(range(0, 10_000, 5))
    late_s = np.array([moment for moment, _ in sent]) - np.arange(2000) / 200
    assert late_s.min() >= -1e-9
    assert late_s.max() <= LATEST_S
    assert (tally.sent, tally.dropped_on_purpose) == (2000, 0)


def test_stall_is_caught_up_with_exactly_what_became_due() -> None:
    time = FakeTime()
    moments: list[float] = []

    def send(_: bytes) -> None:
        moments.append(time.now_s - 100.0)
        if len(moments) == 100:
            time.now_s += 1.0

    sending.stream({21: counting(1000, 200.0)}, send, clock=time.clock, sleep=time.sleep)
    at = np.array(moments)
    due = np.arange(1000) / 200
    # Nothing early, and back on the schedule as soon as what was due has been sent.
    assert np.all(at >= due - 1e-9)
    assert np.all(at[301:] - due[301:] <= LATEST_S)
    assert np.count_nonzero(np.abs(at - at[100]) < 1e-9) in (199, 200, 201)


@pytest.mark.parametrize("rate_hz", [50.0, 128.0, 300.0, 1000.0])
def test_synthetic_device_time_does_not_drift(rate_hz: float) -> None:
    n = int(rate_hz * 60)
    offset_s, device_ms = sample_sources.sample_times(0, n, rate_hz)
    assert np.all(device_ms == [(number * 1000) // int(rate_hz) for number in range(n)])
    assert offset_s[-1] == pytest.approx((n - 1) / rate_hz)


def test_device_time_wraps_at_32_bits() -> None:
    sent, _ = send_all({21: counting(10, 200.0, start_ms=2**32 - 10)})
    assert [sample.device_ms for _, sample in sent][:4] == [2**32 - 10, 2**32 - 5, 0, 5]


def test_seconds_limits_the_samples_exactly() -> None:
    sent, _ = send_all({21: counting(5000, 200.0)}, seconds=2.5)
    assert len(sent) == 500


def test_recording_is_sent_with_its_own_millis_and_values(recording: Path) -> None:
    sent, _ = send_all({21: sample_sources.from_recording(load_recording(recording))})
    assert [sample.device_ms for _, sample in sent] == list(range(1000, 1250, 5))
    assert [sample.values for _, sample in sent] == [(float(i), float(-i), 7.0) for i in range(50)]


def test_loop_continues_millis(recording: Path) -> None:
    source = sample_sources.from_recording(load_recording(recording), loop=True)
    sent, _ = send_all({21: source}, seconds=0.75)
    assert [sample.device_ms for _, sample in sent] == list(range(1000, 1750, 5))
    assert [sample.values[0] for _, sample in sent] == [float(i % 50) for i in range(150)]


def test_recording_at_another_rate_is_stretched(recording: Path) -> None:
    sent, _ = send_all({21: sample_sources.from_recording(load_recording(recording), rate_hz=100.0, channels=2)})
    assert [sample.device_ms for _, sample in sent] == list(range(1000, 1500, 10))
    assert {len(sample.values) for _, sample in sent} == {2}


def test_users_get_their_own_samples_spread_over_the_period() -> None:
    sources = {user_id: counting(200, 200.0, channels=1, start_ms=user_id) for user_id in (21, 22, 40)}
    sent, tally = send_all(sources, spread_s=0.003)
    by_user: dict[int, list[tuple[float, SampleV1]]] = defaultdict(list)
    for moment, sample in sent:
        by_user[sample.user_id].append((moment, sample))
    assert tally.sent == 600
    for index, user_id in enumerate((21, 22, 40)):
        assert [sample.values[0] for _, sample in by_user[user_id]] == list(range(200))
        assert by_user[user_id][0][1].device_ms == user_id
        late_s = np.array([moment for moment, _ in by_user[user_id]]) - np.arange(200) / 200 - index * 0.001
        assert late_s.min() >= -1e-9
        assert late_s.max() <= LATEST_S


def test_loss_is_counted_and_the_same_for_the_same_seed() -> None:
    runs = [send_all({21: counting(2000, 200.0)}, network=Network(loss=0.1, seed=seed)) for seed in (3, 3, 4)]
    numbers = [[sample.values[0] for _, sample in sent] for sent, _ in runs]
    assert numbers[0] == numbers[1] != numbers[2]
    for sent, tally in runs:
        assert tally.sent == len(sent)
        assert tally.sent + tally.dropped_on_purpose == 2000
        assert 120 < tally.dropped_on_purpose < 280


def test_losing_everything_ends_without_sending() -> None:
    sent, tally = send_all({21: counting(300, 200.0)}, network=Network(loss=1.0))
    assert sent == []
    assert tally.dropped_on_purpose == 300


def test_jitter_delays_within_its_bound_and_loses_nothing() -> None:
    sent, _ = send_all({21: counting(1000, 200.0)}, network=Network(jitter_ms=20.0))
    numbers = [int(sample.values[0]) for _, sample in sent]
    delay_s = np.array([moment for moment, _ in sent]) - np.array(numbers) / 200
    assert sorted(numbers) == list(range(1000))
    assert numbers != sorted(numbers)
    assert delay_s.min() >= -1e-9
    assert 0.015 < delay_s.max() <= 0.02 + LATEST_S


def test_reorder_exchanges_neighbours_and_loses_nothing() -> None:
    sent, _ = send_all({21: counting(1000, 200.0)}, network=Network(reorder=0.05))
    numbers = np.array([int(sample.values[0]) for _, sample in sent])
    assert sorted(numbers) == list(range(1000))
    assert 20 < np.count_nonzero(np.diff(numbers) < 0) < 90


@given(
    st.integers(0, 2**40),
    st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), min_size=1, max_size=5),
    st.booleans(),
)
def test_fast_encoder_gives_the_bytes_of_the_wire_format(start_ms: int, rows: list[list[float]], whole: bool) -> None:
    samples = np.array(rows, np.float32)
    if whole:
        samples = np.rint(samples)
    chunk = Chunk(np.zeros(len(rows)), start_ms + np.arange(len(rows)), samples)
    expected = [encode_v1(21, start_ms + i, row) for i, row in enumerate(samples.tolist())]
    assert sample_sources.encode_text(21, chunk) == expected


def test_golden_datagrams_come_out_of_the_simulator() -> None:
    for golden in json.loads((PROJECT_DIR / "testing/tests/golden/v1.json").read_text()):
        chunk = Chunk(np.zeros(1), np.array([golden["device_ms"]]), np.array([golden["values"]], np.float32))
        assert sample_sources.encode_text(golden["user_id"], chunk) == [golden["datagram"].encode()]


@pytest.mark.parametrize(("users", "expected"), [("1", [21]), ("3", [21, 22, 23]), ("34,21", [34, 21]), ("7,", [7])])
def test_users_are_a_count_or_a_list(users: str, expected: list[int]) -> None:
    assert udpsim.user_ids(21, users) == expected


@pytest.mark.parametrize("users", ["0", "-1", "x", "", ",", "3,3", "-4,5"])
def test_senseless_users_are_refused(users: str) -> None:
    with pytest.raises(SimulationError, match="--users"):
        udpsim.user_ids(21, users)


def test_defaults_come_from_the_settings() -> None:
    settings = Settings(_env_file=None, dest_ip="192.0.2.7", user_id=34, udp_port=9999)
    options = udpsim.parse_arguments(settings, [])
    assert (options.host, options.user_id, options.port, options.ids) == ("192.0.2.7", 34, 9999, [34])


@pytest.mark.parametrize(
    "arguments", [["--port", "0"], ["--loss", "1.5"], ["--rate-hz", "20"], ["--channels", "17"], ["--seed", "-1"]]
)
def test_values_out_of_range_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        udpsim.parse_arguments(Settings(_env_file=None), arguments)
    assert ended.value.code == 2
    assert arguments[0].strip("-").replace("-", "_") in capsys.readouterr().err.replace("-", "_")


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(20)
        yield opened


@pytest.fixture
def start(receiver: socket.socket) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Yield a function that starts a program of testing/ from its own folder, sending to ``receiver``."""
    running: list[subprocess.Popen[str]] = []

    def run(program: str, *arguments: str) -> subprocess.Popen[str]:
        where = ["--host", "127.0.0.1", "--port", str(receiver.getsockname()[1])]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIR), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, program, *where, *arguments],
            cwd=TESTING,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def drain(receiver: socket.socket) -> list[SampleV1]:
    receiver.settimeout(0.2)
    got = []
    try:
        while True:
            got.append(decode_one(receiver.recv(2048)))
    except TimeoutError:
        return got


def test_udpsim_runs_from_its_folder_and_prints_its_summary(
    receiver: socket.socket, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("udpsim.py", "--users", "2", "--user-id", "30", "--seconds", "1.5", "--channels", "3")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err.count("\n")) == (0, 1)
    summary = json.loads(out)
    samples = drain(receiver)
    assert summary["sent"] == len(samples) == 600
    assert summary["dropped_on_purpose"] == 0
    assert summary["users"] == [30, 31]
    for user_id in (30, 31):
        mine = [sample for sample in samples if sample.user_id == user_id]
        assert [sample.device_ms for sample in mine] == list(range(0, 1500, 5))
        assert {len(sample.values) for sample in mine} == {3}
    first, second = ([s.values for s in samples if s.user_id == user_id] for user_id in (30, 31))
    assert first != second


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_udpsim_ends_cleanly_when_told_to(
    receiver: socket.socket, start: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = start("udpsim.py")
    first = [decode_one(receiver.recv(2048)) for _ in range(20)]
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err.count("\n")) == (0, 1)
    assert json.loads(out)["sent"] == len(first) + len(drain(receiver))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recording", "not-there.csv"], "not-there.csv cannot be read"),
        (["--recording", "udpsim.py"], "udpsim.py has a line with"),
        (["--host", "no-such-host.invalid"], "give --host or set DEST_IP"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    start: Callable[..., subprocess.Popen[str]], arguments: list[str], sentence: str
) -> None:
    process = start("udpsim.py", *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_it_says_where_it_sends_and_that_nobody_listens(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(sending, "HEAR_AFTER_S", 0.2)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    heard: list[int] = []

    def hear(own: int) -> str:
        heard.append(own)
        return ""

    status = sending.run_command_line(
        "udpsim", lambda: {21: counting(400, 200.0)}, "127.0.0.1", port, seconds=0.6, hear=hear
    )
    said = capsys.readouterr()
    assert status == 0
    assert f"sending to 127.0.0.1:{port} for users: 21; press Ctrl-C to stop" in said.err
    assert f"nothing is listening at 127.0.0.1:{port}" in said.err
    assert heard == []
    assert json.loads(said.out)["sent"] == 120


def test_it_says_what_the_server_says_of_it(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sending, "HEAR_AFTER_S", 0.2)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        senders: list[int] = []

        def hear(own: int) -> str:
            senders.append(own)
            return "udpserver refuses the datagrams for userid 21: it does not like it"

        sending.run_command_line(
            "udpsim", lambda: {21: counting(400, 200.0)}, "127.0.0.1", port, seconds=0.6, hear=hear
        )
        receiver.settimeout(5)
        _, address = receiver.recvfrom(2048)
    assert senders == [address[1]]
    assert "udpsim: udpserver refuses the datagrams for userid 21" in capsys.readouterr().err
