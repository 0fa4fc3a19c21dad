"""Results of measured play: how many are kept, and how they are read."""

from __future__ import annotations

import csv
import io

import pytest

from semg.play.results_csv import FIGURES, results_csv
from semg.store import play, profiles
from semg.store.pool import Pool, Transaction

pytestmark = pytest.mark.servers


def store(tx: Transaction, user_id: int, kind: str, version: int, *, simulated: bool = False) -> int:
    result = {"throughput": float(version), "trials": 9, "sequences": [{"index": 3.0}] * 9}
    return play.insert_result(
        tx, user_id, kind, version, simulated=simulated, settings={"limit_s": 5.0}, result=result, raw={}
    )


def test_oldest_results_leave_and_simulated_ones_push_out_none_of_the_persons(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "KEPT_EACH", 3)
    with pool.transaction() as tx:
        user_id, other = (profiles.insert_profile(tx, name, channels=["a0"], rate_hz=200.0) for name in ("Ada", "Bea"))
        store(tx, other, "fitts", 1)
        for version in range(1, 6):
            store(tx, user_id, "fitts", version)
        store(tx, user_id, "reaction", 1)
        for version in range(1, 6):
            store(tx, user_id, "fitts", version, simulated=True)
        found = play.list_results(tx, user_id)
        kept = sorted((one.kind, one.simulated, one.model_version) for one in found)
        assert kept == [
            *(("fitts", False, version) for version in (3, 4, 5)),
            *(("fitts", True, version) for version in (3, 4, 5)),
            ("reaction", False, 1),
        ]
        assert len(play.list_results(tx, other)) == 1


def test_results_are_read_in_portions_with_their_figures_only(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "AT_ONCE", 2)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0)
        for version in range(1, 6):
            store(tx, user_id, "fitts", version)
    portions = list(play.iterate_figures(pool, user_id, FIGURES))
    assert [len(one) for one in portions] == [2, 2, 1]
    assert portions[0][0].figures == {"throughput": 5.0, "trials": 9}
    pieces = list(results_csv(portions))
    assert len(pieces) == 4
    lines = list(csv.DictReader(io.StringIO(b"".join(pieces).decode())))
    assert [(one["model_version"], one["throughput"], one["trials"], one["median_ms"]) for one in lines] == [
        (str(version), f"{version:.1f}", "9", "") for version in (5, 4, 3, 2, 1)
    ]
    assert b"".join(results_csv([])).startswith(b"played_at,kind,")
