"""Training jobs as they run, what they found out, and which model decides."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from semg.domain import Job, Model, Profile
from semg.store import jobs, models, services, sessions
from ui import errors, report, times
from ui.page import empty, flash, page
from ui.pick import pick_profile
from ui.runtime import App
from ui.stream import SERVICE_LATE_S

SIGNS = {
    "scheduled": ":material/schedule: waiting",
    "in-progress": ":material/progress_activity: running",
    "completed": ":material/check_circle: completed",
    "failed": ":material/error: failed",
    "canceled": ":material/cancel: canceled",
}
KINDS = {"cnn": "convolutional network", "logcov_lda": "log-covariance + LDA", "td_lda": "time-domain + LDA"}
ACTIVE = ("scheduled", "in-progress")
SHOWN = 20


@errors.live_fragment(1.0)
def show_jobs(app: App, user_id: int) -> None:
    """Show the profile's jobs, the newest first; once a second."""
    now = datetime.now(UTC)
    with app.pool.transaction() as tx:
        found = jobs.list_jobs(tx, user_id, SHOWN)
        names = {one.session_id: one.name for one in sessions.list_sessions(tx, user_id)}
        runners = [one for one in services.list_services(tx, SERVICE_LATE_S) if one.service == "job_runner"]
    if not found:
        empty("**No training yet.**", "pages/4_Kickoff_Training.py", "Start one")
        return
    if not runners and any(job.status in ACTIVE for job in found):
        st.warning(
            "The service job_runner is not running; trainings wait until it is back. See `./start_all.sh --status`."
        )
    finished = {job.job_id for job in found if job.status not in ACTIVE}
    seen = st.session_state.setdefault(f"finished-{user_id}", finished)
    if finished - seen:
        # A new model may be there: the part below is drawn by the whole page.
        st.session_state[f"finished-{user_id}"] = finished
        st.rerun()
    for job in found:
        show_job(app, job, names, now)


def show_job(app: App, job: Job, names: dict[int, str], now: datetime) -> None:
    """Show one job with its progress, and what can be done to it."""
    with st.container(border=True):
        text, action = st.columns([6, 1.1], vertical_alignment="center")
        on = ", ".join(names.get(number, "a deleted session") for number in job.session_ids)
        text.markdown(f"**{SIGNS[job.status]}** · {_when(job, now)}")
        text.caption(f"{KINDS[job.classifier]} on {on}")
        if job.status in ACTIVE:
            if action.button("Cancel", key=f"cancel-{job.job_id}", disabled=job.cancel_requested, width="stretch"):
                with errors.attempt():
                    with app.pool.transaction() as tx:
                        jobs.request_cancel(tx, job.job_id)
                    st.rerun(scope="fragment")
        elif job.status != "completed" and action.button("Retry", key=f"retry-{job.job_id}", width="stretch"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    jobs.retry_job(tx, job.job_id)
                st.rerun(scope="fragment")
        if job.status == "in-progress":
            epochs = f" · epoch {job.epoch} of {job.epochs}" if job.epochs else ""
            stopping = " · stopping" if job.cancel_requested else ""
            st.progress(min(1.0, job.progress / 100), f"{job.progress:.0f} %{epochs}{stopping}")
        if job.error:
            st.error(job.error, icon=":material/error:")
        if st.toggle("Log", key=f"log-{job.job_id}", value=job.status == "in-progress"):
            with app.pool.transaction() as tx:
                log = jobs.get_job(tx, job.job_id).log
            st.code(log or "Nothing yet.", language=None, height=180)


def show_models(app: App, profile: Profile, versions: list[Model]) -> None:
    """Show the report of a version, and which one decides."""
    by_version = {model.version: model for model in versions}
    active = next((model.version for model in versions if model.active), None)
    numbers = list(by_version)
    version = st.selectbox(
        "Version",
        numbers,
        numbers.index(active) if active in by_version else 0,
        format_func=lambda number: _model_label(by_version[number]),
        key=f"version-{profile.user_id}-{numbers[0]}",
    )
    model = by_version[version]
    if model.active:
        st.caption(":material/check_circle: This version decides now.")
    else:
        word = "Go back to this version" if active is not None and version < active else "Let this version decide"
        if st.button(word, key="activate", type="primary"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    models.activate_model(tx, profile.user_id, version)
                flash(f"Version {version} decides from now on")
                st.rerun()
    report.show_report(model.report, f"confusion-{version}")


def _model_label(model: Model) -> str:
    score = report.percent(model.report.get("balanced_accuracy"))
    return f"{model.version} · {times.shown(model.created_at)} · {score} balanced{' · active' if model.active else ''}"


def _when(job: Job, now: datetime) -> str:
    if job.status == "scheduled":
        return f"starts {times.shown(job.scheduled_at)}" if job.scheduled_at > now else "starts in a moment"
    if job.status == "in-progress" and job.started_at is not None:
        return f"for {times.length((now - job.started_at).total_seconds())}"
    ended = f"ended {times.shown(job.ended_at)}"
    return ended if job.model_version is None else f"{ended} · made version {job.model_version}"


with page("Training Jobs and Models") as app:
    profile = pick_profile(app)
    left, right = st.columns([1, 1.25], gap="large")
    with left:
        st.subheader("Jobs", anchor=False)
        show_jobs(app, profile.user_id)
    with right:
        st.subheader("Models", anchor=False)
        with app.pool.transaction() as tx:
            versions = models.list_models(tx, profile.user_id)
        if versions:
            show_models(app, profile, versions)
            st.page_link(
                "pages/6_Realtime_Gesture_Recognition.py", label="See it live", icon=":material/arrow_forward:"
            )
        else:
            st.info("A model appears here when the first training is completed.")
