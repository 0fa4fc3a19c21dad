"""Versions of a profile's model: their reports, which one decides, and their bytes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from semg.commands.model_activation import activate_version, doubts
from semg.domain import Model
from semg.privacy.file_exports import ModelFile
from semg.signals.training.training_report import TrainingReport
from semg.store import keysets, models, profiles
from semg.store.pool import Transaction
from webapi.access import ReadCaller, WorkCaller
from webapi.acting_caller import ActingCaller
from webapi.downloads import send_download
from webapi.v1 import bodies, change_bodies
from webapi.v1.asking import Number, Version, change, change_refusals, read, refusals
from webapi.v1.entity_tags import IfMatch, Sent, tagged
from webapi.v1.paging import Page, Paged

model_routes = APIRouter(prefix="/v1/profiles/{userid}", tags=["models"])
MOST_VERSIONS = 50
"""Of a page: each is read with its report."""
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_BYTES: dict[int | str, dict[str, Any]] = {200: {"content": _BINARY}}


@model_routes.get("/models", responses=refusals(404))
async def list_models(caller: ReadCaller, userid: Number, paging: Paged) -> Page[bodies.Model]:
    """Return the versions of a profile's model; a page has at most 50."""

    def ask(tx: Transaction, who: ActingCaller) -> tuple[list[Model], int | None]:
        who.require(tx, userid)
        few = paging.at_most(MOST_VERSIONS)
        kept, last = few.cut(keysets.model_versions(tx, userid, few.keyset))
        return [models.get_model(tx, userid, version) for version in kept], last

    found, last = await read(caller, ask)
    return paging.page([_shown(one) for one in found], last)


@model_routes.get("/models/{version}", responses=refusals(404))
async def get_model(caller: ReadCaller, userid: Number, version: Version) -> bodies.Model:
    """Return a version."""
    return _shown(await read(caller, lambda tx, who: _model(tx, who, userid, version)))


@model_routes.get("/models/{version}/report", responses=refusals(404))
async def get_report(caller: ReadCaller, userid: Number, version: Version) -> bodies.Report:
    """Return what a version was trained on, and what it scored on data that was held out."""

    def ask(tx: Transaction, who: ActingCaller) -> Model:
        found = _model(tx, who, userid, version)
        ModelFile(userid, version, "json").note(tx, who.actor)
        return found

    found = await change(caller, ask)
    return bodies.Report(version=version, userid=userid, metadata=found.metadata, report=found.report)


@model_routes.get("/models/{version}/artifact", responses={**refusals(404), **_BYTES}, response_class=StreamingResponse)
async def get_artifact(caller: ReadCaller, userid: Number, version: Version) -> Response:
    """Return the version's weights as they are stored (safetensors)."""
    await read(caller, lambda tx, who: _model(tx, who, userid, version))
    return await send_download(caller, ModelFile(userid, version, "safetensors"))


@model_routes.get("/active-model", responses=refusals(404), response_model=bodies.ActiveModel)
async def get_active(caller: ReadCaller, userid: Number, if_none_match: Sent = None) -> Response:
    """Return which version decides."""

    def ask(tx: Transaction, who: ActingCaller) -> bodies.ActiveModel:
        who.require(tx, userid)
        return _active(tx, userid)

    return tagged(await read(caller, ask), if_none_match)


@model_routes.put("/active-model", responses=change_refusals(404, 409, 412, 428), response_model=bodies.ActiveModel)
async def activate(caller: WorkCaller, userid: Number, wanted: change_bodies.Activation, if_match: IfMatch) -> Response:
    """Let a version decide; an older one is a rollback. 409 tells what speaks against it."""

    def act(tx: Transaction, who: ActingCaller) -> bodies.ActiveModel:
        who.require(tx, userid, "work")
        profiles.lock_profile(tx, userid)
        models.lock_active(tx, userid)
        if_match.require(_active(tx, userid))
        activate_version(tx, who, userid, wanted.version, despite_doubts=wanted.despite_doubts)
        return _active(tx, userid)

    return tagged(await change(caller, act))


def _model(tx: Transaction, who: ActingCaller, user_id: int, version: int) -> Model:
    who.require(tx, user_id)
    return models.get_model(tx, user_id, version)


def _active(tx: Transaction, user_id: int) -> bodies.ActiveModel:
    found = models.find_active(tx, user_id)
    version = None if found is None else found.version
    return bodies.ActiveModel(userid=user_id, version=version, activated_at=models.find_activated_at(tx, user_id))


def _shown(one: Model) -> bodies.Model:
    return bodies.Model(
        version=one.version,
        userid=one.user_id,
        job_id=one.job_id,
        created_at=one.created_at,
        active=one.active,
        model_bytes=one.model_bytes,
        doubts=doubts(TrainingReport.from_json(one.report)),
    )
