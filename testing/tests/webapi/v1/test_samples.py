"""Samples: the same in every format, with their gaps; in bounded memory; cut off when they may not be seen any more."""

from __future__ import annotations

import io
import itertools
import tracemalloc
from datetime import timedelta

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from semg.recordings import sample_tables
from semg.recordings.session_data import load_session
from semg.recordings.table_formats import encoded
from semg.store import sessions
from semg.store.pool import execute
from semg.wire.sample_formats import MEDIA_TYPES, accepted_format
from testing.kits.rest_kit import CHANNELS, RATE_HZ, START, Rest

pytestmark = pytest.mark.servers
FORMATS = tuple(MEDIA_TYPES)
DAYS = itertools.count(1)


def table(answer: httpx.Response) -> pd.DataFrame:
    """What an answer holds, whatever its format."""
    assert answer.status_code == 200, answer.text
    kind = answer.headers["content-type"].partition(";")[0]
    content = io.BytesIO(answer.content)
    if kind == MEDIA_TYPES["arrow"]:
        found = pa.ipc.open_stream(content).read_all().to_pandas()
    elif kind == MEDIA_TYPES["parquet"]:
        found = pd.read_parquet(content)
    elif kind == MEDIA_TYPES["csv"]:
        found = pd.read_csv(content, dtype=dict.fromkeys(CHANNELS, np.float32), keep_default_na=False, na_values={
            name: [""] for name in CHANNELS})  # fmt: skip
    else:
        said = answer.json()
        found = pd.DataFrame(said["rows"], columns=said["columns"])
    found["server_at"] = pd.to_datetime(found["server_at"], utc=True)
    return found


def values(found: pd.DataFrame) -> bytes:
    return found[list(CHANNELS)].to_numpy(np.float32).tobytes()


def test_sample_is_the_same_in_every_format(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    start = START + timedelta(days=next(DAYS))
    number = rest.session(user_id, start, 300.0, gap_s=(110.0, 131.0))  # over the edge of two portions
    with rest.pool.transaction() as tx:
        stored = load_session(tx, sessions.get_session(tx, number))
    path = f"/sessions/{number}/samples"
    found = [table(rest.get(admin, path, params={"format": form})) for form in FORMATS]
    found += [table(rest.get(admin, path, headers={"Accept": kind})) for kind in MEDIA_TYPES.values()]
    for one in found:
        assert values(one) == stored.samples.tobytes()
        assert list(one.columns) == ["server_at", *CHANNELS, "gesture", "repetition"]
        assert one["server_at"].tolist() == found[0]["server_at"].tolist()
        assert one["gesture"].astype(str).tolist() == found[0]["gesture"].tolist()
        assert one["repetition"].tolist() == found[0]["repetition"].tolist()
    assert found[0]["server_at"].diff().max() == pd.Timedelta(seconds=21.005)
    assert found[0]["gesture"].value_counts().to_dict() == {
        "rest": round((150 - 21) * RATE_HZ), "fist": round(150 * RATE_HZ)
    }  # fmt: skip


def test_part_is_what_lies_in_it(rest: Rest, admin: str, person: int) -> None:
    number = rest.get(admin, f"/profiles/{person}/sessions").json()["items"][0]["session_id"]
    path = f"/sessions/{number}/samples"
    whole = table(rest.get(admin, path))
    since, until = START + timedelta(seconds=2.001), START + timedelta(seconds=7)
    for form in FORMATS:
        asked = {"since": since.isoformat(), "until": until.isoformat(), "format": form}
        part = table(rest.get(admin, path, params=asked))
        inside = whole[(whole["server_at"] >= since) & (whole["server_at"] < until)]
        assert (len(part), values(part)) == (len(inside), values(inside))
        nothing = table(rest.get(admin, path, params=asked | {"until": since.isoformat()}))
        assert (len(nothing), list(nothing.columns)) == (0, list(whole.columns))
    far = (START + timedelta(days=1)).isoformat()
    for asked, field in (({"since": far}, "since"), ({"until": START.isoformat(), "since": since.isoformat()}, "until"),
                         ({"since": "yesterday"}, "since"), ({"since": "2026-03-02T09:00:00"}, "since"),
                         ({"format": "xlsx"}, "format"), ({"max_points": 1}, "max_points"),
                         ({"max_points": 10_001}, "max_points")):  # fmt: skip
        answer = rest.get(admin, path, params=asked)
        assert (answer.status_code, answer.json()["field"]) == (422, field), asked
    refused = rest.get(admin, path, headers={"Accept": "image/png"})
    assert (refused.status_code, refused.headers["content-type"]) == (406, "application/problem+json")


def test_decimated_keeps_every_peak_and_breaks_at_gaps(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    number = rest.session(user_id, START + timedelta(days=next(DAYS)), 200.0, gap_s=(50.0, 60.0))
    path = f"/sessions/{number}/samples"
    whole = table(rest.get(admin, path))
    for form in FORMATS:
        drawn = table(rest.get(admin, path, params={"max_points": 200, "format": form}))
        assert len(drawn) <= 201
        assert drawn["a0"].isna().sum() == 1
        for name in CHANNELS:
            ends = [np.float32([one[name].min(), one[name].max()]).tolist() for one in (drawn, whole)]
            assert ends[0] == ends[1]


def test_answer_is_cut_off_when_the_token_is_revoked_or_the_session_erased(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_tables, "PORTION", timedelta(seconds=10))
    gone = {
        "token": "DELETE FROM api_tokens WHERE account_id = (SELECT max(account_id) FROM accounts)",
        "share": "DELETE FROM profile_shares WHERE user_id = %(user)s",
        "session": "DELETE FROM sessions WHERE session_id = %(session)s",
    }
    for what, statement in gone.items():
        user_id = rest.profile()
        number = rest.session(user_id, START + timedelta(days=next(DAYS)), 60.0)
        token = rest.token("viewer", user_id)
        portions = sample_tables.iterate_portions

        def losing(*asked: object, portions=portions, statement=statement, ids=(user_id, number), **more: object):
            for index, portion in enumerate(portions(*asked, **more)):
                if index == 2:
                    with rest.pool.transaction() as tx:
                        execute(tx, statement, {"user": ids[0], "session": ids[1]})
                yield portion

        with monkeypatch.context() as patched:
            patched.setattr(sample_tables, "iterate_portions", losing)
            with pytest.raises(httpx.RemoteProtocolError):
                rest.get(token, f"/sessions/{number}/samples?format=arrow")
        assert rest.get(token, f"/sessions/{number}").status_code == (401 if what == "token" else 404)


def test_memory_is_that_of_a_portion_however_long_the_session(rest: Rest, admin: str, monkeypatch) -> None:
    monkeypatch.setattr(sample_tables, "PORTION", timedelta(seconds=20))
    user_id = rest.profile()
    start = START + timedelta(days=next(DAYS))
    most = {}
    for seconds in (60.0, 480.0):
        number = rest.session(user_id, start, seconds)
        start += timedelta(seconds=seconds + 60)
        with rest.pool.transaction() as tx:
            session = sessions.get_session(tx, number)
        for form in FORMATS:
            tracemalloc.start()
            for _ in encoded(sample_tables.whole_samples(rest.pool, session), form):
                pass
            most[seconds, form] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    for form in FORMATS:
        assert most[480.0, form] < 1.5 * most[60.0, form] + 200_000, most


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "json"), ("", "json"), ("*/*", "json"), ("text/csv", "csv"), ("text/*;q=0.4, */*;q=0.1", "csv"),
        ("application/vnd.apache.arrow.stream, application/json;q=0.5", "arrow"), ("image/png", None),
        ("application/json;q=0", None), ("application/json;q=x", None), ("APPLICATION/VND.APACHE.PARQUET", "parquet"),
    ],
)  # fmt: skip
def test_accept_is_read_as_rfc_9110_says(accept: str | None, form: str | None) -> None:
    assert accepted_format(accept) == form
