"""Profiles with trained models, and the API as a real server on a free port."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from semg.privacy.consent import TEST_PERSON
from semg.recordings.csv_format import Recording
from semg.signals.model.classifier import Classifier
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.train import train
from semg.store import profiles
from semg.store.pool import Pool
from testing.kits.live_helpers import activate, api_running
from testing.kits.recording_kit import synthetic_recording

GESTURES = ("rest", "fist", "flexion")


@pytest.fixture(scope="session")
def arm() -> SyntheticArm:
    return SyntheticArm(seed=3, channels=4, gestures=GESTURES)


@pytest.fixture(scope="session")
def recording(arm: SyntheticArm) -> Recording:
    return synthetic_recording(arm, arm.session(1, make_plan(GESTURES, 3, 1.5)), "synthetic-1")


@pytest.fixture(scope="session")
def classifier(recording: Recording) -> Classifier:
    return train([recording.labelled], "logcov_lda", seed=0).classifier


@pytest.fixture
def make_wearer(pool: Pool, arm: SyntheticArm) -> Callable[..., int]:
    """Makes a profile, with an active model when one is given."""

    def make(name: str, classifier: Classifier | None = None, **device: object) -> int:
        with pool.transaction() as tx:
            wanted = {"channels": ("a0", "a1", "a2", "a3"), "rate_hz": arm.rate_hz} | device
            user_id = profiles.insert_profile(tx, name, **wanted, consent=TEST_PERSON, allow_v1=True)
            if classifier is not None:
                activate(tx, user_id, classifier)
        return user_id

    return make


@pytest.fixture
def api(servers) -> Iterator[httpx.Client]:
    with api_running(servers.settings) as client:
        yield client
