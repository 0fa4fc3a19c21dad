"""Failed logins in the audit log: all counted, one entry a minute for a login and for an address."""

from __future__ import annotations

import math

import pytest

from semg.security.failed_logins import MOST, FailedLogins, Failures, address_of, number_of, record_failures
from semg.store import accounts, audit
from semg.store.audit import Actor
from semg.store.pool import Pool


def test_first_failure_is_written_at_once_and_the_others_once_a_minute() -> None:
    failed = FailedLogins()
    assert failed.note(0, 7, "192.0.2.1") == [Failures(1, 7, "192.0.2.1")]
    for second in range(1, 60):
        assert failed.note(second, 7, f"192.0.2.{second}") == []
    assert failed.note(61, 7, "192.0.2.1") == [Failures(59, 7)]
    assert failed.due(100) == []
    assert failed.due(122) == [Failures(1, 7)]
    assert failed.due(math.inf) == []
    assert len(failed) == 0


def test_an_address_that_tries_many_logins_has_one_entry_a_minute() -> None:
    failed = FailedLogins()
    written = [entry for number in range(500) for entry in failed.note(number / 10, number, "192.0.2.1")]
    assert written == [Failures(1, 0, "192.0.2.1")]
    assert failed.due(61) == [Failures(499, None, "192.0.2.1")]


def test_logins_that_nobody_has_count_to_their_address() -> None:
    failed = FailedLogins()
    assert failed.note(0, None, "2001:db8::1") == [Failures(1, None, "2001:db8::1")]
    assert failed.note(0, None, "2001:db8::1") == []
    assert failed.note(0, None, None) == [Failures(1)]
    assert failed.note(0, None, None) == []


def test_many_addresses_fill_neither_the_memory_nor_the_log() -> None:
    failed, n = FailedLogins(), 5 * MOST
    written = [entry for number in range(n) for entry in failed.note(0, None, str(number))]
    assert len(failed) <= MOST + 1
    assert len(written) <= MOST + 1
    assert sum(entry.tries for entry in written + failed.due(math.inf)) == n


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)  # fmt: skip
def test_address_is_a_number_in_the_log(address: str, shown: str) -> None:
    number = number_of(address)
    assert number is not None
    assert address_of(number) == shown


def test_entries_tell_how_many_and_of_whom(pool: Pool) -> None:
    with pool.transaction() as tx:
        account = accounts.insert_account(tx, "ada", "")
        record_failures(
            tx, Actor(service="login form"),
            [Failures(1, account, "2001:db8::1"), Failures(9, None, "testclient"), Failures(3)],
        )  # fmt: skip
        counts = [entry.counts for entry in reversed(audit.list_entries(tx))]
    assert counts == [
        {"tries": 1, "account": account, "address": number_of("2001:db8::1")}, {"tries": 9}, {"tries": 3}
    ]  # fmt: skip
