"""Drop codes: the names under which refused datagrams are counted and shown, each with a number."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

OK = 0
DROP_CODES = (
    "ok",
    # text
    "empty", "too_long", "not_text", "json", "lines_differ", "field_count", "not_integer", "time_range", "not_number",
    "value_range",
    "unknown_profile", "v1_not_allowed", "v1_network", "channel_count",
    # binary
    "v2_magic", "v2_size", "v2_range", "unknown_board", "bad_tag", "replayed", "duplicate", "unassigned_board",
    # both
    "rate_limited", "no_consent", "second_sender",
    # single samples
    "time_unit", "time_jump", "time_stands",
)  # fmt: skip
TEXT_DROP_CODES = frozenset(DROP_CODES[1 : DROP_CODES.index("unknown_profile")])
"""Codes of text datagrams that cannot be parsed."""
CODE = {reason: number for number, reason in enumerate(DROP_CODES)}


def count_refused(dropped: Counter[str], codes: NDArray[np.int8]) -> None:
    """Add the refused datagrams to the counts by drop code."""
    for code, n in enumerate(np.bincount(codes).tolist()):
        if n and code != OK:
            dropped[DROP_CODES[code]] += n
