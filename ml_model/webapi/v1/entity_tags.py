"""Entity tags (RFC 9110): what was read is still there, or a change is refused."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Response
from pydantic import BaseModel

_TAG = re.compile(r'\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*')
_MAX_HEADER = 2000
Sent = Annotated[str | None, Header(max_length=_MAX_HEADER)]


def tag_of(body: BaseModel) -> str:
    """Return the strong entity tag of what is shown."""
    return f'"{hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32]}"'


def tagged(body: BaseModel, if_none_match: str | None = None, status: int = 200) -> Response:
    """Return an answer with its entity tag; 304 without a body when the caller has it already."""
    tag = tag_of(body)
    headers = {"ETag": tag}
    if if_none_match is not None and _names(if_none_match, tag, weakly=True):
        return Response(None, 304, headers)
    return Response(body.model_dump_json(), status, headers, "application/json")


@dataclass(frozen=True, slots=True)
class Precondition:
    """What ``If-Match`` of a change asks for."""

    if_match: str

    def require(self, body: BaseModel) -> None:
        """Refuse a change of what is another now; called in the transaction that changes it, after it is locked.

        Raises
        ------
        HTTPException
            412.
        """
        tag = tag_of(body)
        if not _names(self.if_match, tag, weakly=False):
            raise HTTPException(
                412, "it was changed since it was read: read it again, and send its ETag as If-Match", {"ETag": tag}
            )


def precondition(
    if_match: Annotated[str | None, Header(max_length=_MAX_HEADER, description="The ETag as it was read")] = None,
) -> Precondition:
    """Return what ``If-Match`` asks for.

    Raises
    ------
    HTTPException
        428: there is none.
    """
    if if_match is None:
        raise HTTPException(428, "expected the header If-Match with the ETag of what was read")
    return Precondition(if_match)


IfMatch = Annotated[Precondition, Depends(precondition)]


def _names(header: str, tag: str, *, weakly: bool) -> bool:
    """Return whether a header names a tag; a weak one counts only where nothing is changed."""
    if header.strip() == "*":
        return True
    said = [one.strip() for one in header.split(",") if _TAG.fullmatch(one)]
    return tag in (one.removeprefix("W/") if weakly else one for one in said)
