"""The same facts have the same verdict on every page: icon, word, reason, next step, figures one click away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.store import services
from semg.store.pool import Pool
from semg.store.session_quality import SessionQuality, find_quality, save_quality
from semg.store.sessions import list_repetitions
from testing.kits.page_data import (
    CAPTURE,
    CONNECT,
    JOBS,
    LIVE,
    REVIEW,
    TRAIN,
    Open,
    insert_models,
    make_session,
    now,
    store_noise,
    verdicts,
)

pytestmark = pytest.mark.servers


def figures(page: AppTest) -> list[str]:
    """The tables behind the verdicts of a page."""
    return [one.body for one in page.html if "semg-figures" in one.body and "data-level" not in one.body]


def test_stream_has_one_verdict_on_overview_capture_and_live(open_page: Open, pool: Pool, profile_id: int) -> None:
    status = {"age_s": 0.1, "seconds": 10.0, "datagrams": 1600, "samples": 1600, "missing": 400, "long_s": 60.0,
              "runs": 1, "segments": 1, "low": 100.0, "high": 3000.0, "channels": 4}  # fmt: skip
    source = {"address": "10.0.0.7:2390", "user_id": profile_id, "rate_hz": 160.0, "channels": 4, "values": [1.0],
              "state": "ok", "age_s": 0.1}  # fmt: skip
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 60)
    expected = [("do not use", "Do not use. 20.0% of Ada's samples are lost in transit. Check the Wi-Fi.")]
    for where in ([CAPTURE], [], [LIVE]):
        with pool.transaction() as tx:
            metrics = {"sources": [source], "streams": {str(profile_id): status}}
            services.upsert_service(tx, "udpserver", "a:1", 1, now(), metrics)
        page = open_page(*where)
        assert not page.exception
        assert verdicts(page) == expected
        (table,) = figures(page)
        assert "20.0% lost" in table
        (opener,) = [one for one in page.get("popover") if one.proto.popover.label == "Figures"]
        assert [one.body for one in opener.get("html")] == [table]


def test_samples_that_are_sent_twice_are_said_on_capture_live_and_connect(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    status = {"age_s": -60.0, "seconds": 10.0, "datagrams": 2000, "samples": 2000, "long_s": 60.0, "runs": 1,
              "segments": 1, "low": 1500.0, "high": 2600.0, "channels": 4}  # fmt: skip
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 60, twice=True)
    with pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), {"streams": {str(profile_id): status}})
    for where in (CAPTURE, LIVE, CONNECT):
        page = open_page(where)
        assert not page.exception
        ((level, text),) = verdicts(page)
        assert (level, "50% of the samples repeat the one before. Send each sample once" in text) == (
            "do not use",
            True,
        )
        assert "200 samples/s" in figures(page)[0]


def test_session_has_one_verdict_on_train_and_review(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=2), "one")
    flat = "a1: flat: the electrode or its wire is off"
    with pool.transaction() as tx:
        first, *others = [one.repetition_id for one in list_repetitions(tx, number)]
        stored = {first: ("bad", flat)} | {each: ("good", "good") for each in others}
        save_quality(tx, number, SessionQuality("bad", f"1 of 4 intervals: {flat}", stored))
        assert find_quality(tx, number) is not None
    expected = (
        "do not use",
        "Do not use. Channel a1 was loose in 25 % of the intervals. Consider leaving it out, or press the electrode on "
        "and record again.",
    )
    train = open_page(TRAIN)
    assert expected[1].partition(" Consider")[0].rstrip(".") in train.checkbox(key=f"session-{number}").label
    assert verdicts(train) == [expected]
    train.toggle(key="look").set_value(True).run()
    assert verdicts(train) == [expected, expected]
    review = open_page(REVIEW)
    assert verdicts(review) == [expected]
    assert figures(review) == figures(train)
    assert "1 of 4" in figures(review)[0]


def test_version_has_one_verdict_on_jobs_and_live(open_page: Open, pool: Pool, profile_id: int) -> None:
    said: dict[str, Any] = {
        "level": "do not use", "code": "chance", "chance": 0.5,
        "sentence": "It is hardly better than chance (balanced accuracy 50 %, chance 50 %). Record again.",
    }  # fmt: skip
    insert_models(pool, profile_id, 1, {"verdict": said})
    expected = ("do not use", f"Do not use. {said['sentence']}")
    jobs, live = open_page(JOBS), open_page(LIVE)
    assert verdicts(jobs) == [expected]
    assert expected in verdicts(live)
    assert figures(jobs)[0] in figures(live)
    assert "Balanced accuracy" in figures(jobs)[0]
