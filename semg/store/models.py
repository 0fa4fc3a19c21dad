"""Classifier versions: made by training, activated, rolled back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from semg.domain import Model
from semg.errors import InvalidValueError, NotFoundError
from semg.store import checks
from semg.store.pool import Transaction, execute, one, rows

_COLUMNS = """
    m.model_id, m.user_id, m.version, m.job_id, m.created_at, a.model_id IS NOT NULL AS active,
    octet_length(m.artifact) AS model_bytes, m.metadata, m.report
"""
_FROM = "FROM models m LEFT JOIN active_models a USING (user_id, model_id)"
_SELECT = f"SELECT {_COLUMNS} {_FROM}"  # noqa: S608
_SELECT_ARTIFACT = f"SELECT {_COLUMNS}, m.artifact {_FROM}"  # noqa: S608


def insert_model(
    tx: Transaction,
    user_id: int,
    job_id: int | None,
    artifact: bytes,
    metadata: dict[str, Any],
    report: dict[str, Any],
    max_bytes: int,
) -> tuple[int, int]:
    """Store a new version; concurrent trainings of a profile wait for one another's number.

    Returns
    -------
    tuple
        ``(model_id, version)``; versions count from 1 and are never used again.

    Raises
    ------
    InvalidValueError
        The artifact is empty or larger than ``max_bytes`` (MAX_MODEL_BYTES).
    NotFoundError
        There is no such profile.
    """
    if not 0 < len(artifact) <= max_bytes:
        raise InvalidValueError("artifact", f"expected 1 to {max_bytes:,} bytes, got {len(artifact):,}")
    version = one(
        tx,
        """
        UPDATE profiles SET last_model_version = last_model_version + 1 WHERE user_id = %s
        RETURNING last_model_version AS number
        """,
        (user_id,),
    )
    if version is None:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")
    made = one(
        tx,
        """
        INSERT INTO models (user_id, version, job_id, artifact, metadata, report) VALUES (%s, %s, %s, %s, %s, %s)
        RETURNING model_id
        """,
        (user_id, version.number, job_id, artifact, checks.as_json(metadata), checks.as_json(report)),
    )
    assert made is not None
    return int(made.model_id), int(version.number)


def activate_model(tx: Transaction, user_id: int, version: int) -> None:
    """Activate this version for the profile; an older one is a rollback.

    Raises
    ------
    NotFoundError
        The profile has no such version.
    """
    changed = execute(
        tx,
        """
        INSERT INTO active_models (user_id, model_id, activated_at)
        SELECT user_id, model_id, clock_timestamp() FROM models WHERE user_id = %s AND version = %s
        ON CONFLICT (user_id) DO UPDATE SET model_id = EXCLUDED.model_id, activated_at = EXCLUDED.activated_at
        """,
        (user_id, version),
    )
    if changed == 0:
        raise _missing(user_id, version)


def lock_active(tx: Transaction, user_id: int) -> None:
    """Keep others from activating another version of the profile until the transaction ends."""
    execute(tx, "SELECT 1 FROM active_models WHERE user_id = %s FOR UPDATE", (user_id,))


def list_active(tx: Transaction) -> list[tuple[int, int, datetime]]:
    """Return ``(user_id, version, activated_at)`` of every profile that has an active model; cheap, for polling."""
    query = """
        SELECT a.user_id, m.version, a.activated_at
        FROM active_models a JOIN models m ON m.model_id = a.model_id ORDER BY a.user_id
    """
    return [(row.user_id, row.version, row.activated_at) for row in rows(tx, query)]


def find_activated_at(tx: Transaction, user_id: int) -> datetime | None:
    """Return since when the profile's active version is active, or None."""
    found = one(tx, "SELECT activated_at FROM active_models WHERE user_id = %s", (user_id,))
    return None if found is None else found.activated_at


def find_active(tx: Transaction, user_id: int) -> Model | None:
    """Return the profile's active model, or None."""
    row = one(tx, _SELECT + " WHERE m.user_id = %s AND a.model_id IS NOT NULL", (user_id,))
    return None if row is None else _model(row)


def find_active_artifact(tx: Transaction, user_id: int) -> tuple[Model, bytes] | None:
    """Return the profile's active model with its bytes, or None."""
    row = one(tx, _SELECT_ARTIFACT + " WHERE m.user_id = %s AND a.model_id IS NOT NULL", (user_id,))
    return None if row is None else (_model(row), bytes(row.artifact))


def get_model(tx: Transaction, user_id: int, version: int) -> Model:
    """Return a version.

    Raises
    ------
    NotFoundError
        The profile has no such version.
    """
    row = one(tx, _SELECT + " WHERE m.user_id = %s AND m.version = %s", (user_id, version))
    if row is None:
        raise _missing(user_id, version)
    return _model(row)


def get_artifact(tx: Transaction, user_id: int, version: int) -> bytes:
    """Return a version's bytes; errors as ``get_model``."""
    row = one(tx, "SELECT artifact FROM models WHERE user_id = %s AND version = %s", (user_id, version))
    if row is None:
        raise _missing(user_id, version)
    return bytes(row.artifact)


def list_models(tx: Transaction, user_id: int) -> list[Model]:
    """Return a profile's versions, newest first."""
    return [_model(row) for row in rows(tx, _SELECT + " WHERE m.user_id = %s ORDER BY m.version DESC", (user_id,))]


def update_report(tx: Transaction, user_id: int, version: int, report: dict[str, Any]) -> None:
    """Replace a version's report; errors as ``get_model``."""
    query = "UPDATE models SET report = %s WHERE user_id = %s AND version = %s"
    if execute(tx, query, (checks.as_json(report), user_id, version)) == 0:
        raise _missing(user_id, version)


def _missing(user_id: int, version: int) -> NotFoundError:
    return NotFoundError(f"profile {user_id} has no model version {version}")


def _model(row: Any) -> Model:
    return Model(
        model_id=row.model_id,
        user_id=row.user_id,
        version=row.version,
        job_id=row.job_id,
        created_at=row.created_at,
        active=row.active,
        model_bytes=row.model_bytes,
        metadata=row.metadata,
        report=row.report,
    )
