"""Signs of life of the services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from semg.store import checks
from semg.store.pool import Transaction, execute, rows


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The last sign of life of a service, with its counters."""

    service: str
    instance: str
    pid: int
    started_at: datetime
    seen_at: datetime
    metrics: dict[str, Any]


def upsert_service(
    tx: Transaction, service: str, instance: str, pid: int, started_at: datetime, metrics: dict[str, Any]
) -> None:
    """Store a service's sign of life, with its counters."""
    execute(
        tx,
        """
        INSERT INTO services (service, instance, pid, started_at, seen_at, metrics) VALUES (%s, %s, %s, %s, now(), %s)
        ON CONFLICT (service, instance) DO UPDATE
        SET pid = EXCLUDED.pid, started_at = EXCLUDED.started_at, seen_at = EXCLUDED.seen_at, metrics = EXCLUDED.metrics
        """,
        (service, instance, pid, checks.aware("started_at", started_at), checks.as_json(metrics)),
    )


def list_services(tx: Transaction, max_age_s: float | None = None) -> list[ServiceStatus]:
    """Return the services seen in the last ``max_age_s`` seconds (all by default), by name and instance."""
    found = rows(
        tx,
        """
        SELECT service, instance, pid, started_at, seen_at, metrics FROM services
        WHERE %(age)s::float8 IS NULL OR seen_at >= now() - %(age)s::float8 * interval '1 second'
        ORDER BY service, instance
        """,
        {"age": max_age_s},
    )
    return [ServiceStatus(r.service, r.instance, r.pid, r.started_at, r.seen_at, r.metrics) for r in found]


def forget_senders(tx: Transaction, max_age_s: float) -> int:
    """Remove the table of senders from the rows of services that have not been seen for ``max_age_s`` seconds."""
    return execute(
        tx,
        """
        UPDATE services SET metrics = metrics - 'sources' WHERE (service, instance) IN (
            SELECT service, instance FROM services
            WHERE seen_at < now() - %s * interval '1 second' AND metrics ? 'sources' FOR UPDATE SKIP LOCKED)
        """,
        (max_age_s,),
    )


def delete_service(tx: Transaction, service: str, instance: str) -> None:
    """Remove the row of a service that has stopped."""
    execute(tx, "DELETE FROM services WHERE service = %s AND instance = %s", (service, instance))


def delete_old_services(tx: Transaction, max_age_s: float) -> int:
    """Remove the rows of services that have not been seen for ``max_age_s`` seconds, and return how many."""
    return execute(tx, "DELETE FROM services WHERE seen_at < now() - %s * interval '1 second'", (max_age_s,))
