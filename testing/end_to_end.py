"""The whole way on a running system: recordings → training job → live stream over UDP → decisions → figures.

    python end_to_end.py --train A.csv.gz,B.csv.gz --test C.csv.gz [--out OUT.json]

Makes a profile that accepts text datagrams, loads the training recordings, runs a training job through the job
runner, streams the test recording in real time, collects decisions from the WebSocket, compares them with the labels
and the stored samples with the sent ones, removes the profile, and prints JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import asyncio
import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvloop
from live_scoring import LiveDecision, latency_ms, score_decisions, score_packets
from sampledataload import load
from websockets.asyncio.client import ClientConnection, connect

from semg.domain import Block, ClassifierKind, Job, Model, Profile, us_from_utc
from semg.errors import PlatformError, SemgError
from semg.process import bus
from semg.process.lifecycle import verification
from semg.recordings.csv_format import Recording, load_recording
from semg.settings import Settings, get_settings
from semg.signals.model.classifier import spec_from_metadata
from semg.store import blocks, jobs, models, profiles
from semg.store.pool import Pool
from semg.wire import messages

UDPSIM = Path(__file__).resolve().with_name("udpsim.py")
JOB_TIMEOUT_S = 1800.0
SERVED_TIMEOUT_S = 30.0
STORED_TIMEOUT_S = 60.0
LAST_DECISION_S = 3.0


class Journey:
    """One profile's way through the running system."""

    def __init__(self, settings: Settings, pool: Pool, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._pool = pool
        self._say = say

    async def run(
        self, train: list[Recording], test: Recording, classifier: ClassifierKind, seed: int
    ) -> dict[str, Any]:
        """Return the figures; the profile is removed whatever happens.

        Raises
        ------
        PlatformError
            A part of the system did not do its work in time; the message names it.
        """
        name = f"end-to-end {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
        user_id, sessions = await asyncio.to_thread(load, self._pool, train, name=name)
        try:
            await self._announce_profile(user_id)
            job = await self._train(user_id, [session.session_id for session in sessions], classifier, seed)
            model = await self._served(user_id, test)
            self._say(f"version {model.version} is served, streaming {len(test.device_ms)} samples")
            started = datetime.now(UTC)
            decisions, sent = await self._stream(user_id, test)
            packets = await self._stored(user_id, test, sent, started)
            vote_n = (await asyncio.to_thread(self._profile, user_id)).decision.vote_n
        finally:
            await asyncio.to_thread(self._remove, user_id)
            await self._announce_profile(user_id)
        return {
            **score_decisions(test, decisions, spec_from_metadata(model.metadata).window, vote_n),
            "decision_latency_ms": latency_ms(decisions),
            "packets": packets,
            "model_bytes": model.model_bytes,
            "train_s": model.report["train_s"],
            "job_s": _seconds(job.started_at, job.ended_at),
            "held_out_report": {name: model.report[name] for name in ("accuracy", "balanced_accuracy", "split")},
            "classifier": classifier,
            "seed": seed,
        }

    async def _train(self, user_id: int, session_ids: list[int], classifier: ClassifierKind, seed: int) -> Job:
        with self._pool.transaction() as tx:
            job_id = jobs.insert_job(tx, user_id, session_ids, classifier, {"seed": seed})
        self._say(f"job {job_id} is scheduled")
        deadline = time.monotonic() + JOB_TIMEOUT_S
        while time.monotonic() < deadline:
            job = await asyncio.to_thread(self._job, job_id)
            if job.status == "completed":
                return job
            if job.status in ("failed", "canceled"):
                raise PlatformError(f"job {job_id} {job.status}: {job.error}")
            await asyncio.sleep(0.3)
        raise PlatformError(f"job {job_id} was not done within {JOB_TIMEOUT_S:.0f} s: does the job runner run?")

    async def _served(self, user_id: int, test: Recording) -> Model:
        """Wait until the predictor answers with the active version."""
        with self._pool.transaction() as tx:
            model = models.find_active(tx, user_id)
        if model is None:
            raise PlatformError(f"profile {user_id} has no active model after its job was completed")
        request = {"userid": user_id, "data": test.labelled.samples[:400].tolist()}
        deadline = time.monotonic() + SERVED_TIMEOUT_S
        async with httpx.AsyncClient(verify=verification(self._settings), timeout=10, trust_env=False) as http:
            while True:
                response = await http.post(
                    f"{self._settings.internal_api_url}/predict", json=request, headers=self._authorization
                )
                if response.status_code == 200 and response.json()["model_version"] == model.version:
                    return model
                if time.monotonic() > deadline:
                    raise PlatformError(f"the API answers {response.status_code}: {response.text[:300]}")
                await asyncio.sleep(0.1)

    async def _stream(self, user_id: int, test: Recording) -> tuple[list[LiveDecision], int]:
        """Stream the recording with the simulator and give the decisions and how many samples were sent."""
        url = self._settings.internal_api_url.replace("http", "ws", 1) + f"/ws/live/{user_id}"
        verify = verification(self._settings)
        context = verify if isinstance(verify, ssl.SSLContext) else None
        decisions: list[LiveDecision] = []
        headers = self._authorization
        async with connect(url, additional_headers=headers, ssl=context, proxy=None, max_size=1 << 22) as socket:
            collecting = asyncio.create_task(_collect(socket, decisions))
            simulator = await asyncio.create_subprocess_exec(
                sys.executable, str(UDPSIM), "--recording", str(test.path), "--user-id", str(user_id),
                "--host", "127.0.0.1", "--port", str(self._settings.udp_port), stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            output, _ = await simulator.communicate()
            if simulator.returncode != 0:
                raise PlatformError(f"udpsim.py ended with exit code {simulator.returncode}")
            count = -1
            while count != len(decisions):  # until no more come
                count = len(decisions)
                await asyncio.sleep(LAST_DECISION_S)
            collecting.cancel()
        return decisions, int(json.loads(output.splitlines()[-1])["sent"])

    async def _stored(self, user_id: int, test: Recording, sent: int, since: datetime) -> dict[str, int]:
        """Wait until everything sent is stored, or no more comes, and compare it."""
        deadline = time.monotonic() + STORED_TIMEOUT_S
        while True:
            found = await asyncio.to_thread(self._blocks, user_id, since)
            packets = score_packets(test, sent, found)
            if packets["missing"] == 0 or time.monotonic() > deadline:
                return packets
            await asyncio.sleep(0.5)

    async def _announce_profile(self, user_id: int) -> None:
        """Notify ingest at once; it would look by itself within a second."""
        client = await bus.connect(self._settings, "end_to_end", forever=False)
        await client.publish(messages.PROFILES_SUBJECT, messages.ProfileChanged(userid=user_id).to_bytes())
        await client.drain()

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._settings.semg_api_token.get_secret_value()}"}

    def _job(self, job_id: int) -> Job:
        with self._pool.transaction() as tx:
            return jobs.get_job(tx, job_id)

    def _profile(self, user_id: int) -> Profile:
        with self._pool.transaction() as tx:
            return profiles.get_profile(tx, user_id)

    def _blocks(self, user_id: int, since: datetime) -> list[Block]:
        with self._pool.transaction() as tx:
            return blocks.list_blocks(
                tx, user_id, since - timedelta(minutes=1), datetime.now(UTC) + timedelta(minutes=1)
            )

    def _remove(self, user_id: int) -> None:
        with self._pool.transaction() as tx:
            profiles.delete_profile(tx, user_id)


async def _collect(socket: ClientConnection, decisions: list[LiveDecision]) -> None:
    async for text in socket:
        arrived_us = time.time_ns() // 1000
        message = json.loads(text)
        if message["type"] == "decision":
            received_us = us_from_utc(datetime.fromisoformat(message["received_at"]))
            decisions.append(LiveDecision(message["label"], message["window_end_device_ms"], received_us, arrived_us))


def _seconds(started: datetime | None, ended: datetime | None) -> float | None:
    return None if started is None or ended is None else round((ended - started).total_seconds(), 2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="recordings, comma separated")
    parser.add_argument("--test", required=True, help="the recording to stream")
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    parser.add_argument("--classifier", default="cnn", choices=["cnn", "logcov_lda", "td_lda"])
    parser.add_argument("--sensor", choices=["raw", "envelope"], default="raw")
    parser.add_argument("--rate-hz", type=float, help="found from the recordings without")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    """Go the whole way and print the figures."""
    options = _arguments()
    settings = get_settings()
    pool = Pool(settings, size=2, name="end_to_end")
    try:
        train = [_load(path, options) for path in options.train.split(",")]
        test = _load(options.test, options)
        journey = Journey(settings, pool, lambda line: print(f"end_to_end: {line}", file=sys.stderr, flush=True))
        figures = uvloop.run(journey.run(train, test, options.classifier, options.seed))
    except (SemgError, OSError, httpx.HTTPError) as exc:
        print(f"end_to_end: {exc}", file=sys.stderr)
        return 2
    finally:
        pool.close()
    text = json.dumps(figures, indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def _load(path: str, options: argparse.Namespace) -> Recording:
    return load_recording(path, rate_hz=options.rate_hz, sensor=options.sensor)


if __name__ == "__main__":
    sys.exit(main())
