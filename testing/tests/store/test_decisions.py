"""Decisions: stored in one statement, without those of erased profiles."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from semg.domain import Decision
from semg.privacy.consent import TEST_PERSON
from semg.store import decisions, profiles
from semg.store.pool import Pool, one
from testing.kits.store_data import T0, decision, fill
from testing.kits.store_queries import list_decisions

US = st.integers(0, 2_000_000_000_000_000)


def test_decisions_come_back_in_time_order(pool: Pool, make_profile) -> None:
    user_id, other = make_profile("Ada"), make_profile("Bo")
    wanted = [decision(user_id, T0 + timedelta(seconds=i), "fist" if i % 2 else None) for i in range(5)]
    with pool.transaction() as tx:
        assert decisions.insert_decisions(tx, [*reversed(wanted), decision(other, T0)]) == 6
        assert decisions.insert_decisions(tx, []) == 0
        assert list_decisions(tx, user_id) == wanted
        since, until = T0 + timedelta(seconds=1), T0 + timedelta(seconds=4)
        assert list_decisions(tx, user_id, since, until) == wanted[1:4]
        assert list_decisions(tx, user_id, limit=2) == wanted[3:]


@given(st.lists(st.tuples(US, US, US, US), min_size=1, max_size=5, unique_by=lambda times: times[3]))
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_times_survive_the_database_to_the_microsecond(pool: Pool, times: list[tuple[int, int, int, int]]) -> None:
    with pool.transaction() as tx:
        found = profiles.find_profile_by_name(tx, "Ada")
        user_id = (
            found.user_id
            if found
            else profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200, consent=TEST_PERSON)
        )
        stored = sorted((Decision(user_id, "fist", 0.5, 1, *each) for each in times), key=lambda d: d.decided_us)
        decisions.insert_decisions(tx, stored)
        assert list_decisions(tx, user_id) == stored
        tx.rollback()


def test_decisions_of_a_deleted_profile_are_left_out(pool: Pool, make_profile) -> None:
    user_id, gone = make_profile("Ada"), make_profile("Bo")
    with pool.transaction() as tx:
        profiles.delete_profile(tx, gone)
        assert decisions.insert_decisions(tx, [decision(gone, T0), decision(user_id, T0)]) == 1


def test_decisions_during_a_deletion_are_left_out_without_an_error(pool: Pool) -> None:
    with pool.transaction() as tx:
        user_id = fill(tx, "Ada").user_id
    stored: list[int] = []

    def write() -> None:
        with pool.transaction() as tx:
            stored.append(decisions.insert_decisions(tx, [decision(user_id, T0)]))

    writer = threading.Thread(target=write)
    with pool.transaction() as tx:
        profiles.delete_profile(tx, user_id)
        writer.start()
        writer.join(0.3)
        assert writer.is_alive(), "the writer must wait for the deletion"
    writer.join(10)
    assert stored == [0]
    with pool.transaction() as tx:
        assert one(tx, "SELECT count(*) AS n FROM api_responses").n == 0


def test_decision_that_cannot_be_stored_keeps_no_other_from_it(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    wanted = [decision(user_id, T0 + timedelta(seconds=i), "fist") for i in range(4)]
    wrong = replace(decision(user_id, T0, "fist"), decided_us=2**63 - 1)
    with pool.transaction() as tx:
        assert decisions.insert_possible(tx, [*wanted[:2], wrong, *wanted[2:]]) == [wrong]
        assert decisions.insert_possible(tx, []) == []
    with pool.transaction() as tx:
        assert list_decisions(tx, user_id) == wanted
