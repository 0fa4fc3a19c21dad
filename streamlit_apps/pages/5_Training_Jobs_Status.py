"""Training jobs as they run, what they found out, and which model decides."""

from __future__ import annotations

import streamlit as st

from semg.store import models
from ui.job_cards import show_jobs
from ui.model_versions import show_models
from ui.page import page, split
from ui.pick import pick_profile
from ui.text import md

with page("Jobs and models") as app:
    profile = pick_profile(app)
    left, right = split("jobs", [1, 1.25])
    with left:
        st.subheader(md("{name}'s jobs", name=profile.name), anchor=False)
        show_jobs(app, profile.user_id)
    with right:
        st.subheader(md("{name}'s models", name=profile.name), anchor=False)
        with app.pool.transaction() as tx:
            versions = models.list_models(tx, profile.user_id)
        if versions:
            show_models(app, profile, versions)
            st.page_link(
                "pages/6_Realtime_Gesture_Recognition.py", label="See it live", icon=":material/arrow_forward:"
            )
        else:
            st.info("A model appears here when the first training job has completed.")
