"""The demo: a synthetic person is recorded, trained for, and then recognised live (``start_all.sh --demo``).

Everything goes the way that a real person's data go: ``sampledataload.py`` loads labelled sessions, the job runner
trains, ``udpsim.py`` streams over UDP as a supervised service, and this script listens on the bus.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable

from nats.aio.msg import Msg

from semg.domain import REST, Model
from semg.environment import child_environment
from semg.errors import PlatformError, SemgError
from semg.platform import control
from semg.platform.supervision.services import Service
from semg.process import bus
from semg.settings import PROJECT_DIR, Settings, load_settings
from semg.signals.synthesis import SyntheticArm
from semg.signals.training.training_report import TrainingReport
from semg.store import jobs, models, profiles, sessions
from semg.store.pool import Pool
from semg.wire import messages

PROFILE = "Demo"
SEED = 0
SESSIONS, REPETITIONS, GESTURE_S = 2, 5, 3.0
STREAM_SERVICE = "demo_stream"
STREAM_CHECK_S = 90.0
TESTING = PROJECT_DIR / "testing"
JOB_TIMEOUT_S = 600.0


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Create what the demo still lacks, stream, and wait for the first correct decision.

    Raises
    ------
    PlatformError
        A step did not finish in time; the message says which.
    """
    started = time.monotonic()
    pool = Pool(settings, size=2, name="demo")
    try:
        user_id = _find_profile(pool)
        if user_id is None:
            user_id = _load_sessions(say)
        model = _find_model(pool, user_id) or _train(pool, user_id, say)
    finally:
        pool.close()
    report = TrainingReport.from_json(model.report)
    say(
        f"Balanced accuracy {report.balanced_accuracy or 0:.1%} (accuracy {report.accuracy or 0:.1%}) on "
        f"{report.windows} windows of a session that the classifier had not seen; chance level "
        f"{report.chance_balanced or 0:.1%}."
    )
    if report.verdict is not None:
        say(report.verdict.sentence)
    _stream(settings, user_id)
    label = asyncio.run(_first_correct(settings, user_id))
    say(f"First gesture recognised live, “{label}”, {time.monotonic() - started:.0f} s after the platform was ready.")
    say(f"Watch it: {settings.app_url}/Realtime_Gesture_Recognition (profile “{PROFILE}”)")


def _find_profile(pool: Pool) -> int | None:
    with pool.transaction() as tx:
        found = profiles.find_profile_by_name(tx, PROFILE)
    return None if found is None else found.user_id


def _find_model(pool: Pool, user_id: int) -> Model | None:
    with pool.transaction() as tx:
        return models.find_active(tx, user_id)


def _load_sessions(say: Callable[[str], None]) -> int:
    say(f"Loading {SESSIONS} labelled sessions of a synthetic person …")
    command = [sys.executable, str(TESTING / "sampledataload.py"), "--name", PROFILE, "--seed", str(SEED)]
    command += ["--sessions", str(SESSIONS), "--repetitions", str(REPETITIONS), "--gesture-s", str(GESTURE_S)]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment(), check=False)
    if done.returncode != 0:
        raise PlatformError(f"the demo's sessions cannot be loaded: {done.stderr.strip()}")
    return int(json.loads(done.stdout.splitlines()[-1])["userid"])


def _train(pool: Pool, user_id: int, say: Callable[[str], None]) -> Model:
    with pool.transaction() as tx:
        session_ids = [session.session_id for session in sessions.list_sessions(tx, user_id)]
        job_id = jobs.insert_job(tx, user_id, session_ids, "cnn", {})
    say(f"Training job {job_id} …")
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while time.monotonic() < deadline:
        with pool.transaction() as tx:
            job = jobs.get_job(tx, job_id)
        if job.status == "completed":
            model = _find_model(pool, user_id)
            if model is None:
                raise PlatformError(f"training job {job_id} was completed without an active model")
            return model
        if job.status in ("failed", "canceled"):
            raise PlatformError(f"training job {job_id} {job.status}: {job.error}")
        time.sleep(0.2)
    raise PlatformError(f"training job {job_id} was not done within {JOB_TIMEOUT_S:.0f} s: see logs/job_runner.log")


def _stream(settings: Settings, user_id: int) -> None:
    """Run the simulator under the supervisor until the platform stops."""
    command = (sys.executable, "udpsim.py", "--user-id", str(user_id), "--seed", str(SEED))
    address = ("--host", "127.0.0.1", "--port", str(settings.udp_port))
    control.add_service(settings, Service(STREAM_SERVICE, (*command, *address), str(TESTING)))


async def _first_correct(settings: Settings, user_id: int) -> str:
    """Wait for a decision that names the gesture which the synthetic person was performing at the window's end.

    Rest does not count, because a classifier that recognises nothing is right about it.

    When the stream has run for long already, what it performed then is not computed anew: any decision counts.
    """
    truth = _Performed(SyntheticArm(SEED))
    decided: asyncio.Queue[str] = asyncio.Queue(maxsize=1)

    async def on_decision(message: Msg) -> None:
        decision = messages.DecisionMessage.from_bytes(message.data)
        expected = truth.label_at(decision.window_end_device_ms)
        if decision.label not in (None, REST) and expected in (None, decision.label) and not decided.full():
            decided.put_nowait(str(decision.label))

    client = await bus.connect(settings, "demo", forever=False)
    await client.subscribe(messages.decisions_subject(user_id), cb=on_decision)
    try:
        return await asyncio.wait_for(decided.get(), STREAM_CHECK_S)
    except TimeoutError as exc:
        raise PlatformError(
            f"no correct decision within {STREAM_CHECK_S:.0f} s of streaming: see logs/nat_inference.log"
        ) from exc
    finally:
        await client.close()


class _Performed:
    """Gestures of the simulator's person by device time: the same stream, computed on demand."""

    LONGEST_MS = 300_000.0

    def __init__(self, arm: SyntheticArm) -> None:
        self._chunks = arm.stream()
        self._labels: dict[int, str] = {}
        self._until_ms = -1

    def label_at(self, device_ms: float) -> str | None:
        """Return the gesture at a device time; None where it is too far to compute."""
        if device_ms > self.LONGEST_MS:
            return None
        while self._until_ms < device_ms:
            chunk = next(self._chunks)
            self._labels.update(zip(chunk.device_ms.tolist(), chunk.gestures.tolist(), strict=True))
            self._until_ms = int(chunk.device_ms[-1])
        return self._labels.get(round(device_ms), "")


def main() -> int:
    """Run the demo against this installation's running platform."""
    try:
        run(load_settings(), lambda line: print(line, flush=True))
    except SemgError as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
