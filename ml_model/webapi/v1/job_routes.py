"""Trainings: queued, followed, cancelled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from semg.commands import acting, training_jobs
from semg.domain import Job, JobStatus
from semg.store import jobs, keysets
from semg.store.pool import Transaction
from webapi.access import ReadCaller, WorkCaller
from webapi.acting_caller import ActingCaller
from webapi.v1 import bodies, change_bodies
from webapi.v1.asking import Number, change, change_refusals, read, refusals
from webapi.v1.entity_tags import Sent, tagged
from webapi.v1.paging import Page, Paged

job_routes = APIRouter(prefix="/v1", tags=["jobs"])


@job_routes.get("/profiles/{userid}/jobs", responses=refusals(404))
async def list_jobs(
    caller: ReadCaller, userid: Number, paging: Paged, status: Annotated[JobStatus | None, Query()] = None
) -> Page[bodies.Job]:
    """Return a profile's trainings, all or those of one status."""

    def ask(tx: Transaction, who: ActingCaller) -> tuple[list[Job], int | None]:
        who.require(tx, userid)
        kept, last = paging.cut(keysets.job_ids(tx, userid, status, paging.keyset))
        return jobs.list_chosen(tx, kept), last

    found, last = await read(caller, ask)
    return paging.page([shown(one) for one in found], last)


@job_routes.post(
    "/profiles/{userid}/jobs", responses=change_refusals(404, 409), status_code=201, response_model=bodies.Job
)
async def create_job(caller: WorkCaller, userid: Number, wanted: change_bodies.NewJob) -> Response:
    """Queue a training; `Location` is where it is followed."""

    def act(tx: Transaction, who: ActingCaller) -> Job:
        job_id = training_jobs.create_job(
            tx, who, userid, wanted.session_ids, wanted.classifier, wanted.options, wanted.scheduled_at
        )
        return jobs.get_job(tx, job_id)

    return _created(await change(caller, act))


@job_routes.get("/jobs/{job_id}", responses=refusals(404), response_model=bodies.Job)
async def get_job(caller: ReadCaller, job_id: Number, if_none_match: Sent = None) -> Response:
    """Return a training; to follow it, ask again with its ETag as `If-None-Match`: 304 until something has changed."""
    found = await read(caller, lambda tx, who: acting.get_job(tx, who, job_id))
    return tagged(shown(found), if_none_match)


@job_routes.get("/jobs/{job_id}/log", responses=refusals(404))
async def get_log(caller: ReadCaller, job_id: Number) -> bodies.JobLog:
    """Return what a training has said, and its networks' epochs."""

    def ask(tx: Transaction, who: ActingCaller) -> bodies.JobLog:
        found = acting.get_job(tx, who, job_id)
        return bodies.JobLog(job_id=job_id, log=found.log, epochs=jobs.list_epochs(tx, job_id))

    return await read(caller, ask)


@job_routes.post("/jobs/{job_id}/cancel", responses=change_refusals(404), response_model=bodies.Job)
async def cancel_job(caller: WorkCaller, job_id: Number) -> Response:
    """Cancel a training that waits, ask one that runs to stop; one that has ended stays as it is."""
    return tagged(shown(await change(caller, lambda tx, who: training_jobs.cancel_job(tx, who, job_id))))


@job_routes.post(
    "/jobs/{job_id}/retry", responses=change_refusals(404, 409), status_code=201, response_model=bodies.Job
)
async def retry_job(caller: WorkCaller, job_id: Number) -> Response:
    """Queue a training like this one."""
    return _created(await change(caller, lambda tx, who: jobs.get_job(tx, training_jobs.retry_job(tx, who, job_id))))


def shown(one: Job) -> bodies.Job:
    """Return a job as it is shown."""
    return bodies.Job(
        job_id=one.job_id,
        userid=one.user_id,
        session_ids=list(one.session_ids),
        classifier=one.classifier,
        options=one.options,
        status=one.status,
        scheduled_at=one.scheduled_at,
        created_at=one.created_at,
        started_at=one.started_at,
        ended_at=one.ended_at,
        progress=one.progress,
        epoch=one.epoch,
        epochs=one.epochs,
        error=one.error,
        cancel_requested=one.cancel_requested,
        model_version=one.model_version,
    )


def _created(job: Job) -> Response:
    made = tagged(shown(job), status=201)
    made.headers["Location"] = f"../../jobs/{job.job_id}"  # from both routes, below a gateway's prefix too
    return made
