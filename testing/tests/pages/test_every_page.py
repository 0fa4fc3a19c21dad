"""What every page does without profiles, and without its database."""

from __future__ import annotations

from typing import Any

import pytest

from testing.kits.page_data import (
    CAPTURE,
    CONNECT,
    GESTURES,
    JOBS,
    LIVE,
    LOGIN_OF_TEST,
    PLAY,
    REVIEW,
    TRAIN,
    USERS,
    Open,
    all_text,
    login_of,
)

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("name", [CONNECT, GESTURES, CAPTURE, TRAIN, JOBS, LIVE, PLAY, REVIEW])
def test_page_without_profiles_says_what_to_do(open_page: Open, name: str) -> None:
    page = open_page(name)
    assert not page.exception
    assert "No profile yet" in all_text(page)


@pytest.mark.parametrize("name", ["", USERS, CONNECT, GESTURES, CAPTURE, TRAIN, JOBS, LIVE, PLAY, REVIEW])
def test_database_that_is_away_becomes_a_sentence(open_page: Open, app_of_test: Any, name: str) -> None:
    login_id = login_of(app_of_test.pool)
    app_of_test.pool.close()
    app_of_test.settings.__dict__["postgres_port"] = 1
    page = open_page(name, **{LOGIN_OF_TEST: login_id})
    assert not page.exception
    assert "database cannot be reached" in page.error[0].value
