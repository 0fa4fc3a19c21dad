"""The versions of a profile's model: their reports, compared; which one decides; taking one away as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from semg.domain import Model, Profile
from semg.privacy import file_exports
from semg.store import audit, models
from semg.store.audit import Actor
from ui import acts, download, errors, report, times
from ui.job_cards import KINDS
from ui.page import flash
from ui.runtime import App
from ui.text import cells, line, md, shown


def show_models(app: App, profile: Profile, versions: Sequence[Model]) -> None:
    """Show the report of a version, which one decides, and what sets them apart."""
    by_version = {model.version: model for model in versions}
    active = next((model.version for model in versions if model.active), None)
    numbers = list(by_version)
    # What stands in a field keeps its words as long as the field does.
    pending = sum(bool(model.report.get("pending")) for model in versions)
    version = st.selectbox(
        "Version",
        numbers,
        numbers.index(active) if active in by_version else 0,
        format_func=lambda number: _label(by_version[number]),
        key=f"version-{profile.user_id}-{numbers[0]}-{active}-{pending}",
    )
    model = by_version[version]
    _activate(app, profile, model, active)
    report.show_report(model.report, f"{profile.user_id}-{version}")
    if len(versions) > 1:
        with st.expander("Compare versions"):
            _compare(versions, model)
    _download(app, profile, model)


def _activate(app: App, profile: Profile, model: Model, active: int | None) -> None:
    if model.active:
        st.caption(":material/check_circle: This is the active version.")
        return
    if not app.may_work:
        return
    back = active is not None and model.version < active
    doubts = _doubts(model)
    if doubts:
        st.markdown(md(":material/warning: {doubts}", doubts=doubts))
        sure = md("Activate version {n} for {name} anyway", n=model.version, name=profile.name)
        if not st.checkbox(sure, key=f"sure-{profile.user_id}-{model.version}"):
            return
    if st.button(
        md("Go back to this version for {name}", name=profile.name)
        if back
        else md("Activate this version for {name}", name=profile.name),
        key=acts.key(f"activate-{model.version}", profile.user_id),
        type="secondary" if doubts else "primary",
        icon=":material/undo:" if back else ":material/check:",
    ):
        with errors.attempt():
            with app.pool.transaction() as tx:
                app.require(tx, profile.user_id, "work")
                models.activate_model(tx, profile.user_id, model.version)
                audit.record(tx, Actor(app.login), "model.activated", profile.user_id, version=model.version)
            flash(md("Version {n} is now active", n=model.version))
            st.rerun()


def _doubts(model: Model) -> str:
    """Return why a version should not decide; empty when nothing speaks against it."""
    made = model.report
    if made.get("pending") or made.get("incomplete"):
        return "This version has not been tested on held-out data, so its accuracy is unknown."
    if (made.get("verdict") or {}).get("level") == "do not use":
        return str(made["verdict"]["sentence"])
    return str((made.get("activation") or {}).get("why") or "")


def _compare(versions: Sequence[Model], model: Model) -> None:
    st.dataframe(cells(_row(each) for each in versions), hide_index=True, width="stretch")
    splits = {(str(each.report.get("split")), str(each.report.get("held_out"))) for each in versions if _scored(each)}
    if len(splits) > 1:
        st.caption(
            ":material/info: These versions were tested on different data; small differences are not meaningful. "
            "“Details” compares a version with the previous one on the same windows."
        )
    others = {each.version: each for each in versions if each.version != model.version and _scored(each)}
    if not others or not _scored(model):
        return
    number = st.selectbox(
        md("Compare version {n}, gesture by gesture, with version", n=model.version),
        list(others),
        format_func=shown,
        key=f"beside-{model.version}",
    )
    mine, theirs = model.report.get("per_gesture", {}), others[number].report.get("per_gesture", {})
    st.dataframe(
        cells(
            {
                "Gesture": name,
                f"Recall of {model.version}": report.percent(mine.get(name, {}).get("recall")),
                f"Recall of {number}": report.percent(theirs.get(name, {}).get("recall")),
            }
            for name in dict.fromkeys([*mine, *theirs])
        ),
        hide_index=True,
        width="stretch",
    )


def _row(model: Model) -> dict[str, Any]:
    made: Mapping[str, Any] = model.report
    false = made.get("decisions", {}).get("false_activations_per_min")
    return {
        "Version": f"{model.version}{' ●' if model.active else ''}",
        "Created": times.shown(model.created_at),
        "Verdict": str((made.get("verdict") or {}).get("level", "—")),
        "Classifier": KINDS.get(str(model.metadata.get("kind")), "—"),
        "Balanced": report.percent(made.get("balanced_accuracy")),
        "Accuracy": report.percent(made.get("accuracy")),
        "Macro F1": report.percent(made.get("macro_f1")),
        "False activations per min of rest": "—" if false is None else f"{false:.1f}",
        "Windows": made.get("windows", 0),
        "KiB": round(model.model_bytes / 1024),
    }


def _download(app: App, profile: Profile, model: Model) -> None:
    """Offer a version as files."""
    left, right = st.columns(2)
    with left:
        download.link(
            app,
            "Model (safetensors)",
            file_exports.model_file(profile.user_id, model.version, "safetensors"),
            help_text="The weights, with everything else as JSON in the file's header: channels, window, gestures, "
            "training data.",
        )
    with right:
        download.link(app, "Report (JSON)", file_exports.model_file(profile.user_id, model.version, "json"))


def _scored(model: Model) -> bool:
    return model.report.get("balanced_accuracy") is not None


def _label(model: Model) -> str:
    made = model.report
    score = "report pending" if made.get("pending") else f"{report.percent(made.get('balanced_accuracy'))} balanced"
    level = (made.get("verdict") or {}).get("level")
    score = f"{score}, {level}" if level else score
    return line(
        "{version} · {at} · {score}{active}",
        version=model.version,
        at=times.shown(model.created_at),
        score=score,
        active=" · active" if model.active else "",
    )
