"""The whole live path: arrival of a window's last sample at the server → decision on the WebSocket.

    python testing/benchmarks/live_path.py --wearers 200 --rate-hz 100 --hop-ms 100 --seconds 20 [--out FILE.json]
    python testing/benchmarks/live_path.py --wearers 1 --flood 150000 [--flood-kind stranger]

Starts a private system (own PostgreSQL, NATS and services on free ports), gives every wearer an own model, and for
each run streams text datagrams for all of them, listens to every wearer's decisions on the WebSocket, and compares
samples stored with samples sent, by device time, and decisions with the windows that there must be. Prints JSON;
wall-clock figures of a shared machine vary, CPU seconds less. The listeners' and the sender's CPU stand apart. With
``--flood`` another program sends that many datagrams a second meanwhile, of no use or under a profile's number that
does not exist.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing"), str(PROJECT / "testing" / "benchmarks")]

from processes import usage  # noqa: E402 - after the path is set
from running_system import running, throwaway_servers  # noqa: E402
from wearers import Heard, Plan, Sent, listen, send  # noqa: E402

from semg.domain import WindowSpec  # noqa: E402
from semg.privacy.consent import TEST_PERSON  # noqa: E402 - after the path is set
from semg.settings import Settings  # noqa: E402
from semg.signals.model.classifier import Classifier  # noqa: E402
from semg.signals.synthesis import SyntheticArm, make_plan  # noqa: E402
from semg.signals.training.options import TrainingOptions  # noqa: E402
from semg.signals.training.train import fit  # noqa: E402
from semg.store import blocks, models, profiles  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from testing.kits.recording_kit import synthetic_recording  # noqa: E402
from testing.kits.window_grid import window_ends  # noqa: E402

SERVICES = ("api", "nat_inference", "job_runner", "udpserver")
N_DIFFERENT_MODELS = 8
SETTLE_S = 3.0


def make_models(arm: SyntheticArm, kind: str, hop_ms: float) -> list[Classifier]:
    """Return some different personal classifiers; their accuracy is no matter here."""
    made = []
    for index in range(N_DIFFERENT_MODELS):
        recording = synthetic_recording(arm, arm.session(index + 1, make_plan(arm.gestures, 2, 1.5)), f"s{index}")
        options = TrainingOptions(epochs=1, hop_ms=hop_ms, seed=index)
        made.append(fit([recording.labelled], kind, options=options))  # type: ignore[arg-type]
    return made


def make_wearers(pool: Pool, n: int, arm: SyntheticArm, classifiers: list[Classifier]) -> list[int]:
    """Return the numbers of new profiles, each with an active model."""
    channels = tuple(f"a{index}" for index in range(arm.channels))
    artifacts = [(classifier.to_bytes(), classifier.metadata()) for classifier in classifiers]
    user_ids = []
    with pool.transaction() as tx:
        for index in range(n):
            user_id = profiles.insert_profile(
                tx, f"Wearer {index}", channels=channels, rate_hz=arm.rate_hz, consent=TEST_PERSON, allow_v1=True
            )
            artifact, metadata = artifacts[index % len(artifacts)]
            _, version = models.insert_model(tx, user_id, None, artifact, metadata, {}, 1 << 20)
            models.activate_model(tx, user_id, version)
            user_ids.append(user_id)
    return user_ids


async def stream(
    settings: Settings, plan: Plan
) -> tuple[list[Heard], Sent, dict[str, tuple[float, float]], dict[str, tuple[float, float]], float]:
    """Stream for every wearer; give what was heard and sent, use before and after, and the listeners' CPU."""
    token = settings.semg_api_token.get_secret_value()
    everybody, transports = await listen("127.0.0.1", settings.api_port, token, list(plan.user_ids))
    await asyncio.sleep(SETTLE_S)
    before, own = usage(), time.process_time()
    address = ("127.0.0.1", settings.udp_port)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        waiting = pool.apply_async(send, (address, plan))
        while not waiting.ready():
            await asyncio.sleep(0.1)
        sent = waiting.get()
    await asyncio.sleep(SETTLE_S)
    after, own = usage(), time.process_time() - own
    for transport in transports:
        transport.close()
    return everybody, sent, before, after, own


def count_stored(pool: Pool, user_ids: Sequence[int], expected_us: NDArray[np.int64]) -> tuple[int, int]:
    """Return how many of the samples that were sent are stored, and how many more than once (by device time)."""
    found = doubled = 0
    since, until = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    for user_id in user_ids:
        with pool.transaction() as tx:
            kept = blocks.list_blocks(tx, user_id, since, until)
        times = np.concatenate([block.device_us for block in kept]) if kept else np.zeros(0, np.int64)
        own = times[np.isin(times, expected_us)]
        found += len(np.unique(own))
        doubled += len(own) - len(np.unique(own))
    return found, doubled


def judge(everybody: list[Heard], plan: Plan, window: WindowSpec) -> dict[str, Any]:
    """Compare decisions with the windows that there must be, and give their latency."""
    lost = duplicated = 0
    delays = []
    for heard, begin in zip(everybody, plan.begins, strict=True):
        own_ms = plan.device_ms[begin:]
        expected_ms = [own_ms[end] for end in window_ends(window, len(own_ms)).tolist()]
        ends, own = heard.window_ends_and_delays()
        lost += len(set(expected_ms) - {round(end) for end in ends})
        duplicated += len(ends) - len(set(ends))
        delays.append(own)
    flat = np.concatenate(delays)
    percentiles = np.percentile(flat, [50, 95, 99, 100]) if len(flat) else np.full(4, np.nan)
    return {
        "decisions": len(flat),
        "decisions_lost": lost,
        "decisions_duplicated": duplicated,
        "latency_ms": dict(zip(("p50", "p95", "p99", "max"), np.round(percentiles, 2).tolist(), strict=True)),
    }


def start_flood(settings: Settings, options: argparse.Namespace) -> subprocess.Popen[str] | None:
    """Start another sender of as many datagrams as are asked for, for longer than the stream; none for 0."""
    if not options.flood:
        return None
    program = PROJECT / "testing" / "benchmarks" / "datagrams.py"
    seconds = options.seconds + 2 * SETTLE_S
    command = [sys.executable, str(program), "--kind", options.flood_kind, "--rate-hz", str(options.flood)]
    command += ["--seconds", str(seconds), "--port", str(settings.udp_port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def one_run(
    settings: Settings, pool: Pool, plan: Plan, window: WindowSpec, options: argparse.Namespace
) -> dict[str, Any]:
    """Stream once, and give the figures."""
    flood = start_flood(settings, options)
    heard, sent, before, after, own_s = uvloop.run(stream(settings, plan))
    flooded = None if flood is None else json.loads(flood.communicate()[0].splitlines()[-1])
    stored, doubled = count_stored(pool, plan.user_ids, np.array(plan.device_ms, np.int64) * 1000)
    millions = sent.datagrams / 1e6
    cpu = {name: after[name][0] - before.get(name, (0.0, 0.0))[0] for name in sorted(after)}
    cpu |= {"(sender)": sent.cpu_s, "(listeners)": own_s}
    return {
        "datagrams": sent.datagrams,
        "datagrams_per_s": round(sent.datagrams / sent.seconds),
        "sender": asdict(sent),
        "lost": sent.datagrams - stored,
        "duplicated": doubled,
        **judge(heard, plan, window),
        "cpu_s_per_million_samples": {name: round(used / millions, 2) for name, used in cpu.items()},
        "resident_mb": {name: round(memory) for name, (_, memory) in sorted(after.items())},
        "resident_mb_in_all": round(sum(memory for _, memory in after.values())),
    } | ({} if flooded is None else {"flood": flooded})


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark and give its figures."""
    arm = SyntheticArm(0, options.channels, options.rate_hz)
    classifiers = make_models(arm, options.classifier, options.hop_ms)
    values = np.clip(np.round(arm.session(9, make_plan(arm.gestures, 2, 2.0)).samples), 0, 4095).astype(np.int64)
    n = round(options.seconds * options.rate_hz)
    with tempfile.TemporaryDirectory(prefix="semg-live-path-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with throwaway_servers(folder) as settings:
            pool = Pool(settings, size=2, name="benchmark")
            user_ids = make_wearers(pool, options.wearers, arm, classifiers)
            with running(settings, folder, SERVICES):
                window = classifiers[0].window
                hop = 0 if options.in_step else window.hop_samples
                begins = tuple(index * hop // len(user_ids) for index in range(len(user_ids)))
                runs = []
                for number in range(options.runs):
                    first_ms = 10_000_000 * (number + 1)
                    plan = Plan(tuple(user_ids), begins, values, window.rate_hz, n, first_ms)
                    runs.append(one_run(settings, pool, plan, window, options))
            pool.close()
    asked = ("wearers", "rate_hz", "channels", "hop_ms", "seconds", "classifier", "in_step", "flood", "flood_kind")
    return {name: getattr(options, name) for name in asked} | {
        "parameters": classifiers[0].n_parameters,
        "load_average": round(os.getloadavg()[0], 2),
        "runs": runs,
    }


def main() -> int:
    """Run what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wearers", type=int, default=1)
    parser.add_argument("--rate-hz", type=float, default=200.0)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--hop-ms", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--classifier", default="cnn", choices=["cnn", "logcov_lda", "td_lda"])
    parser.add_argument(
        "--in-step",
        action="store_true",
        help="all wearers begin at the same instant, so that their windows are due together, the worst case",
    )
    parser.add_argument("--flood", type=float, default=0.0, help="datagrams a second from one more sender")
    parser.add_argument("--flood-kind", choices=["junk", "stranger"], default="stranger")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(run(options), indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
