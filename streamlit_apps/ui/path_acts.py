"""What the path does by one press, with the defaults: a training on what was recorded."""

from __future__ import annotations

from semg.commands import training_jobs
from semg.domain import Profile
from semg.errors import ConflictError
from semg.store import session_summaries
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
        app.require(tx, profile.user_id, "work")  # before what is recorded is told
        found = [
            one for one in session_summaries.list_summaries(tx, profile.user_id) if one.session.status != "recording"
        ]
        newest = session_summaries.newest_prompted(found)
        ids = [] if newest is None else [one.session.session_id for one in found if one.trains_with(newest)]
        if not ids:
            raise ConflictError("record a session first: there are no labelled repetitions to train on")
        return training_jobs.create_job(tx, app, profile.user_id, ids, "cnn", {})
