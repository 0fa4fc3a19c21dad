"""Several of every service on one machine, as if on many, and what happens when one dies.

    python testing/benchmarks/scaling.py [--wearers 24] [--rate-hz 100] [--phase-s 8] [--out FILE.json]

Starts a JetStream cluster of 3 servers that keeps the journal on all of them, PostgreSQL, 2 ingest servers, 2 APIs and
3 inference workers, all on loopback, and shares the partitions among them. Half of the wearers send to either ingest
server, each sample with its number in channel 0. Then, one after another, with kill -9: an inference worker, a server
of the cluster, an ingest server, whose devices go on sending to the other one at once. At the end every stored sample
is compared with what was sent. Prints JSON: what each kill did to the decisions, and what was lost or stored twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing"), str(PROJECT / "testing" / "benchmarks")]

from live_path import make_models, make_wearers  # noqa: E402 - after the path is set
from running_system import environment_of, throwaway_servers  # noqa: E402

from semg.errors import BusError  # noqa: E402
from semg.platform.servers import (
    embedded,  # noqa: E402
    nats,  # noqa: E402
)
from semg.platform.servers.bus_users import users_of  # noqa: E402
from semg.platform.supervision import (
    services,  # noqa: E402
    unit,  # noqa: E402
)
from semg.process import bus  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.signals.synthesis import SyntheticArm  # noqa: E402
from semg.simulation.sender import open_socket  # noqa: E402
from semg.store import blocks  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from semg.wire.messages import decisions_subject  # noqa: E402
from semg.wire.udp import encode_v1  # noqa: E402

N_NATS, N_INGEST, N_API, N_INFERENCE = 3, 2, 2, 3
PARTITIONS = 12
READY_S = 90.0
RESTART_AT = 1 << 20
"""Device time of the first sample, ms."""


@contextmanager
def cluster(folder: Path, settings: Settings) -> Iterator[tuple[list[str], list[nats.NatsServer]]]:
    """Start NATS servers that form a JetStream cluster; give their URLs and processes."""
    ports = [embedded.free_port() for _ in range(N_NATS)]
    routes = [embedded.free_port() for _ in range(N_NATS)]
    with ExitStack() as stack:
        started = []
        for index, (port, route) in enumerate(zip(ports, routes, strict=True)):
            config = folder / f"nats-{index}.conf"
            secret = settings.nats_password.get_secret_value()
            nats.write_config(
                config,
                folder / f"jetstream-{index}",
                port,
                settings.nats_user,
                secret,
                1 << 30,
                users=users_of(settings),
            )
            others = ", ".join(f'"nats-route://127.0.0.1:{other}"' for other in routes if other != route)
            text = config.read_text().replace("server_name: semg", f"server_name: semg-{index}")
            config.write_text(f'{text}cluster {{ name: semg, listen: "127.0.0.1:{route}", routes: [{others}] }}\n')
            server = nats.start(config, port, folder / f"nats-{index}.log")
            stack.callback(server.stop)
            started.append(server)
        yield [f"nats://127.0.0.1:{port}" for port in ports], started


async def wait_for_journal(settings: Settings) -> None:
    """Wait until the cluster has a leader and holds the journal."""
    deadline = time.monotonic() + READY_S
    client = await bus.connect(settings, "benchmark")
    while True:
        try:
            await bus.ensure_journal(client, settings)
            break
        except BusError:
            assert time.monotonic() < deadline, "the cluster does not take the journal"
            await asyncio.sleep(0.3)
    await client.close()


class Fleet:
    """Service processes by name, several of a kind."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service_name: str, name: str, settings: Settings) -> None:
        """Start one service and wait until it is ready."""
        (service,) = [one for one in services.table(settings) if one.name == service_name]
        ready = self._folder / f"{name}.ready"
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            service.argv,
            cwd=service.cwd,
            env=environment_of(settings.model_copy(update={"semg_ready_file": ready}), self._folder, name),
            stdout=log,
            stderr=log,
        )
        self.processes[name] = process
        self._stack.callback(self.stop, name)
        deadline = time.monotonic() + READY_S
        while not (ready.exists() if service.ready_url is None else unit.url_answers(service.ready_url)):
            assert process.poll() is None, f"{name} ended: {self.log(name)[-3000:]}"
            assert time.monotonic() < deadline, f"{name} is not ready: {self.log(name)[-3000:]}"
            time.sleep(0.05)

    def log(self, name: str) -> str:
        """Return what a service has logged."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def partitions(self, name: str) -> list[int]:
        """Return the partitions that a worker says it has."""
        told = [line for line in self.log(name).splitlines() if "inference: partitions " in line]
        text = told[-1].rpartition("partitions ")[2] if told else "none"
        return [] if text == "none" else [int(number) for number in text.strip("[]").split(",")]

    def kill(self, name: str) -> None:
        """Kill a process as a power cut would."""
        self.processes[name].kill()
        self.processes[name].wait(10)

    def stop(self, name: str) -> None:
        """Stop a process that may have ended."""
        process = self.processes[name]
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Sender(threading.Thread):
    """All devices: sample ``k`` is due at ``k / rate_hz``, and has its number in channel 0."""

    def __init__(self, targets: dict[int, int], rate_hz: float) -> None:
        super().__init__(name="sender", daemon=True)
        self.targets = targets
        self.sent = 0
        self._rate_hz = rate_hz
        self._stop_asked = threading.Event()
        self._random = np.random.default_rng(3).integers(0, 4096, (4096, 7)).tolist()

    def run(self) -> None:
        """Send until told to stop."""
        sockets = {port: open_socket("127.0.0.1", port) for port in set(self.targets.values())}
        started = time.monotonic()
        while not self._stop_asked.wait(max(0.0, started + self.sent / self._rate_hz - time.monotonic())):
            values = [self.sent, *self._random[self.sent % 4096]]
            for user_id, port in self.targets.items():
                with contextlib.suppress(OSError):  # nobody listens there any more
                    sockets[port](encode_v1(user_id, RESTART_AT + round(self.sent * 1000 / self._rate_hz), values))
            self.sent += 1

    def stop(self) -> int:
        """End, and give how many samples each device sent."""
        self._stop_asked.set()
        self.join()
        return self.sent


@dataclass
class Decisions:
    """Every decision that was heard: user, window's end by the device's clock, moment."""

    heard: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    async def listen(self, settings: Settings) -> None:
        """Collect until cancelled."""
        client = await bus.connect(settings, "listener")

        async def on_decision(message: Any) -> None:
            decision = json.loads(message.data)
            self.heard[decision["userid"]].append((decision["window_end_device_ms"], time.monotonic()))

        await client.subscribe(decisions_subject("*"), cb=on_decision)  # type: ignore[arg-type]
        try:
            await asyncio.Event().wait()
        finally:
            await client.close()

    def silence_s(self, user_id: int, since: float, until: float) -> float:
        """Return the longest time without a decision."""
        moments = [since, *(at for _, at in self.heard[user_id] if since <= at <= until), until]
        return float(np.max(np.diff(moments)))

    def twice(self, since: float = 0.0) -> int:
        """Return how many windows that were decided from a moment on had been decided before."""
        doubled = 0
        for found in self.heard.values():
            seen: set[float] = set()
            for end, at in found:
                doubled += end in seen and at >= since
                seen.add(end)
        return doubled


def judge_store(pool: Pool, user_ids: Sequence[int], sent: int) -> dict[str, Any]:
    """Compare the stored numbers with those sent."""
    lost: dict[int, list[int]] = {}
    doubled = 0
    since, until = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    for user_id in user_ids:
        with pool.transaction() as tx:
            table = blocks.read_blocks(tx, user_id, since, until)
        numbers = table.values.reshape(table.n_samples, -1)[:, 0].astype(int).tolist()
        doubled += len(numbers) - len(set(numbers))
        lost[user_id] = sorted(set(range(sent)) - set(numbers))
    return {"lost": lost, "stored_twice": doubled}


async def measure(
    options: argparse.Namespace, settings: Settings, fleet: Fleet, servers: list[nats.NatsServer], ports: dict[int, int]
) -> tuple[dict[str, Any], int]:
    """Stream, kill one after another, and give what happened and how many samples each device sent."""
    decisions = Decisions()
    listening = asyncio.create_task(decisions.listen(settings))
    sender = Sender(ports, options.rate_hz)
    sender.start()
    deadline = time.monotonic() + READY_S
    while len(decisions.heard) < len(ports):
        assert time.monotonic() < deadline, f"only {len(decisions.heard)} of {len(ports)} wearers have decisions"
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    shares = {f"nat_inference-{index}": fleet.partitions(f"nat_inference-{index}") for index in range(N_INFERENCE)}
    victim = max(shares, key=lambda name: len(shares[name]))
    report: dict[str, Any] = {"shares_before": shares}
    kills = {
        "inference_worker": lambda: fleet.kill(victim),
        "nats_server": lambda: servers[-1].process.kill(),
        "ingest_server": lambda: _move_devices(fleet, sender, settings.udp_port),
    }
    for name, kill in kills.items():
        at = time.monotonic()
        before = sender.sent
        await asyncio.to_thread(kill)
        killed = sender.sent
        await asyncio.sleep(options.phase_s)
        silence = {user_id: decisions.silence_s(user_id, at - 1, time.monotonic()) for user_id in ports}
        theirs = {user_id for user_id in ports if user_id % PARTITIONS in shares[victim]}
        report[name] = {
            "at_sample": before,
            "samples_while_killing": killed - before,
            "windows_decided_twice": decisions.twice(at),
            "longest_silence_s": round(max(silence.values()), 2),
            "median_silence_s": round(float(np.median(list(silence.values()))), 2),
            "all_have_decisions_again": all(
                decisions.heard[user_id][-1][1] > time.monotonic() - 1 for user_id in ports
            ),
        }
        if name == "inference_worker":
            report[name] |= {
                "wearers_that_moved": len(theirs),
                "longest_silence_of_the_others_s": round(max(s for u, s in silence.items() if u not in theirs), 2),
                "shares_after": {
                    other: fleet.partitions(other) for other in shares if other != victim
                },
            }  # fmt: skip
    sent = await asyncio.to_thread(sender.stop)
    await asyncio.sleep(3)
    report["decisions"] = sum(len(found) for found in decisions.heard.values())
    report["windows_decided_twice"] = decisions.twice()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return report, sent


def _move_devices(fleet: Fleet, sender: Sender, port: int) -> None:
    """Kill the second ingest server; its devices send to the first from now on."""
    fleet.kill("udpserver-1")
    for user_id in list(sender.targets):
        sender.targets[user_id] = port


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark and give its figures."""
    arm = SyntheticArm(0, 8, options.rate_hz)
    classifiers = make_models(arm, "logcov_lda", 100.0)
    with tempfile.TemporaryDirectory(prefix="semg-scaling-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        single = stack.enter_context(throwaway_servers(folder, durable=True))
        urls, servers = stack.enter_context(cluster(folder, single))
        settings = single.model_copy(
            update={
                "nats_server": ",".join(urls),
                "journal_partitions": PARTITIONS,
                "journal_replicas": N_NATS,
                "share_partitions": True,
                "share_lease_s": options.lease_s,
            }
        )
        asyncio.run(wait_for_journal(settings))
        pool = Pool(settings, size=2, name="benchmark")
        user_ids = make_wearers(pool, options.wearers, arm, classifiers)
        fleet = Fleet(folder, stack)
        api_ports = [embedded.free_port() for _ in range(N_API)]
        udp_ports = [settings.udp_port, *(embedded.free_port(kind=2) for _ in range(N_INGEST - 1))]
        for index, port in enumerate(api_ports):
            fleet.start("api", f"api-{index}", settings.model_copy(update={"api_port": port}))
        for index in range(N_INFERENCE):
            own = settings.model_copy(update={"api_port": api_ports[index % N_API]})
            fleet.start("nat_inference", f"nat_inference-{index}", own)
        for index, port in enumerate(udp_ports):
            fleet.start("udpserver", f"udpserver-{index}", settings.model_copy(update={"udp_port": port}))
        ports = {user_id: udp_ports[index % N_INGEST] for index, user_id in enumerate(user_ids)}
        moved = [user_id for user_id, port in ports.items() if port != settings.udp_port]
        report, sent = asyncio.run(measure(options, settings, fleet, servers, ports))
        fleet.stop("udpserver-0")
        stored = judge_store(pool, user_ids, sent)
        pool.close()
    lost = stored.pop("lost")
    lost_when_moved = [len(lost[user_id]) for user_id in moved]
    return {
        "wearers": options.wearers,
        "rate_hz": options.rate_hz,
        "lease_s": options.lease_s,
        "samples_sent": sent * options.wearers,
        **report,
        "lost_of_devices_that_stayed": sum(len(lost[user_id]) for user_id in user_ids if user_id not in moved),
        "lost_per_device_of_the_killed_ingest_server": {"most": max(lost_when_moved), "all": sum(lost_when_moved)},
        "lost_otherwise": sum(
            abs(number - report["ingest_server"]["at_sample"]) > options.rate_hz for u in moved for number in lost[u]
        ),
        **stored,
    }


def main() -> int:
    """Run what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wearers", type=int, default=24)
    parser.add_argument("--rate-hz", type=float, default=100.0)
    parser.add_argument("--phase-s", type=float, default=12.0, help="time after each kill")
    parser.add_argument("--lease-s", type=float, default=2.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(run(options), indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
