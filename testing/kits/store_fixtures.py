"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from semg.privacy.consent import TEST_PERSON
from semg.store import profiles
from semg.store.pool import Pool
from testing.kits.store_data import Filled, fill


@pytest.fixture
def filled(pool: Pool) -> Filled:
    """A profile with a row in every table that belongs to profiles."""
    with pool.transaction() as tx:
        return fill(tx, "Ada")


@pytest.fixture
def make_profile(pool: Pool) -> Callable[[str], int]:
    """Make a profile with two channels."""

    def make(name: str) -> int:
        with pool.transaction() as tx:
            return profiles.insert_profile(tx, name, channels=("a0", "a1"), rate_hz=200, consent=TEST_PERSON)

    return make
