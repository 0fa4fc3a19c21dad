"""A page that is open while its account changes; and a model that is taken away as a file, and written down."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import accounts, audit, gestures, profiles
from semg.store.pool import Pool
from testing.kits.journey import LOGIN, log_in, open_page
from testing.kits.page_data import insert_models
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]


@pytest.fixture
def jobs_page(page: Page, pool: Pool, live_settings: Settings, tmp_path: Path) -> Iterator[Page]:
    """The page of jobs and models, of a profile that has one version."""
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0", "a1"], rate_hz=200.0, consent=TEST_PERSON)
    insert_models(pool, user_id, 1)
    png = io.BytesIO()
    Image.new("RGB", (60, 40), "green").save(png, "PNG")
    with pool.transaction() as tx:
        gestures.set_prompt(tx, gestures.list_gestures(tx, user_id)[0].gesture_id, png.getvalue())
    with running(live_settings, tmp_path, ("streamlit", "api")):
        log_in(page, live_settings)
        open_page(page, "Jobs and models")
        yield page


def test_model_is_taken_away_and_an_open_page_ends_with_its_account(jobs_page: Page, pool: Pool) -> None:
    with jobs_page.expect_download() as taken:
        jobs_page.get_by_role("link", name="Model (safetensors)").click()
    assert taken.value.suggested_filename.endswith("-v1.safetensors")
    assert Path(taken.value.path()).read_bytes() == b"weights"
    with pool.transaction() as tx:
        assert audit.list_entries(tx)[0].action == "model.exported"
        account = accounts.find_account(tx, LOGIN)
        assert account is not None
        accounts.insert_account(tx, "another-admin", "", "admin")
        accounts.update_account(tx, account.account_id, role="admin", disabled=True)
    expect(jobs_page.get_by_role("textbox", name="Password")).to_be_visible()  # nobody has clicked
    expect(jobs_page.get_by_text("No training jobs yet.")).to_have_count(0)


def test_picture_of_a_gesture_comes_from_the_api_and_is_no_open_file(jobs_page: Page) -> None:
    asked: list[str] = []
    jobs_page.on("request", lambda request: asked.append(request.url))
    open_page(jobs_page, "Gestures")
    jobs_page.get_by_role("button", name="Edit").first.click()
    picture = jobs_page.get_by_role("dialog").locator("img[src*='/files/prompt-']")
    expect(picture).to_have_js_property("naturalWidth", 60)
    assert [url for url in asked if urlsplit(url).path.startswith("/media/")] == []  # Streamlit's store of open files
