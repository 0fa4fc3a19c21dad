"""What the path does by one press, with the defaults: a training on what was recorded."""

from __future__ import annotations

from semg.domain import Profile
from semg.errors import ConflictError
from semg.store import jobs, session_summaries
from semg.store.audit import record
from ui import audit_view
from ui.runtime import App


def train_now(app: App, profile: Profile) -> int:
    """Queue a training with the defaults on all sessions of the newest one's device; return the job's number.

    Raises
    ------
    AccessError
        Who is logged in may not train.
    ConflictError
        Nothing is recorded to train on.
    """
    with app.pool.transaction() as tx:
        app.require(tx, profile.user_id, "work")
        found = [
            one for one in session_summaries.list_summaries(tx, profile.user_id) if one.session.status != "recording"
        ]
        newest = session_summaries.newest_prompted(found)
        ids = [] if newest is None else [one.session.session_id for one in found if one.trains_with(newest)]
        if not ids:
            raise ConflictError("record a session first: there are no labelled repetitions to train on")
        job_id = jobs.insert_job(tx, profile.user_id, ids, "cnn", {}, account_id=app.account_id)
        record(tx, audit_view.actor(app), "job.created", profile.user_id, job=job_id)
    return job_id
