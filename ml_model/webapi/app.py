"""Puts the application together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response

from semg import log
from semg.settings import Settings, get_settings
from webapi import problems, services
from webapi.limits import BodyLimit
from webapi.live import live_routes
from webapi.routes import guarded_routes, open_routes

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """Give the application; settings are read and connections made when it starts, not here."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        chosen = settings or get_settings()
        if settings is None:
            log.configure("api", chosen.log_level)
        async with services.running(chosen) as running:
            app.state.services = running
            yield

    app = FastAPI(
        title="sEMG gesture recognition",
        summary="Predictions and live streams of personal classifiers",
        version="0.1.0",
        lifespan=lifespan,
    )

    @app.middleware("http")
    async def count_and_harden(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        route = request.scope.get("route")
        path = getattr(route, "path", "other")
        services.services_of(request).metrics.requests.labels(path, str(response.status_code)).inc()
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    app.add_middleware(BodyLimit)
    problems.add_handlers(app)
    app.include_router(open_routes)
    app.include_router(guarded_routes)
    app.include_router(live_routes)
    return app
