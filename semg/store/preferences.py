"""What an account prefers in the app: a small object, with an entry for each part of the app."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from semg.errors import InvalidValueError, NotFoundError
from semg.store import checks
from semg.store.pool import Transaction, execute

MAX_LENGTH = 8000
"""Characters of everything that an account prefers, as text; the schema has the same bound."""


def update_preference(tx: Transaction, account_id: int, part: str, value: Mapping[str, Any]) -> None:
    """Store what an account prefers of one part of the app; what it prefers of others stays.

    Raises
    ------
    InvalidValueError
        It is longer than such a thing can be.
    NotFoundError
        There is no such account.
    """
    if len(json.dumps(value)) > MAX_LENGTH // 4:
        raise InvalidValueError(part, f"choose less: an account keeps at most {MAX_LENGTH // 4} characters of it")
    changed = execute(
        tx,
        "UPDATE accounts SET preferences = preferences || %s WHERE account_id = %s",
        (checks.as_json({part: dict(value)}), account_id),
    )
    if changed == 0:
        raise NotFoundError(f"there is no account {account_id}")
