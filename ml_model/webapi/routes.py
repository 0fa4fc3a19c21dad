"""The HTTP calls."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from pydantic_core import from_json

from semg.predictor.sample_prediction import InputError
from semg.wire.http import PredictRequest, PredictResponse, Problem
from semg.wire.windows import CONTENT_TYPE, decode_alike, encode_answer_table
from webapi.access import MetricsCaller, PredictCaller
from webapi.lifespan import PAUSE_S, Services, services_of

MAX_AT_ONCE, MAX_VALUES_AT_ONCE = 256, 256 * 8 * 50
"""Windows, and samples in them, that are predicted between two turns of the event loop: less than 10 ms."""
MAX_ROWS_AT_ONCE = 1000
"""Samples of one request that is no long one: so many windows are made of them at the most."""

WithServices = Annotated[Services, Depends(services_of)]
open_routes = APIRouter(tags=["health"])
guarded_routes = APIRouter(responses={401: {"model": Problem}})

_BINARY = {"type": "string", "format": "binary"}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": Problem, "description": "The account's role, or what its token was made for, does not allow it"},
    404: {"model": Problem, "description": "No such profile, or it has no active model"},
    413: {"model": Problem, "description": "Body too large"},
    422: {"model": Problem, "description": "The field that is wrong"},
    429: {"model": Problem, "description": "Too many files and long requests are under way"},
    503: {"model": Problem, "description": "The database is away"},
}


def read_predict(body: bytes, most: int) -> tuple[int, NDArray[np.float32]]:
    """Return profile and samples ``(n, channels)`` of a JSON body, whose parts are counted before each is looked at.

    Raises
    ------
    InputError
        A field is unknown, there are more samples than may be, or a row has another number of channels.
    RequestValidationError
        The body is no JSON, or the first value that is wrong.
    """
    try:
        given = from_json(body, allow_inf_nan=True)
    except ValueError as exc:
        wrong = {"type": "json_invalid", "loc": ("body",), "msg": "JSON decode error", "ctx": {"error": str(exc)}}
        raise RequestValidationError([wrong]) from exc
    if isinstance(given, dict):
        unknown = next((name for name in given if name not in PredictRequest.model_fields), None)
        if unknown is not None:
            raise InputError(unknown[:100], "extra inputs are not permitted: expected userid and data")
        data = given.get("data")
        if isinstance(data, list) and len(data) > most:
            raise InputError("data", f"expected at most {most} samples (PREDICT_MAX_SAMPLES), got {len(data)}")
    try:
        request = PredictRequest.model_validate(given)
    except ValidationError as exc:
        raise RequestValidationError(
            [{**error, "loc": ("body", *error["loc"])} for error in exc.errors(include_input=False)]
        ) from exc
    width = len(request.data[0])
    for index, row in enumerate(request.data):
        if len(row) != width:
            raise InputError(f"data.{index}", f"expected {width} channels as in the first row, got {len(row)}")
    return request.userid, np.array(request.data, np.float32)


@open_routes.get("/healthz")
async def healthz() -> dict[str, str]:
    """Return that the process runs."""
    return {"status": "ok"}


@open_routes.get("/readyz", responses={503: {"model": Problem}})
async def readyz(services: WithServices) -> Response:
    """Return whether the database and the bus answer; the database is asked once a second at most."""
    missing = []
    if not services.bus.is_connected:
        missing.append("NATS")
    if not await services.database.answers():
        missing.append("PostgreSQL")
    if missing:
        return JSONResponse(Problem(detail=f"waiting for {' and '.join(missing)}").model_dump(), 503)
    return JSONResponse({"status": "ready"})


@guarded_routes.get("/metrics", tags=["health"])
async def metrics(services: WithServices, caller: MetricsCaller) -> Response:
    """Counters in Prometheus' text format, for services and admins."""
    caller.require_admin()
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@guarded_routes.post(
    "/predict",
    tags=["prediction"],
    responses=_REFUSALS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": PredictRequest.model_json_schema()}},
        }
    },
)
async def predict(http: Request, services: WithServices, caller: PredictCaller) -> PredictResponse:
    """Predict every window of raw samples of one profile.

    The samples are conditioned from a reset state, so the first ``settle_ms`` and the first window's length give no
    prediction. Channels are chosen by name. Of long requests one is predicted at a time, in turns of the accounts.
    """
    user_id, data = read_predict(await http.body(), services.settings.predict_max_samples)
    await caller.require([user_id], "work")
    if data.size <= MAX_VALUES_AT_ONCE and len(data) <= MAX_ROWS_AT_ONCE:
        response = await services.questions.run(caller.account_id, lambda: services.predictor.predict(user_id, data))
    else:
        services.downloads.begin(caller.account_id)
        try:
            response = await services.replays.run(
                caller.account_id, lambda: services.predictor.predict(user_id, data, lambda: time.sleep(PAUSE_S))
            )
        finally:
            services.downloads.end(caller.account_id)
    services.metrics.windows.inc(len(response.predictions))
    return response


@guarded_routes.post(
    "/predict/windows",
    tags=["prediction"],
    responses={200: {"content": {CONTENT_TYPE: {}}}, **_REFUSALS},
    openapi_extra={"requestBody": {"required": True, "content": {CONTENT_TYPE: {"schema": _BINARY}}}},
)
async def predict_windows(request: Request, services: WithServices, caller: PredictCaller) -> Response:
    """Predict conditioned windows of several profiles (binary; docs/wire.md, "Windows")."""
    started = time.perf_counter()
    windows = decode_alike(await request.body())
    await caller.require((user_id for part in windows for user_id in part.user_ids.tolist()), "work")
    predict = services.predictor.predict_windows
    # A thread would share the interpreter's lock with this one and wait for it at every array operation; only what has
    # to ask the store, or takes long, is handed over.
    handed_over = (
        sum(len(part.indices) for part in windows) > MAX_AT_ONCE
        or sum(part.windows.size for part in windows) > MAX_VALUES_AT_ONCE
        or not services.predictor.knows_all(windows)
    )
    if caller.account is not None:  # a program's; the platform's own worker waits for nobody
        answers = await services.questions.run(caller.account_id, lambda: predict(windows))
    else:
        answers = await asyncio.to_thread(predict, windows) if handed_over else predict(windows)
    services.metrics.windows.inc(len(answers))
    services.metrics.n_windows += len(answers)
    services.metrics.predict_seconds.observe(time.perf_counter() - started)
    return Response(encode_answer_table(answers), media_type=CONTENT_TYPE)
