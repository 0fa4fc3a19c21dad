"""What the pages' tests store and read."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from semg.domain import Block
from semg.settings import PROJECT_DIR
from semg.store import accounts, blocks, gestures, models, profiles, sessions
from semg.store.pool import Pool
from testing.kits.new_logins import make_login

MAIN = PROJECT_DIR / "streamlit_apps" / "Main.py"
LOGIN, PASSWORD = "researcher", "a long enough password"
LOGIN_OF_TEST = "login_of_test"
"""Entry of a page's state: the login that the gate would have let its connection in with."""
RATE_HZ = 200.0
CHANNELS = ("a0", "a1", "a2", "a3")
USERS, GESTURES = "1_User_Management.py", "2_Gesture_Management.py"
CAPTURE, TRAIN = "3_Training_Data_Capture.py", "4_Kickoff_Training.py"
CONNECT, PLAY = "8_Connect_Device.py", "9_Play.py"
JOBS, LIVE, REVIEW = "5_Training_Jobs_Status.py", "6_Realtime_Gesture_Recognition.py", "7_Sensor_Data_Review.py"
Open = Callable[..., AppTest]
AsRole = Callable[..., int]

REPORT: dict[str, Any] = {
    "accuracy": 0.9,
    "balanced_accuracy": 0.85,
    "macro_f1": 0.86,
    "chance": 0.4,
    "windows": 120,
    "classes": ["fist", "rest"],
    "confusion": [[50, 10], [5, 55]],
    "baseline": {"classifier": "logcov_lda", "accuracy": 0.8, "balanced_accuracy": 0.8, "macro_f1": 0.8},
    "split": {"by": "session", "description": "the last session held out before anything was fitted"},
    "held_out": ["session two"],
    "train_windows": 500,
    "train_s": 3.0,
    "seed": 0,
    "model_bytes": 2048,
    "us_per_window": 40.0,
    "per_gesture": {"fist": {"recall": 0.833333, "n": 60}, "rest": {"recall": 0.916667, "n": 60}},
    "reliability": {
        "bins": [
            {"low": 0.5, "high": 0.6, "windows": 0, "confidence": None, "accuracy": None},
            {"low": 0.8, "high": 0.9, "windows": 120, "confidence": 0.85, "accuracy": 0.875},
        ],
        "calibration_error": 0.025,
    },
    "decisions": {
        "vote_n": 3, "min_confidence": 0.4, "accuracy": 0.95, "rejected": 0.1, "false_activations_per_min": 1.5,
    },
    "operating_point": {"vote_n": 3, "min_confidence": 0.6, "rejected": 0.2, "false_activations_per_min": 0.5},
    "advice": "Record more repetitions of fist: with fewer than 5, little can be learned.",
    "previous": {
        "comparable": True, "windows": 100, "new": {"balanced_accuracy": 0.85}, "previous": {"balanced_accuracy": 0.8},
    },
}  # fmt: skip


def login_of(pool: Pool, name: str = LOGIN) -> int:
    """Make a login of an account, and return its number."""
    with pool.transaction() as tx:
        account = accounts.find_account(tx, name)
    assert account is not None
    return make_login(pool, account.account_id).login_id


def store_noise(
    pool: Pool, user_id: int, start: datetime, seconds: float, session_id: int | None = None, *, twice: bool = False
) -> None:
    """Store samples like those of a good electrode, in blocks of half a second; ``twice`` repeats every second one."""
    generator = np.random.default_rng(1)
    step_us, n = round(1e6 / RATE_HZ), round(seconds * RATE_HZ)
    start_us = round(start.timestamp() * 1e6)
    made = []
    for first in range(0, n, 100):
        count = min(100, n - first)
        device_us = (np.arange(first, first + count) * step_us).astype(np.int64)
        samples = (2048 + 120 * generator.standard_normal((count, len(CHANNELS)))).astype(np.float32)
        if twice:
            samples[1::2] = samples[:-1:2]
        made.append(Block(user_id, start_us, first == 0, False, start_us, device_us, device_us + start_us, samples))
    with pool.transaction() as tx:
        blocks.copy_blocks(tx, made, session_id)


def make_session(pool: Pool, user_id: int, start: datetime, name: str = "Session 1", seconds: float = 12.0) -> int:
    """Store a completed session: rest, fist, rest, open hand, 3 s each, with its samples."""
    store_noise(pool, user_id, start, seconds)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        ended_at = start + timedelta(seconds=seconds)
        number = sessions.insert_session(
            tx, user_id, name, "capture", start, ended_at, status="completed", device=device
        )
        ids = gestures.ensure_gestures(tx, user_id, ["rest", "fist", "open hand"])
        for index, gesture in enumerate(["rest", "fist", "rest", "open hand"]):
            begin = start + timedelta(seconds=3 * index)
            sessions.insert_repetition(tx, number, ids[gesture], 1 + index // 2, begin, begin + timedelta(seconds=3))
    return number


def all_text(page: AppTest) -> str:
    """Everything that a page says, as one text."""
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.success, page.title, page.subheader)
    said = [str(element.value) for kind in kinds for element in kind]
    return "\n".join([*said, *(plain_html(element.body) for element in page.html)])


def plain_html(body: str) -> str:
    """What a piece of HTML says."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", "", body, flags=re.DOTALL))).strip()


def verdicts(page: AppTest) -> list[tuple[str, str]]:
    """Level and text of each verdict that a page shows, without what it is about."""
    shown = (re.search(r'data-level="([^"]+)".*?(<b>.*)', one.body, re.DOTALL) for one in page.html)
    return [(found[1], plain_html(found[2])) for found in shown if found]


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def button(page: AppTest, label: str) -> Any:
    """The page's button of this label."""
    found = [one for one in page.button if one.label == label]
    assert found, f"no button {label!r}, but {[one.label for one in page.button]}"
    return found[0]


def act(page: AppTest, what: str) -> Any:
    """The page's button that does something for the chosen person, by the beginning of its key."""
    found = [one for one in page.button if re.fullmatch(rf"{what}(-\d+)?-(for|to)-\d+", one.key or "")]
    assert found, f"no button {what!r}, but {[one.key for one in page.button]}"
    (made,) = found
    return made


def field(elements: Any, label: str) -> Any:
    """The one of some fields that has this label."""
    found = [one for one in elements if one.label == label]
    assert found, f"no field {label!r}, but {[one.label for one in elements]}"
    return found[0]


def insert_models(pool: Pool, user_id: int, n: int, reported: Mapping[str, Any] | None = None) -> None:
    """Store versions 1 to ``n``, with ``reported`` added to their report; the last one is active."""
    with pool.transaction() as tx:
        for _ in range(n):
            models.insert_model(tx, user_id, None, b"weights", {"kind": "cnn"}, REPORT | dict(reported or {}), 1 << 20)
        models.activate_model(tx, user_id, n)


def make_profile(pool: Pool, name: str, owner_id: int | None = None) -> int:
    """Make a profile without consent."""
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, name, channels=CHANNELS, rate_hz=RATE_HZ, owner_id=owner_id)
