"""Received, journalled and stored: datagrams a second that ingest takes without losing or doubling one.

    python testing/benchmarks/ingest.py --kind text --per-s 60000 --seconds 60 --runs 3 [--out FILE.json]
    python testing/benchmarks/ingest.py --kind binary --per-s 500000 --seconds 60 --runs 3
    python testing/benchmarks/ingest.py --kind text --per-s 200 --profiles 1 --flood 150000

``--per-s`` counts text datagrams, or samples of binary ones (8 channels, 50 a datagram, signed). Everything is
private and thrown away: PostgreSQL and NATS that sync to disk as in operation, udpserver with its store task, the
sender. What is stored is compared with what was sent by number and value. The limit that the figures are set beside is
what the same sender gets through to the bare receiver in the same run. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing"), str(PROJECT / "testing" / "benchmarks")]

from datagrams import CHANNELS, FIRST_NUMBER, SAMPLES, values_of  # noqa: E402 - after the path is set
from processes import usage  # noqa: E402
from running_system import running, throwaway_servers  # noqa: E402

from semg.ingest.receiver import Receiver  # noqa: E402
from semg.ingest.udp_socket import kernel_drops, open_socket  # noqa: E402
from semg.platform.servers.embedded import free_port  # noqa: E402
from semg.privacy.consent import TEST_PERSON  # noqa: E402
from semg.security.board_keys import encrypt_key, make_key  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.store import blocks, profiles  # noqa: E402
from semg.store import boards as boards_store  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from semg.store.services import list_services  # noqa: E402

MIN_RATE_HZ, MAX_RATE_HZ = 50.0, 2000.0
PATIENCE_S = 120.0
BEYOND_ANY_LIMIT = 500_000
"""Signed datagrams a second: more than a sender here can make."""


def make_profiles(pool: Pool, n: int, rate_hz: float, run: int) -> list[int]:
    """Return the numbers of new profiles for one of several runs."""
    channels = [f"a{number}" for number in range(CHANNELS)]
    described = min(max(rate_hz, MIN_RATE_HZ), MAX_RATE_HZ)
    with pool.transaction() as tx:
        return [
            profiles.insert_profile(
                tx, f"P{run}-{k}", channels=channels, rate_hz=described, consent=TEST_PERSON, allow_v1=True
            )
            for k in range(n)
        ]


def make_boards(pool: Pool, settings: Settings, user_ids: list[int], path: Path) -> None:
    """Make a board for every profile, and write the boards with their keys for the sender."""
    known = []
    with pool.transaction() as tx:
        for user_id in user_ids:
            board_id, key = boards_store.insert_board(tx, f"board {user_id}"), make_key()
            boards_store.set_key(tx, board_id, encrypt_key(settings.secret_key.get_secret_value(), board_id, key))
            boards_store.assign_board(tx, board_id, user_id)
            known.append([board_id, user_id, key.hex()])
    path.touch(mode=0o600)
    path.write_text(json.dumps(known))


def send(port: int, *arguments: str) -> subprocess.Popen[str]:
    """Start the sender."""
    program = PROJECT / "testing" / "benchmarks" / "datagrams.py"
    command = [sys.executable, str(program), "--port", str(port), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603 - own program


def summary_of(sender: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a sender, and give what it printed."""
    output, _ = sender.communicate()
    return dict(json.loads(output.splitlines()[-1]))


def receive_limit(arguments: list[str]) -> dict[str, Any]:
    """Return how many datagrams a second the bare receiver reads while the sender sends as fast as it can."""
    settings = Settings(_env_file=None, udp_host="127.0.0.1", udp_port=free_port(kind=2))  # type: ignore[call-arg]
    with open_socket(settings) as receiving:
        sender = send(receiving.getsockname()[1], *arguments)
        receiver, received, first, last = Receiver(receiving), 0, 0.0, 0.0
        while sender.poll() is None or received == 0:
            n = len(receiver.take())
            if n:
                last = time.monotonic()
                first = first or last
                received += n
        dropped = kernel_drops(receiving)
        sent = summary_of(sender)
    return {
        "received_per_s": round(received / max(last - first, 1e-9)),
        "kernel_drops": dropped,
        "sent_per_s": sent["per_s"],
    }


def metrics(pool: Pool) -> dict[str, Any]:
    """Return ingest's counters as of its last heartbeat."""
    with pool.transaction() as tx:
        found = [status.metrics for status in list_services(tx) if status.service == "udpserver"]
    return dict(found[0]) if found else {}


def wait_until_stored(pool: Pool, sent: int, before: dict[str, Any]) -> dict[str, Any]:
    """Wait until nothing is under way any more, and give the counters."""
    deadline, last = time.monotonic() + PATIENCE_S, (-1, 0.0)
    while True:
        now = metrics(pool)
        stored = now.get("stored", 0) - before.get("stored", 0)
        if stored != last[0]:
            last = (stored, time.monotonic())
        if stored >= sent or time.monotonic() - last[1] > 5.0 or time.monotonic() > deadline:
            return now
        time.sleep(0.2)


def compare(pool: Pool, user_ids: list[int], since: datetime, n: int, *, binary: bool) -> dict[str, int]:
    """Compare what is stored with what was sent: samples missing, samples doubled, samples with a wrong value."""
    lost = doubled = wrong = 0
    until = datetime.now(UTC) + timedelta(days=1)
    for user_id, values in zip(user_ids, values_of(user_ids), strict=True):
        with pool.transaction() as tx:
            found = blocks.list_blocks(tx, user_id, since, until)
        samples = np.concatenate([block.samples for block in found]) if found else np.zeros((0, CHANNELS), np.float32)
        if binary:
            numbers = samples[:, 0].astype(np.int64) + 32768 * samples[:, 1].astype(np.int64)
            wrong += int((samples[:, 2:] != values[: CHANNELS - 2]).any(axis=1).sum())
        else:
            numbers = samples[:, 0].astype(np.int64) - FIRST_NUMBER
            wrong += int((samples[:, 1:] != values).any(axis=1).sum())
        different = np.unique(numbers)
        doubled += len(numbers) - len(different)
        lost += n - int(((different >= 0) & (different < n)).sum())
    return {"lost": lost, "duplicated": doubled, "wrong": wrong}


def one_run(
    settings: Settings, pool: Pool, user_ids: list[int], boards: Path, options: argparse.Namespace, boot: int
) -> dict[str, Any]:
    """Stream once, and give the figures."""
    binary = options.kind == "binary"
    rate_hz = options.per_s / len(user_ids)
    turns = round(options.seconds * rate_hz / (SAMPLES if binary else 1))
    n = turns * (SAMPLES if binary else 1)
    what = ["--boards", str(boards), "--boot", str(boot)] if binary else ["--users", ",".join(map(str, user_ids))]
    since = datetime.now(UTC)
    counted, before = metrics(pool), usage()
    arguments = ["--kind", options.kind, *what, "--rate-hz", str(rate_hz), "--seconds", str(options.seconds)]
    sender = send(settings.udp_port, *arguments)
    flood = None
    if options.flood:
        flood = send(
            settings.udp_port, "--kind", options.flood_kind, "--rate-hz", str(options.flood),
            "--seconds", str(options.seconds),
        )  # fmt: skip
    sent = summary_of(sender)
    flooded = summary_of(flood) if flood is not None else None
    after_sending = usage()
    told = wait_until_stored(pool, n * len(user_ids), counted)
    after = usage()
    drops = told.get("kernel_drops", 0) - counted.get("kernel_drops", 0)
    result = compare(pool, user_ids, since - timedelta(seconds=5), n, binary=binary)
    dropped = {
        reason: count - counted.get("dropped", {}).get(reason, 0) for reason, count in told.get("dropped", {}).items()
    }
    millions = n * len(user_ids) / 1e6
    cpu = {name: round((after[name][0] - before.get(name, (0.0, 0.0))[0]) / millions, 3) for name in sorted(after)}
    figures: dict[str, Any] = {
        "datagrams_per_s": sent["per_s"],
        "samples_per_s": sent["per_s"] * (SAMPLES if binary else 1),
        "samples_sent": n * len(user_ids),
        **result,
        "kernel_drops": drops,
        "receive_buffer": told.get("receive_buffer"),
        "refused": dropped,
        "sender": sent,
        "cpu_s_per_million": cpu | {"(sender)": round(sent["cpu_s"] / millions, 3)},
        "resident_mb": {name: round(memory) for name, (_, memory) in sorted(after_sending.items())},
    }
    if flooded is not None:
        figures["flood"] = flooded
    return figures


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark and give its figures."""
    with tempfile.TemporaryDirectory(prefix="semg-ingest-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        runs = []
        with throwaway_servers(folder, durable=True, journal_bytes=4 << 30) as settings:
            pool = Pool(settings, size=2, name="benchmark")
            for number in range(options.runs):
                # New profiles for each run: text boards that start anew would be boots.
                user_ids = make_profiles(pool, options.profiles, options.per_s / options.profiles, number)
                boards = folder / f"boards-{number}.json"
                make_boards(pool, settings, user_ids, boards)
                with running(settings, folder, ("udpserver",)):
                    runs.append(one_run(settings, pool, user_ids, boards, options, number + 1))
            limit_of = ["--kind", "text", "--users", ",".join(map(str, user_ids)), "--rate-hz", "0", "--seconds", "1"]
            if options.kind == "binary":
                rate_hz = BEYOND_ANY_LIMIT * SAMPLES / options.profiles
                limit_of = ["--kind", "binary", "--boards", str(boards), "--rate-hz", f"{rate_hz:g}", "--seconds", "1"]
            limit = receive_limit(limit_of)
            pool.close()
    return {
        "kind": options.kind,
        "profiles": options.profiles,
        "asked_per_s": options.per_s,
        "seconds": options.seconds,
        "load_average": round(os.getloadavg()[0], 2),
        "receive_limit": limit,
        "ratio_to_limit": [round(figures["datagrams_per_s"] / limit["received_per_s"], 3) for figures in runs],
        "runs": runs,
    }


def main() -> int:
    """Run what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["text", "binary"], default="text")
    parser.add_argument("--profiles", type=int, default=200)
    parser.add_argument("--per-s", type=float, default=60_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--flood", type=float, default=0.0, help="datagrams a second from one more sender")
    parser.add_argument("--flood-kind", choices=["junk", "stranger"], default="junk")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(run(options), indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
