"""A stream of many profiles through a system whose parts are broken one after another."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breaking import evidence
from breaking.system import System, wait_for
from semg.capture.plan import make_plan
from semg.domain import Session
from semg.privacy.consent import TEST_PERSON
from semg.recordings.session_data import load_session
from semg.security.board_keys import encrypt_key, make_key
from semg.settings import PROJECT_DIR
from semg.signals.model.classifier import Classifier
from semg.signals.synthesis import SyntheticArm
from semg.signals.synthesis import make_plan as make_synthetic_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from semg.store import boards as boards_store
from semg.store import models, profiles, repetitions, sessions
from semg.store.pool import Pool
from semg.store.services import ServiceStatus, list_services
from testing.kits.recording_kit import synthetic_recording

CHANNELS = tuple(f"a{number}" for number in range(8))
FIRST_NUMBER = 1_000_000
SENDER = PROJECT_DIR / "testing" / "benchmarks" / "datagrams.py"
FOR_EVER_S = 36_000.0


def make_classifier(rate_hz: float, hop_ms: float) -> Classifier:
    """Return a small classifier; how good it is is no matter here."""
    arm = SyntheticArm(0, len(CHANNELS), rate_hz)
    recording = synthetic_recording(arm, arm.session(1, make_synthetic_plan(arm.gestures, 2, 1.5)), "s")
    return fit([recording.labelled], "logcov_lda", options=TrainingOptions(epochs=1, hop_ms=hop_ms, seed=0))


@dataclass
class Fleet:
    """Profiles with a model each; the first ones send text, the others signed datagrams."""

    system: System
    pool: Pool
    rate_hz: float
    text_ids: list[int]
    board_ids: list[int]
    senders: list[subprocess.Popen[str]] = field(default_factory=list)
    sent: dict[str, Any] = field(default_factory=dict)

    @property
    def user_ids(self) -> list[int]:
        """All of them."""
        return [*self.text_ids, *self.board_ids]

    def start(self) -> None:
        """Let all of them send, until ``stop``."""
        users = ",".join(map(str, self.text_ids))
        self._send("--kind", "text", "--users", users)
        if self.board_ids:
            path = self.system.folder / "boards.json"
            self._send("--kind", "binary", "--boards", str(path), "--boot", str(int(time.time())))

    def stop(self) -> None:
        """End sending; ``sent`` tells what the text senders have sent."""
        for sender in self.senders:
            sender.send_signal(signal.SIGTERM)
        outputs = [sender.communicate(timeout=30)[0] for sender in self.senders]
        self.senders.clear()
        self.sent = json.loads(outputs[0].splitlines()[-1])

    def end(self) -> None:
        """Kill senders that still run, after a failure."""
        for sender in self.senders:
            sender.kill()
            sender.communicate()

    def true_us(self, user_id: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when samples of a text profile were due, µs of this machine's clock."""
        turn = numbers - FIRST_NUMBER + self.text_ids.index(user_id) / len(self.text_ids)
        return np.asarray(self.sent["started_us"] + turn * 1e6 / self.rate_hz)

    def _send(self, *arguments: str) -> None:
        settings = self.system.settings
        common = ["--rate-hz", str(self.rate_hz), "--seconds", str(FOR_EVER_S), "--port", str(settings.udp_port)]
        environment = os.environ | {"PYTHONPATH": str(PROJECT_DIR), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(SENDER), *arguments, *common]
        self.senders.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))  # noqa: S603


def make_fleet(system: System, pool: Pool, n_text: int, n_boards: int, rate_hz: float, model: Classifier) -> Fleet:
    """Make the profiles, their models and their boards."""
    artifact, metadata = model.to_bytes(), model.metadata()
    secret_key = system.settings.secret_key.get_secret_value()
    user_ids, keys, run = [], [], secrets.token_hex(3)
    with pool.transaction() as tx:
        for index in range(n_text + n_boards):
            user_id = profiles.insert_profile(
                tx, f"P{run}-{index}", channels=CHANNELS, rate_hz=rate_hz, consent=TEST_PERSON, allow_v1=True
            )
            _, version = models.insert_model(tx, user_id, None, artifact, metadata, {}, 1 << 20)
            models.activate_model(tx, user_id, version)
            user_ids.append(user_id)
        for user_id in user_ids[n_text:]:
            board_id, key = boards_store.insert_board(tx, f"board {user_id}"), make_key()
            boards_store.set_key(tx, board_id, encrypt_key(secret_key, board_id, key))
            boards_store.assign_board(tx, board_id, user_id)
            keys.append([board_id, user_id, key.hex()])
    path = system.folder / "boards.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(keys))
    return Fleet(system, pool, rate_hz, user_ids[:n_text], user_ids[n_text:])


class Scenario:
    """Breaks things while a fleet streams, and judges afterwards.

    Attributes
    ----------
    report
        What each fault did, by name.
    """

    def __init__(self, system: System, fleet: Fleet, decisions: evidence.Decisions) -> None:
        self.system, self.fleet, self.decisions = system, fleet, decisions
        self.report: dict[str, dict[str, Any]] = {}
        self.killed_us: list[float] = []
        """When udpserver was killed."""

    def wait_until_known(self) -> None:
        """Wait until udpserver has all profiles of the fleet in its registry."""
        with self.fleet.pool.transaction() as tx:
            n_profiles = len(profiles.list_devices(tx))

        def are_known() -> bool:
            told = self._told()
            return told is not None and told.metrics.get("profiles") == n_profiles

        wait_for(are_known, "udpserver knows the profiles")

    def kill(self, name: str) -> None:
        """Kill a part, and wait until it is back and every profile has decisions again."""
        at = time.monotonic()
        old = self.system.kill(name)
        if name == "udpserver":
            self.killed_us.append(time.time() * 1e6)
        back_s = self.system.wait_back(name, old)
        self._note(f"kill -9 {name}", at, back_s=round(back_s, 2))

    def break_for(self, what: str, name: str, how: Callable[[str], Any], seconds: float) -> None:
        """Keep a part broken for a time."""
        at = time.monotonic()
        with how(name):
            time.sleep(seconds)
        self._note(f"{name} {what} for {seconds:.0f} s", at)

    def step_clock(self, seconds: float, pause_s: float) -> None:
        """Set udpserver's clock, and go on for a while."""
        at = time.monotonic()
        self.system.step_clock(seconds)
        time.sleep(pause_s)
        self._note(f"clock {seconds:+.0f} s", at)

    def _note(self, what: str, at: float, **more: object) -> None:
        """Wait for decisions after the part's return, and note how long they were silent."""
        returned = time.monotonic()
        resumed_s = self.decisions.wait_for_all(self.fleet.user_ids, returned)
        until = time.monotonic()
        silences = []
        for user_id in self.fleet.user_ids:
            inside = [moment for moment in self.decisions.heard[user_id] if at <= moment <= until]
            silences.append(float(np.max(np.diff([at, *inside, until]))))
        figures = {"resumed_s": round(resumed_s, 2), "longest_silence_s": round(max(silences), 2)}
        self.report[what] = {**more, **figures}

    def settle(self, timeout_s: float = 120.0) -> float:
        """Wait until all that was received is journalled and stored, and give how long that took."""
        settings, pool = self.system.settings, self.fleet.pool
        stopped = time.time()

        def is_stored() -> bool:
            told = self._told()
            if told is None or told.seen_at.timestamp() < stopped + 2 or told.metrics["journal_pending"]:
                return False
            return asyncio.run(evidence.journal_is_stored(settings, pool))

        return wait_for(is_stored, "the journal is stored", timeout_s)

    def judge(self) -> dict[str, Any]:
        """Compare sent, journalled and stored samples by value, and their times with the truth.

        ``text_lost_otherwise`` did not go with a killed udpserver.
        """
        journal = asyncio.run(evidence.read_journal(self.system.settings))
        result: dict[str, Any] = evidence.compare(self.fleet.pool, journal, self.fleet.user_ids)
        lost = outside = 0
        errors = []
        for user_id in self.fleet.text_ids:
            table = evidence.stored_of(self.fleet.pool, user_id)
            numbers = table.values.reshape(table.n_samples, -1)[:, 0].astype(np.int64)
            sent = FIRST_NUMBER + np.arange(self.fleet.sent["turns"])
            gone = np.setdiff1d(sent, numbers)
            lost += len(gone)
            outside += int(np.sum(~self._in_a_killed_process(self.fleet.true_us(user_id, gone))))
            errors.append(evidence.server_us(table) - self.fleet.true_us(user_id, numbers))
        told = self._told()
        result |= {"kernel_drops": 0 if told is None else told.metrics["kernel_drops"]}
        result |= {"text_sent": self.fleet.sent["sent"], "text_lost": lost, "text_lost_otherwise": outside}
        return result | {"error_of_time_ms": evidence.spread(np.concatenate(errors))}

    def _told(self) -> ServiceStatus | None:
        """Return what udpserver has told last; it does so every two seconds."""
        with self.fleet.pool.transaction() as tx:
            found = [one for one in list_services(tx) if one.service == "udpserver"]
        return max(found, key=lambda one: one.seen_at, default=None)

    def _in_a_killed_process(self, true_us: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return what a killed udpserver can have read and not yet journalled: that goes with it."""
        held = np.zeros(len(true_us), bool)
        for killed_us in self.killed_us:
            held |= (true_us >= killed_us - 500_000) & (true_us <= killed_us)
        return held


def begin_capture(pool: Pool, user_id: int, seconds: float) -> int:
    """Let a person perform from now on for about so many seconds, as the Capture page does; give the session."""
    plan = make_plan(["fist", "open"], max(1, round(seconds / 8)), 2.0, 2.0, 0.0, False, 0)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        now = datetime.now(UTC)
        return sessions.insert_session(
            tx, user_id, "while things break", "capture", now, status="recording", plan=plan, device=device
        )


def judge_labels(fleet: Fleet, session_id: int) -> dict[str, Any]:
    """Compare a capture's labels with its plan, and the samples in them with those that were sent then."""
    wait_for(lambda: _session(fleet.pool, session_id).status != "recording", "the capture has ended", 120)
    with fleet.pool.transaction() as tx:
        session = sessions.get_session(tx, session_id)
        labels = repetitions.list_repetitions(tx, session_id)
        labelled = load_session(tx, session)
    assert session.plan is not None
    planned = [
        (step.gesture, session.started_at + timedelta(seconds=step.start_s))
        for step in session.plan.steps
        if step.gesture is not None
    ]
    wrong = 0
    numbers = labelled.samples[:, 0].astype(np.int64)
    true_us = fleet.true_us(session.user_id, numbers)
    for index, label in enumerate(labels):
        inside = labelled.stretch == index
        began, ended = label.started_at.timestamp() * 1e6, label.ended_at.timestamp() * 1e6
        wrong += int(np.sum((true_us[inside] < began - TOLERANCE_US) | (true_us[inside] > ended + TOLERANCE_US)))
        wrong += int(np.sum((true_us[~inside] > began + TOLERANCE_US) & (true_us[~inside] < ended - TOLERANCE_US)))
    return {
        "labels_planned": len(planned),
        "labels_as_planned": len({(label.gesture, label.started_at) for label in labels} & set(planned)),
        "labels": len(labels),
        "samples_labelled": int(np.sum(labelled.stretch >= 0)),
        "samples_labelled_wrongly": wrong,
    }


TOLERANCE_US = 100_000
"""Sampling, the network's delay and a busy machine."""


def _session(pool: Pool, session_id: int) -> Session:
    with pool.transaction() as tx:
        return sessions.get_session(tx, session_id)


@contextmanager
def streaming(system: System, n_text: int, n_boards: int, rate_hz: float, hop_ms: float) -> Iterator[Scenario]:
    """Let a fleet stream through a running system, every profile with decisions; things may be broken inside."""
    pool = Pool(system.settings, size=2, name="evidence")
    fleet = make_fleet(system, pool, n_text, n_boards, rate_hz, make_classifier(rate_hz, hop_ms))
    decisions = evidence.Decisions(system.settings)
    run = Scenario(system, fleet, decisions)
    decisions.start()
    try:
        run.wait_until_known()
        fleet.start()
        decisions.wait_for_all(fleet.user_ids, time.monotonic())
        yield run
    finally:
        decisions.stop()
        fleet.end()
        pool.close()
