"""Lists in pages: a cursor names the last row that was given, so that no row is given twice or left out.

A cursor is no secret and allows nothing: rights are asked for at each page. It belongs to one list and one order.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Generic, Literal, TypeVar

import orjson
from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field

from semg.predictor.sample_prediction import InputError
from semg.store.keysets import Keyset

T = TypeVar("T")
MOST, USUAL = 500, 100
MAX_ID = (1 << 63) - 1
_MAX_CURSOR = 400
Order = Literal["oldest", "newest"]


class Page(BaseModel, Generic[T]):
    """A part of a list."""

    items: list[T]
    next_cursor: str | None = Field(
        default=None, description="Of the next page: the parameter `cursor`; null on the last page"
    )


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list is asked for."""

    path: str
    keyset: Keyset
    order: Order

    def page(self, items: Sequence[T], last: int | None) -> Page[T]:
        """Return a page.

        Parameters
        ----------
        last
            The key of its last row when others follow, else None.
        """
        return Page(items=list(items), next_cursor=None if last is None else self._cursor(last))

    def at_most(self, n: int) -> Paging:
        """Return the page with fewer rows, of a list whose rows are large."""
        return replace(self, keyset=replace(self.keyset, limit=min(n, self.keyset.limit)))

    def cut(self, keys: Sequence[int]) -> tuple[list[int], int | None]:
        """Return the keys of this page, of those found, and the last one when others follow."""
        kept = list(keys[: self.keyset.limit])
        return kept, kept[-1] if len(keys) > len(kept) else None

    def _cursor(self, last: int) -> str:
        said = orjson.dumps([self.path, self.order, last])
        return base64.urlsafe_b64encode(said).decode().rstrip("=")


def paging(
    request: Request,
    cursor: Annotated[
        str | None, Query(max_length=_MAX_CURSOR, description="`next_cursor` of the page before; the first without one")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Rows of a page")] = USUAL,
    order: Annotated[Order, Query(description="By number or time")] = "oldest",
) -> Paging:
    """Return which page is asked for.

    Raises
    ------
    InputError
        The cursor is of no list, or of another one.
    """
    path = request.url.path
    after = None if cursor is None else _read(cursor, path, order)
    return Paging(path, Keyset(after, limit, newest_first=order == "newest"), order)


Paged = Annotated[Paging, Depends(paging)]


def _read(cursor: str, path: str, order: Order) -> int:
    try:
        said = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        of_path, of_order, after = said
    except (binascii.Error, ValueError, TypeError) as exc:
        raise InputError("cursor", "expected next_cursor of the page before") from exc
    if (of_path, of_order) != (path, order):
        raise InputError("cursor", "expected a cursor of this list in this order")
    if type(after) is not int or not 0 <= after <= MAX_ID:
        raise InputError("cursor", "expected next_cursor of the page before")
    return after
