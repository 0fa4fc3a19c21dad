"""What a refused request gets: a status, a sentence, and the field that it is about."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from semg.errors import AccessError, NotFoundError, StoreUnavailableError, WireError
from semg.predictor.sample_prediction import InputError
from semg.wire.http import Problem

logger = logging.getLogger(__name__)


def problem(status: int, detail: str, field: str | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer to a refused request."""
    return JSONResponse(Problem(detail=detail, field=field).model_dump(), status, headers)


def away(exc: StoreUnavailableError) -> JSONResponse:
    """Return the answer to a request that needs the database while it cannot be reached."""
    logger.warning("request refused: %s", exc)
    return problem(503, "the database is away; try again in a few seconds", headers={"Retry-After": "2"})


def add_handlers(app: FastAPI) -> None:
    """Turn the project's errors into answers; the body of a request is never repeated in them."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, exc: RequestValidationError) -> JSONResponse:
        first = exc.errors()[0]
        places = [str(place) for place in first["loc"] if place != "body"]
        if first["type"] == "json_invalid":
            return problem(422, f"the body is not JSON: {first.get('ctx', {}).get('error', first['msg'])}", "body")
        field = ".".join(places) or "body"
        return problem(422, f"{field}: {first['msg']}", field)

    @app.exception_handler(InputError)
    async def misfit(_: Request, exc: InputError) -> JSONResponse:
        return problem(422, f"{exc.field}: {exc}", exc.field)

    @app.exception_handler(WireError)
    async def malformed(_: Request, exc: WireError) -> JSONResponse:
        return problem(422, str(exc), "body")

    @app.exception_handler(NotFoundError)
    async def missing(_: Request, exc: NotFoundError) -> JSONResponse:
        return problem(404, str(exc), "userid")

    @app.exception_handler(AccessError)
    async def forbidden(_: Request, exc: AccessError) -> JSONResponse:
        return problem(403, str(exc))

    @app.exception_handler(StoreUnavailableError)
    async def unavailable(_: Request, exc: StoreUnavailableError) -> JSONResponse:
        return away(exc)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, exc: HTTPException) -> JSONResponse:
        return problem(exc.status_code, str(exc.detail), headers=dict(exc.headers) if exc.headers else None)
