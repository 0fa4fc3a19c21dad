"""From the button to labelled samples, on the real services: signed datagrams, a prompted capture, steering."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from semg import clock
from semg.capture.plan import make_plan
from semg.domain import REST, CapturePlan, Session, us_from_utc
from semg.privacy.consent import TEST_PERSON
from semg.recordings.session_data import load_session
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.simulation import arms
from semg.store import blocks, profiles, services, sessions, simulated_arms
from semg.store.audit import Actor
from semg.store.pool import Pool
from testing.running_system import running, streaming
from testing.tests.conftest import Servers

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

CHANNELS = tuple(f"a{index}" for index in range(6))
GESTURES = ["fist", "open hand"]
SOON_S = 0.3
"""A steered change takes effect within it."""
T = TypeVar("T")


def wait_for(look: Callable[[], T | None], what: str, patience_s: float = 60.0) -> T:
    deadline, pause = time.monotonic() + patience_s, threading.Event()
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        pause.wait(0.02)
    pytest.fail(f"not within {patience_s} s: {what}")


def metrics_of(pool: Pool, service: str) -> dict:
    with pool.transaction() as tx:
        return next((one.metrics for one in services.list_services(tx) if one.service == service), {})


def signal_since(pool: Pool, user_id: int, since: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Seconds after a moment, and how strong the strongest channel is then, in steps of 25 ms."""
    with pool.transaction() as tx:
        found = blocks.list_blocks(tx, user_id, since, clock.utc_now())
    at = np.concatenate([block.server_us for block in found])
    samples = np.concatenate([block.samples for block in found])
    n = len(samples) // 5 * 5
    strength = samples[:n].reshape(-1, 5, samples.shape[1]).std(axis=1).max(axis=1)
    return (at[4:n:5] - us_from_utc(since)) / 1e6, strength


def record(pool: Pool, user_id: int, name: str, plan: CapturePlan) -> Session:
    """Conduct a capture as the page does, until its samples are stored."""
    with pool.transaction() as tx:
        at, device = clock.utc_now() + timedelta(seconds=1.5), profiles.get_profile(tx, user_id).device
        number = sessions.insert_session(
            tx, user_id, name, "capture", at, status="recording", plan=plan, device=device
        )  # fmt: skip

    def ended() -> Session | None:
        with pool.transaction() as tx:
            session = sessions.get_session(tx, number)
            last_at = blocks.last_sample_at(tx, user_id)
        is_stored = session.ended_at is not None and last_at is not None and last_at > session.ended_at
        return session if is_stored else None

    return wait_for(ended, f"the capture {name} is over and stored")


def check_labels(pool: Pool, session: Session, plan: CapturePlan) -> None:
    """Every gesture of the plan has its repetitions, whose signal is that of a contraction; rest's is not."""
    with pool.transaction() as tx:
        labelled = load_session(tx, session)
        written = sessions.list_repetitions(tx, session.session_id)
    wanted = [(step.gesture, step.number) for step in plan.steps if step.gesture is not None]
    assert [(one.gesture, one.number) for one in written] == wanted
    strength: dict[bool, list[float]] = {True: [], False: []}
    for index, stretch in enumerate(labelled.stretches):
        samples = labelled.samples[labelled.stretch == index]
        assert len(samples) > 0.9 * 200 * 1.2, "hardly any sample was lost"
        late = samples[len(samples) // 2 :]  # the hand lags its label
        strength[stretch.label == REST].append(float(late.std(axis=0).max()))
    assert min(strength[False]) > 2 * max(strength[True]), strength


def test_arm_is_recorded_and_steered_through_the_real_services(servers: Servers, pool: Pool, tmp_path: Path) -> None:
    settings: Settings = servers.settings
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=CHANNELS, rate_hz=200.0, consent=TEST_PERSON)
        device = profiles.get_profile(tx, user_id).device
        assert not device.allow_v1, "unsigned text is refused: what is stored was signed"
    plan = make_plan(GESTURES, 1, 1.2, 1.2, 0.5, True, 1)
    with running(settings, tmp_path, ("udpserver", "simulator", "job_runner")):
        with pool.transaction() as tx:
            arm = arms.start(tx, ring_of(settings), user_id, Actor("ada"), arms.Limits(8, 3))
            simulated_arms.update_steering(tx, user_id, replace(arm.steering, mistakes=0.0))
        sources = wait_for(
            lambda: [one for one in metrics_of(pool, "udpserver").get("sources", []) if one["state"] == "ok"],
            "the arm's datagrams are accepted",
        )
        assert [(one["board_id"], one["user_id"], one["channels"]) for one in sources] == [(arm.board_id, user_id, 6)]
        session = record(pool, user_id, "Session 1", plan)
        assert session.simulated
        check_labels(pool, session, plan)
        took_s = [steered_after_s(pool, user_id, gesture) for gesture in ("fist", None, "open hand")]
        assert min(took_s) < SOON_S, took_s
        with pool.transaction() as tx:
            assert arms.stop(tx, user_id, Actor("ada"))
        wait_for(lambda: metrics_of(pool, "simulator").get("arms") == 0, "the arm has stopped")

        # The same wearer from the command line, as text and for a profile that takes text.
        with pool.transaction() as tx:
            profiles.update_device(tx, replace(device, allow_v1=True))
        arguments = ("--follow", "--user-id", str(user_id), "--mistakes", "0", "--host", "127.0.0.1")
        arguments += ("--port", str(settings.udp_port))
        with streaming(settings, tmp_path, *arguments) as udpsim:
            quiet = clock.utc_now()

            def text_comes() -> bool:
                with pool.transaction() as tx:
                    last_at = blocks.last_sample_at(tx, user_id)
                return last_at is not None and last_at > quiet

            wait_for(text_comes, "the text of udpsim is stored")
            followed = record(pool, user_id, "Session 2", plan)
        assert udpsim.returncode == 0
        said = (tmp_path / "udpsim.log").read_text().splitlines()
        assert json.loads(said[-1])["users"] == [user_id]
        assert followed.simulated, "who follows a plan marks what is recorded"
        check_labels(pool, followed, plan)


def steered_after_s(pool: Pool, user_id: int, gesture: str | None) -> float:
    """Steer, and tell after how long the signal was another: stronger for a gesture, weaker for rest."""
    with pool.transaction() as tx:
        arm = simulated_arms.find_arm(tx, user_id)
        assert arm is not None
        simulated_arms.update_steering(tx, user_id, replace(arm.steering, gesture=gesture))
    since = clock.utc_now()

    def changed() -> float | None:
        with pool.transaction() as tx:
            last_at = blocks.last_sample_at(tx, user_id)
        if last_at is None or last_at < since + timedelta(seconds=1):
            return None
        at_s, strength = signal_since(pool, user_id, since)
        settled = float(np.median(strength[-8:]))
        before = float(np.median(strength[:2]))
        is_new = np.abs(strength - settled) < np.abs(strength - before)
        return float(at_s[int(np.argmax(is_new))])

    return wait_for(changed, "a second of the steered signal is stored")
