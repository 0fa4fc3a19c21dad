"""What a person's rows are, to prove that something changed them, or did not."""

from __future__ import annotations

from semg.store.pool import Pool, one

OWN = ("profiles", "devices", "consents", "gestures", "sessions", "jobs", "models", "active_models", "sample_blocks")
"""Tables whose rows name their profile."""
OF_SESSIONS = ("repetitions", "repetition_changes", "videos")
"""Tables whose rows name a session."""


def fingerprint(pool: Pool, user_id: int) -> dict[str, str]:
    """Return of each table a digest of the profile's rows, all columns; empty where it has none."""
    of_session = "session_id IN (SELECT session_id FROM sessions WHERE user_id = %(user)s)"
    where = dict.fromkeys(OWN, "user_id = %(user)s") | dict.fromkeys(OF_SESSIONS, of_session)
    found: dict[str, str] = {}
    with pool.transaction() as tx:
        for table, condition in where.items():
            digest = "md5(string_agg(t::text, '|' ORDER BY t::text))"
            query = f"SELECT {digest} AS digest FROM {table} t WHERE {condition}"  # noqa: S608 - all of it is here
            row = one(tx, query, {"user": user_id})
            found[table] = "" if row is None or row.digest is None else str(row.digest)
    return found
