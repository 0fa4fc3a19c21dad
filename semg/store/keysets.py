"""Pages of lists by their keys: the rows after a key, in the order of the keys, which never change.

A row that is added meanwhile comes in its turn or not at all; none comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from semg.domain import JobStatus
from semg.store.pool import Transaction, rows


@dataclass(frozen=True, slots=True)
class Keyset:
    """Which keys: ``limit`` after ``after`` (None: from the beginning), and one more, which shows that some follow."""

    after: int | None
    limit: int
    newest_first: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of ``_AFTER``."""
        return {"after": self.after, "n": self.limit + 1}


def profile_ids(tx: Transaction, account_id: int | None, keys: Keyset) -> list[int]:
    """Return profiles that are an account's own or shared with it; with None, all of them."""
    seen = """
        (%(account)s::bigint IS NULL OR owner_id = %(account)s OR EXISTS (
            SELECT FROM profile_shares s WHERE s.user_id = profiles.user_id AND s.account_id = %(account)s))
    """
    return _keys(tx, "user_id", "profiles", seen, {"account": account_id}, keys)


def session_ids(tx: Transaction, user_id: int, keys: Keyset) -> list[int]:
    """Return sessions of a profile."""
    return _keys(tx, "session_id", "sessions", "user_id = %(user)s", {"user": user_id}, keys)


def repetition_ids(tx: Transaction, session_id: int, keys: Keyset) -> list[int]:
    """Return repetitions of a session."""
    return _keys(tx, "repetition_id", "repetitions", "session_id = %(session)s", {"session": session_id}, keys)


def job_ids(tx: Transaction, user_id: int, status: JobStatus | None, keys: Keyset) -> list[int]:
    """Return jobs of a profile, of one status or all."""
    which = "user_id = %(user)s AND (%(status)s::text IS NULL OR status::text = %(status)s)"
    return _keys(tx, "job_id", "jobs", which, {"user": user_id, "status": status}, keys)


def model_versions(tx: Transaction, user_id: int, keys: Keyset) -> list[int]:
    """Return versions of a profile's model."""
    return _keys(tx, "version", "models", "user_id = %(user)s", {"user": user_id}, keys)


def _keys(tx: Transaction, key: str, table: str, which: str, parameters: dict[str, Any], keys: Keyset) -> list[int]:
    beyond, order = ("<", "DESC") if keys.newest_first else (">", "ASC")
    query = f"""
        SELECT {key} AS key FROM {table}
        WHERE {which} AND (%(after)s::bigint IS NULL OR {key} {beyond} %(after)s) ORDER BY {key} {order} LIMIT %(n)s
    """  # noqa: S608 - constants of this module
    return [int(row.key) for row in rows(tx, query, parameters | keys.parameters)]
