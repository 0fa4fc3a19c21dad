"""Puts the application together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from semg import log
from semg.process.lifecycle import settle_memory
from semg.settings import Settings, get_settings
from webapi import lifespan, problem_details
from webapi.description import description_routes
from webapi.downloads import download_routes
from webapi.exports import export_routes
from webapi.limits import BodyLimit, RateLimit
from webapi.live import live_routes
from webapi.replay import replay_routes
from webapi.routes import guarded_routes, open_routes
from webapi.security_headers import SecurityHeaders
from webapi.v1.event_routes import event_routes
from webapi.v1.job_routes import job_routes
from webapi.v1.model_routes import model_routes
from webapi.v1.profile_routes import profile_routes
from webapi.v1.recording_routes import recording_routes
from webapi.v1.sample_routes import sample_routes
from webapi.v1.session_routes import session_routes
from webapi.videos import video_routes


def create_app(settings: Settings | None = None) -> FastAPI:
    """Yield the application; settings are read and connections made when it starts, not here."""

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        chosen = settings or get_settings()
        if settings is None:
            log.configure("api", chosen.log_level)
        async with lifespan.running(chosen) as running:
            app.state.services = running
            settle_memory()
            yield

    app = FastAPI(
        title="sEMG gesture recognition",
        summary="Predictions and live streams of personal classifiers",
        version="0.1.0",
        lifespan=live,
        openapi_url=None,  # made once: webapi/description.py
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere: webapi/description.py
        redoc_url=None,
    )

    app.add_middleware(BodyLimit)
    app.add_middleware(RateLimit)
    app.add_middleware(SecurityHeaders)
    problem_details.add_handlers(app)
    app.include_router(open_routes)
    app.include_router(guarded_routes)
    app.include_router(replay_routes)
    app.include_router(live_routes)
    app.include_router(video_routes)
    app.include_router(export_routes)
    app.include_router(download_routes)
    app.include_router(description_routes)
    for routes in (
        profile_routes,
        event_routes,
        session_routes,
        recording_routes,
        sample_routes,
        job_routes,
        model_routes,
    ):
        app.include_router(routes)
    return app
