"""What a refused request gets: a status, a sentence, and the field that it is about.

Below ``/v1`` it is a problem of RFC 9457 (``application/problem+json``). Elsewhere it is plain JSON, as programs that
were written before ``/v1`` read it; both have ``detail`` and ``field``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from semg.errors import (
    AccessError,
    ArtifactError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    StoreBusyError,
    StoreUnavailableError,
    TrainingError,
    WireError,
)
from semg.predictor.sample_prediction import InputError
from semg.wire.http import Problem

logger = logging.getLogger(__name__)
VERSIONED = "/v1"
MEDIA_TYPE = "application/problem+json"
_PARTS = frozenset({"body", "query", "path", "header"})
"""Of a request: what a field's place begins with."""


def problem(
    scope: Scope, status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the answer to a refused request.

    Parameters
    ----------
    scope
        Of the request: its path says in which form it is answered.
    """
    detail, field = _utf8(detail), None if field is None else _utf8(field)
    if not is_versioned(scope):
        return JSONResponse(Problem(detail=detail, field=field).model_dump(), status, headers)
    said: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    said["detail"] = detail
    if field is not None:
        said["field"] = field
    return JSONResponse(said, status, headers, MEDIA_TYPE)


def _utf8(text: str) -> str:
    """Return a text that can be sent: it may quote what was received, lone surrogates among it."""
    return text.encode("utf-8", "replace").decode()


def is_versioned(scope: Scope) -> bool:
    """Return whether a request is for something below ``/v1``."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == VERSIONED or path.startswith(VERSIONED + "/")


def away(scope: Scope, exc: StoreUnavailableError) -> JSONResponse:
    """Return the answer to a request that needs the database while it cannot be reached."""
    logger.warning("request refused: %s", exc)
    what = "somebody else is changing this" if isinstance(exc, StoreBusyError) else "the database is away"
    return problem(scope, 503, f"{what}; try again in a few seconds", headers={"Retry-After": "2"})


def add_handlers(app: FastAPI) -> None:
    """Turn the project's errors into answers; the body of a request is never repeated in them."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        first = exc.errors()[0]
        left_out = _PARTS if is_versioned(request.scope) else {"body"}
        places = [str(place) for place in first["loc"] if place not in left_out]
        if first["type"] == "json_invalid":
            said = f"the body is not JSON: {first.get('ctx', {}).get('error', first['msg'])}"
            return problem(request.scope, 422, said, "body")
        field = ".".join(places) or "body"
        return problem(request.scope, 422, f"{field}: {first['msg']}", field)

    @app.exception_handler(InputError)
    async def misfit(request: Request, exc: InputError) -> JSONResponse:
        return problem(request.scope, 422, f"{exc.field}: {exc}", exc.field)

    @app.exception_handler(InvalidValueError)
    async def not_storable(request: Request, exc: InvalidValueError) -> JSONResponse:
        return problem(request.scope, 422, str(exc), exc.field)

    @app.exception_handler(WireError)
    async def malformed(request: Request, exc: WireError) -> JSONResponse:
        return problem(request.scope, 422, str(exc), "body")

    @app.exception_handler(NotFoundError)
    async def missing(request: Request, exc: NotFoundError) -> JSONResponse:
        return problem(request.scope, 404, str(exc), None if is_versioned(request.scope) else "userid")

    @app.exception_handler(AccessError)
    async def forbidden(request: Request, exc: AccessError) -> JSONResponse:
        return problem(request.scope, 403, str(exc))

    @app.exception_handler(ConflictError)
    @app.exception_handler(TrainingError)
    @app.exception_handler(ArtifactError)
    async def contradicted(request: Request, exc: Exception) -> JSONResponse:
        return problem(request.scope, 409, str(exc))

    @app.exception_handler(StoreUnavailableError)
    async def unavailable(request: Request, exc: StoreUnavailableError) -> JSONResponse:
        return away(request.scope, exc)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> JSONResponse:
        return problem(request.scope, exc.status_code, str(exc.detail), headers=exc.headers)

    @app.exception_handler(Exception)
    async def broken(request: Request, exc: Exception) -> Response:
        if is_versioned(request.scope):
            said = "this request met a fault of the API; its log says which"
            return problem(request.scope, 500, said, headers={"Connection": "close"})  # as the server does then
        return PlainTextResponse("Internal Server Error", 500)
