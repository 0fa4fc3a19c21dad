"""The whole live path: arrival of a window's last sample at the server → decision on the WebSocket.

    python testing/benchmarks/live_path.py --wearers 200 --rate-hz 100 --hop-ms 100 --seconds 30 [--out FILE.json]

Starts a private system (own PostgreSQL, NATS and services on free ports), gives every wearer an own model, streams
with udpsim.py, listens to every wearer's decisions on the WebSocket, compares what was stored with what was sent, and
throws everything away. Prints JSON; wall-clock figures of a shared machine vary, CPU seconds less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from websockets.asyncio.client import connect

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing")]

from live_scoring import LiveDecision, latency_ms  # noqa: E402 - after the path is set
from running_system import environment_of, running, throwaway_servers  # noqa: E402

from semg.domain import us_from_utc  # noqa: E402
from semg.importing import synthetic_recording  # noqa: E402
from semg.recordings import write_recording  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.signals.classifier import Classifier  # noqa: E402
from semg.signals.options import TrainingOptions  # noqa: E402
from semg.signals.synthesis import SyntheticArm, make_plan  # noqa: E402
from semg.signals.training import fit  # noqa: E402
from semg.store import blocks, models, profiles  # noqa: E402
from semg.store.pool import Pool  # noqa: E402

SERVICES = ("api", "nat_inference", "udpserver")
N_DIFFERENT_MODELS = 8
SETTLE_S = 3.0


def make_models(arm: SyntheticArm, kind: str, hop_ms: float) -> list[Classifier]:
    """Give some different personal classifiers; their accuracy is no matter here."""
    made = []
    for index in range(N_DIFFERENT_MODELS):
        recording = synthetic_recording(arm, arm.session(index + 1, make_plan(arm.gestures, 2, 1.5)), f"s{index}")
        options = TrainingOptions(epochs=1, hop_ms=hop_ms, seed=index)
        made.append(fit([recording.labelled], kind, options=options))  # type: ignore[arg-type]
    return made


def make_wearers(pool: Pool, n: int, arm: SyntheticArm, classifiers: list[Classifier]) -> list[int]:
    """Give the numbers of new profiles, each with an active model."""
    channels = tuple(f"a{index}" for index in range(arm.channels))
    artifacts = [(classifier.to_bytes(), classifier.metadata()) for classifier in classifiers]
    user_ids = []
    with pool.transaction() as tx:
        for index in range(n):
            user_id = profiles.insert_profile(tx, f"Wearer {index}", channels=channels, rate_hz=arm.rate_hz)
            artifact, metadata = artifacts[index % len(artifacts)]
            _, version = models.insert_model(tx, user_id, None, artifact, metadata, {}, 1 << 20)
            models.activate_model(tx, user_id, version)
            user_ids.append(user_id)
    return user_ids


async def listen(settings: Settings, user_id: int, decisions: list[LiveDecision]) -> None:
    """Collect a wearer's decisions from the WebSocket until cancelled."""
    url = settings.internal_api_url.replace("http", "ws", 1) + f"/ws/live/{user_id}?samples=false"
    headers = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
    async with connect(url, additional_headers=headers, max_queue=None, compression=None) as socket:
        async for text in socket:
            arrived_us = time.time_ns() // 1000
            message = json.loads(text)
            if message["type"] == "decision":
                received_us = us_from_utc(datetime.fromisoformat(message["received_at"]))
                decisions.append(LiveDecision(None, message["window_end_device_ms"], received_us, arrived_us))


async def stream(settings: Settings, folder: Path, user_ids: list[int], recording: Path, seconds: float) -> tuple:
    """Stream for every wearer, and give their decisions and the simulator's summary."""
    decisions: list[list[LiveDecision]] = [[] for _ in user_ids]
    listeners = [
        asyncio.create_task(listen(settings, user, own)) for user, own in zip(user_ids, decisions, strict=True)
    ]
    await asyncio.sleep(SETTLE_S)
    simulator = await asyncio.create_subprocess_exec(
        sys.executable, "udpsim.py", "--recording", str(recording), "--loop", "--seconds", str(seconds),
        "--users", ",".join(map(str, user_ids)) + ",", "--host", "127.0.0.1", "--port", str(settings.udp_port),
        cwd=PROJECT / "testing", env=environment_of(settings, folder, "udpsim"), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await simulator.communicate()
    await asyncio.sleep(SETTLE_S)
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    return decisions, json.loads(output.splitlines()[-1])


def count_stored(pool: Pool, user_ids: list[int], since: datetime) -> tuple[int, int]:
    """Give how many samples are stored, and how many of them more than once (by device time)."""
    stored = doubled = 0
    until = datetime.now(UTC) + timedelta(hours=1)
    for user_id in user_ids:
        with pool.transaction() as tx:
            found = blocks.list_blocks(tx, user_id, since, until)
        times = np.concatenate([block.device_us for block in found]) if found else np.zeros(0, np.int64)
        stored += len(times)
        doubled += len(times) - len(np.unique(times))
    return stored, doubled


def usage(folder: Path) -> dict[str, tuple[float, float]]:
    """Give CPU seconds and resident MB of the private system's processes, by name."""
    found: dict[str, tuple[float, float]] = {}
    names = {"uvicorn": "api", "nat_inference.py": "nat_inference", "udpserver.py": "udpserver"}
    for process in psutil.Process(os.getpid()).children(recursive=True):
        command = " ".join(process.cmdline())
        name = next((short for word, short in names.items() if word in command), process.name().split(":")[0])
        times, memory = process.cpu_times(), process.memory_info().rss / 2**20
        cpu, resident = found.get(name, (0.0, 0.0))
        found[name] = (cpu + times.user + times.system, resident + memory)
    return found


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark and give its figures."""
    arm = SyntheticArm(0, options.channels, options.rate_hz)
    classifiers = make_models(arm, options.classifier, options.hop_ms)
    with tempfile.TemporaryDirectory(prefix="semg-live-path-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        session = arm.session(9, make_plan(arm.gestures, 2, 2.0))
        recording = folder / "wearer.csv.gz"
        write_recording(recording, session.samples, session.device_ms, session.gestures.tolist(), session.repetitions)
        with throwaway_servers(folder) as settings:
            pool = Pool(settings, size=2, name="benchmark")
            user_ids = make_wearers(pool, options.wearers, arm, classifiers)
            started = datetime.now(UTC) - timedelta(hours=1)
            with running(settings, folder, SERVICES):
                before = usage(folder)
                decisions, sent = asyncio.run(stream(settings, folder, user_ids, recording, options.seconds))
                after = usage(folder)
                stored, doubled = count_stored(pool, user_ids, started)
            pool.close()
    flat = [decision for own in decisions for decision in own]
    window = classifiers[0].window
    per_wearer = sent["sent"] / options.wearers
    expected = max(0, 1 + (per_wearer - window.settle_samples - window.window_samples) // window.hop_samples)
    millions = sent["sent"] / 1e6
    return {
        "wearers": options.wearers,
        "rate_hz": options.rate_hz,
        "channels": options.channels,
        "hop_ms": options.hop_ms,
        "classifier": options.classifier,
        "datagrams": sent["sent"],
        "datagrams_per_s": round(sent["rate"]),
        "sender_late_ms": sent["late_ms"],
        "stored": stored,
        "lost": sent["sent"] - (stored - doubled),
        "duplicated": doubled,
        "decisions": len(flat),
        "decisions_expected": round(expected * options.wearers),
        "latency_ms": latency_ms(flat),
        "cpu_s_per_million_samples": {
            name: round((after[name][0] - before.get(name, (0.0, 0.0))[0]) / millions, 2) for name in sorted(after)
        },
        "resident_mb": {name: round(memory) for name, (_, memory) in sorted(after.items())},
    }


def main() -> int:
    """Run what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wearers", type=int, default=1)
    parser.add_argument("--rate-hz", type=float, default=200.0)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--hop-ms", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--classifier", default="cnn", choices=["cnn", "logcov_lda", "td_lda"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(run(options), indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
