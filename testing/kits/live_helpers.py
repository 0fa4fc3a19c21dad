"""What the tests of the live path share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import numpy as np
import uvicorn

from semg.recordings.csv_format import Recording
from semg.security.tokens import Login
from semg.settings import Settings
from semg.signals.model.classifier import Classifier
from semg.store import access, accounts, models
from semg.store.pool import Pool, Transaction
from testing.kits.new_logins import make_login
from testing.kits.store_queries import set_shares
from webapi.app import create_app


def activate(tx: Transaction, user_id: int, classifier: Classifier) -> int:
    """Store a classifier as a new version and activate it."""
    artifact = classifier.to_bytes()
    _, version = models.insert_model(tx, user_id, None, artifact, classifier.metadata(), {}, 1 << 20)
    models.activate_model(tx, user_id, version)
    return version


def logged_in(pool: Pool, login: str = "watcher", role: str = "admin", *shared: int) -> Login:
    """Make an account that sees the given profiles, and give a login of it that is made after it."""
    with pool.transaction() as tx:
        account_id = accounts.insert_account(tx, login, "", role)
        for user_id in shared:
            set_shares(tx, user_id, [*access.list_shares(tx, user_id), account_id])
    return make_login(pool, account_id)


def with_classes(classifier: Classifier, names: dict[str, str]) -> Classifier:
    """Return the classifier with other names for its classes, in the same places."""
    return replace(classifier, classes=tuple(names.get(name, name) for name in classifier.classes))


@contextmanager
def api_running(settings: Settings) -> Iterator[httpx.Client]:
    """Serve the API with uvicorn and give a client with the token."""
    config = uvicorn.Config(
        create_app(settings), "127.0.0.1", settings.api_port, log_level="warning", ws="websockets-sansio",
        proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    headers = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
    try:
        with httpx.Client(base_url=settings.internal_api_url, headers=headers, timeout=20, trust_env=False) as client:
            wait_for(lambda: _is_ready(client))
            yield client
    finally:
        server.should_exit = True
        thread.join(20)


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Poll until a condition holds; fails with what it was after a generous time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {condition}"
        time.sleep(0.02)


def samples_of(recording: Recording, n: int = 400) -> np.ndarray:
    return recording.labelled.samples[:n]


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
