"""Signs of life: renewed, removed at a clean stop, outliving an outage of the database."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from semg.errors import StoreUnavailableError
from semg.process.heartbeat import Heartbeat
from semg.store import services
from semg.store.pool import Pool, execute

STARTED = datetime(2026, 3, 1, tzinfo=UTC)


class Observed(Heartbeat):
    """A heartbeat whose signs can be waited for."""

    written = threading.Event()

    def _beat(self) -> None:
        super()._beat()
        self.written.set()

    def wait_for_sign(self, timeout_s: float) -> bool:
        """Wait for the next sign that is written; tell whether it came in time."""
        self.written.clear()
        return self.written.wait(timeout_s)


def test_services_are_renewed_listed_and_forgotten(pool: Pool) -> None:
    with pool.transaction() as tx:
        services.upsert_service(tx, "api", "host:1", 1, STARTED, {"n": 1})
        services.upsert_service(tx, "api", "host:1", 1, STARTED, {"n": 2})
        services.upsert_service(tx, "udpserver", "host:2", 2, STARTED, {"nan": float("nan")})
    with pool.transaction() as tx:
        execute(tx, "UPDATE services SET seen_at = now() - interval '60 s' WHERE service = 'udpserver'")
        fresh = services.list_services(tx, 30)
        assert [(s.service, s.instance, s.pid, s.started_at, s.metrics) for s in fresh] == [
            ("api", "host:1", 1, STARTED, {"n": 2})
        ]
        assert [s.metrics for s in services.list_services(tx)] == [{"n": 2}, {"nan": None}]
        assert services.delete_old_services(tx, 30) == 1
        assert [s.service for s in services.list_services(tx)] == ["api"]


def test_heartbeat_renews_its_row_and_removes_it_at_a_stop(pool: Pool) -> None:
    counter = iter(range(1000))
    with Observed(pool, "api", lambda: {"n": next(counter)}, every_s=0.02) as heartbeat:
        assert heartbeat.wait_for_sign(5)
        with pool.transaction() as tx:
            first = services.list_services(tx)[0]
        assert heartbeat.wait_for_sign(5)
        assert heartbeat.wait_for_sign(5)
        with pool.transaction() as tx:
            later = services.list_services(tx)[0]
    assert (first.service, first.instance, first.pid) == ("api", heartbeat.instance, os.getpid())
    assert later.metrics["n"] > first.metrics["n"]
    assert later.seen_at > first.seen_at
    with pool.transaction() as tx:
        assert services.list_services(tx) == []
    assert heartbeat.failures == 0


def test_table_of_senders_of_a_killed_service_is_forgotten_by_any_other(pool: Pool) -> None:
    told = {"accepted": 5, "sources": [{"user_id": 21, "values": [1, 2]}]}
    with pool.transaction() as tx:
        for number in (1, 2):
            services.upsert_service(tx, "udpserver", f"host:{number}", number, STARTED, told)
    with pool.transaction() as tx:
        execute(tx, "UPDATE services SET seen_at = now() - interval '31 s' WHERE pid = 1")
    with Observed(pool, "api", dict, every_s=0.02) as heartbeat:
        assert heartbeat.wait_for_sign(5)
        with pool.transaction() as tx:
            found = {status.pid: status.metrics for status in services.list_services(tx)}
    assert (found[1], found[2]) == ({"accepted": 5}, told)


class BreakablePool:
    """The real pool, and an outage on demand."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.broken = threading.Event()
        self.refused = threading.Semaphore(0)

    @contextmanager
    def transaction(self):
        if self.broken.is_set():
            self.refused.release()
            raise StoreUnavailableError("PostgreSQL is away")
        with self._pool.transaction() as tx:
            yield tx


def test_heartbeat_outlives_an_outage_and_logs_it_once(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    breakable = BreakablePool(pool)
    caplog.set_level(logging.INFO, "semg.process.heartbeat")
    with Observed(breakable, "api", dict, every_s=0.01) as heartbeat:
        assert heartbeat.wait_for_sign(5)
        breakable.broken.set()
        for _ in range(4):
            assert breakable.refused.acquire(timeout=5)
        breakable.broken.clear()
        assert heartbeat.wait_for_sign(5)
    assert heartbeat.failures >= 4
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "PostgreSQL is away" in caplog.records[0].getMessage()


def test_heartbeat_outlives_broken_counters(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    tries = iter(range(1000))

    def metrics() -> dict:
        return {"ok": True} if next(tries) > 2 else {}["missing"]

    with Observed(pool, "api", metrics, every_s=0.01) as heartbeat:
        assert heartbeat.wait_for_sign(5)
    assert heartbeat.failures == 3
    assert "KeyError" in caplog.text


def test_heartbeat_stops_while_the_database_is_away(pool: Pool) -> None:
    breakable = BreakablePool(pool)
    breakable.broken.set()
    others = set(threading.enumerate())  # an API of other tests may run in this process
    heartbeat = Observed(breakable, "api", dict, every_s=60)
    heartbeat.start()
    assert breakable.refused.acquire(timeout=5)
    heartbeat.stop()
    assert not any(thread.name == "api-heartbeat" for thread in set(threading.enumerate()) - others)
