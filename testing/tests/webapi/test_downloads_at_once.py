"""Files that are being sent are counted, and the count goes down however an answer ends."""

from __future__ import annotations

import pytest
from fastapi import HTTPException

from webapi.under_way import MAX_DOWNLOADS, MAX_DOWNLOADS_OF_ONE, Downloads


def test_one_account_and_all_together_send_so_many_at_once() -> None:
    counted = Downloads()
    for _ in range(MAX_DOWNLOADS_OF_ONE):
        counted.begin(1)
    with pytest.raises(HTTPException) as refused:
        counted.begin(1)
    assert refused.value.status_code == 429
    counted.end(1)
    counted.begin(1)
    others = 0
    with pytest.raises(HTTPException):
        while True:
            counted.begin(2 + others % 7)
            others += 1
    assert others == MAX_DOWNLOADS - MAX_DOWNLOADS_OF_ONE
    for number in range(others):
        counted.end(2 + number % 7)
    counted.begin(9)
