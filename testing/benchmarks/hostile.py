"""Millions of bad datagrams and many bad requests at a running system: no crash, no 500, no growth.

    python testing/benchmarks/hostile.py [--datagrams 10000000] [--requests 100000] [--out FILE.json]

Starts a private system (own servers, api, udpserver), and sends it what ``testing/fuzz/seeds`` holds, altered at
random: datagrams from ever new ports, text and signed ones of a known profile among them, some of them good; bodies of
the right and of the wrong kind to every call, ranges of an encrypted video. Compares memory, threads and files with
those after the first tenth.
Prints JSON; exit code 1 when a process ended, a request was answered 500, or something grew by more than 5 %.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing"), str(PROJECT / "testing" / "benchmarks")]

from breaking.growth import Growth, measured  # noqa: E402 - after the path is set
from breaking.scenario import CHANNELS, make_classifier  # noqa: E402
from datagrams import Sender  # noqa: E402
from running_system import running, throwaway_servers  # noqa: E402

from semg.privacy.consent import TEST_PERSON  # noqa: E402
from semg.security.board_keys import encrypt_key, make_key  # noqa: E402
from semg.security.encrypted_files import Vault  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.store import boards, models, profiles, sessions  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from semg.store.services import list_services  # noqa: E402
from semg.video.files import files_of  # noqa: E402
from semg.wire.udp import encode_v1  # noqa: E402
from semg.wire.udp2 import HEADER, MAGIC, Key  # noqa: E402

SEEDS = PROJECT / "testing" / "fuzz" / "seeds"
SERVICES = ("api", "udpserver")
ROWS, WIDTH = 2048, 400
PER_S = 60_000
GOOD_SHARE = 0.05
VIDEO_BYTES = 50_000
STRANGERS = ("Bearer x", "Bearer semg_" + "x" * 43, "Bearer semg_", "Basic eA==", "Bearer")
RANGES = (
    "bytes=0-,9-1", "bytes=9-1", "bytes=-", "bytes=-0", "bytes=5-9", "bytes=99999999999-", "lines=1-2",
    "bytes=0-" + "9" * 4400, "bytes=" + "9" * 4400 + "-", "bytes=-" + "9" * 4400, "bytes=" + "0-0," * 1000,
)  # fmt: skip


def make_profile(pool: Pool, settings: Settings) -> tuple[int, int, Key]:
    """Return a profile that has a model and a board, the board, and its key."""
    model = make_classifier(200.0, 50.0)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(
            tx, "target", channels=CHANNELS, rate_hz=200.0, consent=TEST_PERSON, allow_v1=True
        )
        _, version = models.insert_model(tx, user_id, None, model.to_bytes(), model.metadata(), {}, 1 << 20)
        models.activate_model(tx, user_id, version)
        board_id, key = boards.insert_board(tx, "board"), make_key()
        boards.set_key(tx, board_id, encrypt_key(settings.secret_key.get_secret_value(), board_id, key))
        signed = profiles.insert_profile(
            tx, "signed", channels=CHANNELS, rate_hz=200.0, consent=TEST_PERSON, allow_v1=True
        )
        boards.assign_board(tx, board_id, signed)
    return user_id, board_id, Key(key)


def make_video(pool: Pool, settings: Settings, user_id: int) -> int:
    """Return a session that has an encrypted video."""
    end = datetime.now(UTC)
    start = end - timedelta(seconds=1)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        session_id = sessions.insert_session(tx, user_id, "S", "capture", start, end, status="completed", device=device)
    files = files_of(settings.videos, session_id, Vault(settings.secret_key.get_secret_value()))
    files.video.parent.mkdir(parents=True, exist_ok=True)
    with files.create(files.video) as file:
        file.write(bytes(VIDEO_BYTES))
    return session_id


class Bad:
    """Datagrams that were good once, altered at random, many at a time."""

    def __init__(self, user_id: int, board_id: int, key: Key, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._user_id, self._board_id, self._key = user_id, board_id, key
        names = ("text_datagram", "binary_datagram")
        self._seeds = [path.read_bytes()[:WIDTH] for name in names for path in sorted((SEEDS / name).iterdir())]
        self.rows = np.zeros((ROWS, WIDTH), np.uint8)
        self.sizes = np.zeros(ROWS, np.int64)

    def make(self, turn: int) -> None:
        """Fill the rows anew."""
        source = [*self._seeds, *self._good(turn)]
        chosen = self._random.integers(0, len(source), ROWS)
        for row, index in enumerate(chosen.tolist()):
            data = source[index]
            self.sizes[row] = len(data)
            self.rows[row, : len(data)] = np.frombuffer(data, np.uint8)
        altered = np.flatnonzero(self._random.random(ROWS) > GOOD_SHARE)
        for _ in range(3):
            places = (self._random.random(len(altered)) * np.maximum(self.sizes[altered], 1)).astype(np.int64)
            self.rows[altered, places] = self._random.integers(0, 256, len(altered))
        cut = altered[::4]
        self.sizes[cut] = (self._random.random(len(cut)) * WIDTH).astype(np.int64)

    def _good(self, turn: int) -> list[bytes]:
        texts = [encode_v1(self._user_id, 5 * (40 * turn + k), [k] * 8) for k in range(40)]
        signed = []
        for k in range(4):
            number = turn * 4 + k
            times = (5000 * number, 5_000_000)
            head = HEADER.pack(MAGIC, 0, self._board_id, 1 + turn // 1000, number, *times, 8, 1, 0, 0, 255)
            body = head + bytes(16)
            signed.append(body + self._key.tag(body))
        return texts + signed


def flood(settings: Settings, bad: Bad, n: int, growth: Growth) -> dict[str, Any]:
    """Send datagrams, each turn from another port."""
    sent, turn, started = 0, 0, time.monotonic()
    while sent < n:
        bad.make(turn)
        sender = Sender(("127.0.0.1", settings.udp_port), bad.rows)
        sender.set_sizes(bad.sizes)
        sender.send(0, ROWS)
        sender.close()
        sent += ROWS
        turn += 1
        growth.look(sent / n)
        time.sleep(max(0.0, started + sent / PER_S - time.monotonic()))
    return {"sent": sent, "per_s": round(sent / (time.monotonic() - started))}


def request(settings: Settings, n: int, growth: Growth, session_id: int) -> dict[str, Any]:
    """Send requests over one connection that is opened anew when the server ends it.

    Parameters
    ----------
    session_id
        One that has an encrypted video.
    """
    chance = random.Random(4)
    bodies = {
        "/predict": [path.read_bytes() for path in sorted((SEEDS / "predict_body").iterdir())],
        "/predict/windows": [path.read_bytes() for path in sorted((SEEDS / "window_request").iterdir())],
    }
    gets = (
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/videos/{}",
        f"/videos/{session_id}",
        "/ws/live/{}",
        "/{}",
    )
    token = settings.semg_api_token.get_secret_value()
    statuses: Counter[int] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", settings.api_port, timeout=20)
    started = time.monotonic()
    for number in range(n):
        headers = (
            {"Authorization": f"Bearer {token}"}
            if chance.random() < 0.9
            else {"Authorization": chance.choice(STRANGERS)}
        )
        if chance.random() < 0.85:
            path = chance.choice(list(bodies))
            body = _altered(chance.choice(bodies[path]), chance)
            kind = chance.choice(["application/json", "application/x-semg-windows", "text/plain"])
            asked = ("POST", path, body, headers | {"Content-Type": kind})
        else:
            numbers = ["21", str(session_id), "-1", "9" * 400, "%00", "..%2f..", "a" * 3000]
            path = chance.choice(gets).format(chance.choice(numbers))
            method = chance.choice(["GET", "HEAD", "DELETE", "OPTIONS"])
            asked = (method, path, b"", headers | {"Range": chance.choice(RANGES)})
        try:
            connection.request(*asked)
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status] += 1
        except (http.client.HTTPException, OSError):
            statuses[0] += 1
            connection.close()
        growth.look((number + 1) / n)
    seconds = time.monotonic() - started
    return {"requests": n, "per_s": round(n / seconds), "statuses": {str(k): v for k, v in sorted(statuses.items())}}


def _altered(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(changed) + 1)
        changed[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
    return bytes(changed)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Do both, and give what became of it."""
    with tempfile.TemporaryDirectory(prefix="semg-hostile-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with throwaway_servers(folder, journal_bytes=128 << 20) as settings, running(settings, folder, SERVICES):
            pool = Pool(settings, size=1, name="hostile")
            user_id, board_id, key = make_profile(pool, settings)
            session_id = make_video(pool, settings, user_id)
            time.sleep(1.5)  # udpserver reads its registry every second
            floods = Growth(lambda: measured(SERVICES))
            report: dict[str, Any] = {"datagrams": {}, "requests": {}}
            if options.datagrams:
                bad = Bad(user_id, board_id, key, 1)
                report["datagrams"] = flood(settings, bad, options.datagrams, floods)
                time.sleep(3)
                report["datagrams"] |= {"growth": floods.judge()}
                (told,) = [one for one in _services(pool) if one.service == "udpserver"]
                names = ("received", "accepted", "kernel_drops", "dropped", "stored", "journal_damaged")
                report["datagrams"] |= {name: told.metrics[name] for name in names}
            asks = Growth(lambda: measured(SERVICES))
            if options.requests:
                report["requests"] = request(settings, options.requests, asks, session_id)
                report["requests"] |= {"growth": asks.judge()}
            errors = sum((folder / f"{one}.log").read_text(errors="replace").count("Traceback") for one in SERVICES)
            pool.close()
    return report | {"tracebacks": errors}


def _services(pool: Pool) -> list[Any]:
    with pool.transaction() as tx:
        return list(list_services(tx))


def main() -> int:
    """Run what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datagrams", type=int, default=10_000_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report = run(options)
    text = json.dumps(report, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    grown = [name for part in ("datagrams", "requests") for name in report[part].get("growth", {}).get("grown", [])]
    failed = grown or report["tracebacks"] or report["requests"].get("statuses", {}).get("500")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
