"""Fixtures of the ingest tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from semg.store.pool import Pool
from testing.kits.ingest_kit import Sender


@pytest.fixture
def sender(servers: Any) -> Iterator[Sender]:
    made = Sender(servers.settings)
    yield made
    made.close()


@pytest.fixture
def ingest_pool(servers: Any) -> Iterator[Pool]:
    made = Pool(servers.settings, name="ingest-test")
    yield made
    made.close()
