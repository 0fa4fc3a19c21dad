"""Training jobs as they run: progress, epochs, log, error, and what can be done to each."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from semg.commands import training_jobs
from semg.domain import Job
from semg.ingest.stream_reports import SERVICE_LATE_S
from semg.signals.training.progress import EpochPoint
from semg.store import jobs, services, sessions
from ui import acts, errors, times
from ui.fragments import live_fragment
from ui.page import empty, flash
from ui.report_figures import QUIET, epoch_figure
from ui.runtime import App
from ui.text import Markdown, md, plain, shown

SIGNS = {
    "scheduled": ":material/schedule: waiting",
    "in-progress": ":material/progress_activity: running",
    "completed": ":material/check_circle: completed",
    "failed": ":material/error: failed",
    "canceled": ":material/cancel: cancelled",
}
KINDS = {"cnn": "convolutional network", "logcov_lda": "log-covariance + LDA", "td_lda": "time-domain + LDA"}
ACTIVE = ("scheduled", "in-progress")
SHOWN = 20


@live_fragment(1.0)
def show_jobs(app: App, user_id: int) -> None:
    """Show the profile's jobs, the newest first; once a second. Runs the whole page when a version was made."""
    now = datetime.now(UTC)
    with app.pool.transaction() as tx:
        found = jobs.list_jobs(tx, user_id, SHOWN)
        names = sessions.list_names(tx, {number for job in found for number in job.session_ids})
        runners = [one for one in services.list_services(tx, SERVICE_LATE_S) if one.service == "job_runner"]
    if not found:
        empty(md("**No training jobs yet.**"), "pages/4_Kickoff_Training.py", "Train a model")
        return
    if not runners and any(job.status in ACTIVE for job in found):
        st.warning(
            "The service job_runner is not running; training jobs wait until it is back. See `./start_all.sh --status`."
        )
    # Versions are drawn by the whole page: one appears before its job ends, and gets its report at the end.
    news = {(job.job_id, job.model_version, job.status in ACTIVE) for job in found}
    seen = st.session_state.setdefault(f"jobs-seen-{user_id}", news)
    if {one for one in news - seen if one[1] is not None or not one[2]}:
        st.session_state[f"jobs-seen-{user_id}"] = news
        st.rerun()
    for place, job in enumerate(found):
        show_job(app, job, names, now, opened=place == 0 and job.status in ACTIVE)


def show_job(app: App, job: Job, names: dict[int, str], now: datetime, *, opened: bool) -> None:
    """Show one job with its progress, and what can be done to it; ``opened`` with its epochs and its log."""
    with st.container(border=True):
        text, action = st.columns([3.6, 1], vertical_alignment="center")
        on = ", ".join(names.get(number, "a deleted session") for number in job.session_ids)
        text.markdown(md("**{sign}** · {when}", sign=Markdown(SIGNS[job.status]), when=when(job, now)))
        text.caption(md("{kind} on {on}", kind=kind_of(job), on=on))
        if not app.may_work:
            pass
        elif job.status in ACTIVE:
            key = acts.key(f"cancel-{job.job_id}", job.user_id)
            if action.button("Cancel", key=key, disabled=job.cancel_requested, width="stretch"):
                with errors.attempt():
                    with app.pool.transaction() as tx:
                        training_jobs.cancel_job(tx, app, job.job_id)
                    st.rerun(scope="fragment")
        elif job.status != "completed" and action.button(
            "Retry", key=acts.key(f"retry-{job.job_id}", job.user_id), width="stretch"
        ):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    training_jobs.retry_job(tx, app, job.job_id)
                flash("Training job queued again")
                st.rerun()
        if job.status == "in-progress":
            epochs = f" · epoch {job.epoch} of {job.epochs}" if job.epochs else ""
            stopping = " · stopping" if job.cancel_requested else ""
            said = md("{share:.0f} %{epochs}{stopping}", share=job.progress, epochs=epochs, stopping=stopping)
            st.progress(min(1.0, job.progress / 100), said)
        if job.error:
            st.error(plain(job.error), icon=":material/error:")
        if job.status != "scheduled" and st.toggle("Epochs and log", key=f"log-{job.job_id}", value=opened):
            _details(app, job)


def kind_of(job: Job) -> str:
    """Return what a job trains, as a word."""
    return KINDS[job.classifier] + (", calibrated" if job.options.get("calibrate") else "")


def when(job: Job, now: datetime) -> str:
    """Return when a job starts, for how long it has run, or when it ended."""
    if job.status == "scheduled":
        return f"starts {times.shown(job.scheduled_at)}" if job.scheduled_at > now else "starts in a moment"
    if job.status == "in-progress" and job.started_at is not None:
        return f"for {times.length((now - job.started_at).total_seconds())}"
    ended = f"ended {times.shown(job.ended_at)}"
    return ended if job.model_version is None else f"{ended} · created version {job.model_version}"


def _details(app: App, job: Job) -> None:
    with app.pool.transaction() as tx:
        log = jobs.get_job(tx, job.job_id).log
        points = [EpochPoint.from_json(one) for one in jobs.list_epochs(tx, job.job_id)]
    if points:
        st.plotly_chart(epoch_figure(points), width="stretch", key=f"epochs-{job.job_id}", config=QUIET)
    st.code(shown(times.local_log(log)) or "Nothing yet.", language=None, height=180, wrap_lines=True)
