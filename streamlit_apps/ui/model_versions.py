"""The versions of a profile's model: their reports, compared; which one decides; taking one away as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from semg.commands.model_activation import activate_version, doubts
from semg.domain import Model, Profile
from semg.privacy import file_exports
from semg.signals.training.training_report import TrainingReport
from semg.signals.training.verdict import plain_verdict
from ui import acts, download, errors, report, times, verdict
from ui.job_cards import KINDS
from ui.page import flash
from ui.runtime import App
from ui.text import cells, line, md, shown


@dataclass(frozen=True, slots=True)
class _Version:
    """A stored version with its report."""

    model: Model
    report: TrainingReport


def show_models(app: App, profile: Profile, versions: Sequence[Model]) -> None:
    """Show the report of a version, which one decides, and what sets them apart."""
    by_version = {model.version: _Version(model, TrainingReport.from_json(model.report)) for model in versions}
    active = next((model.version for model in versions if model.active), None)
    numbers = list(by_version)
    # What stands in a field keeps its words as long as the field does.
    pending = sum(one.report.pending for one in by_version.values())
    version = st.selectbox(
        "Version",
        numbers,
        numbers.index(active) if active in by_version else 0,
        format_func=lambda number: _label(by_version[number]),
        key=f"version-{profile.user_id}-{numbers[0]}-{active}-{pending}",
    )
    chosen = by_version[version]
    if chosen.model.metadata.get("training", {}).get("simulated"):
        st.caption(
            ":material/smart_toy: Trained on sessions of a simulated arm: its figures say nothing about a person."
        )
    _activate(app, profile, chosen, active)
    report.show_report(chosen.report, f"{profile.user_id}-{version}")
    if len(versions) > 1:
        with st.expander("Compare versions"):
            _compare(list(by_version.values()), chosen)
    _download(app, profile, chosen.model)


def _activate(app: App, profile: Profile, chosen: _Version, active: int | None) -> None:
    model = chosen.model
    if model.active:
        st.caption(":material/check_circle: This is the active version.")
        return
    if not app.may_work:
        return
    back = active is not None and model.version < active
    said = doubts(chosen.report)
    if said:
        st.markdown(md(":material/warning: {doubts}", doubts=said))
        sure = md("Activate version {n} for {name} anyway", n=model.version, name=profile.name)
        if not st.checkbox(sure, key=f"sure-{profile.user_id}-{model.version}"):
            return
    if st.button(
        md("Go back to this version for {name}", name=profile.name)
        if back
        else md("Activate this version for {name}", name=profile.name),
        key=acts.key(f"activate-{model.version}", profile.user_id),
        type="secondary" if said else "primary",
        icon=":material/undo:" if back else ":material/check:",
    ):
        with errors.attempt():
            with app.pool.transaction() as tx:
                activate_version(tx, app, profile.user_id, model.version, despite_doubts=bool(said))
            flash(md("Version {n} is now active", n=model.version))
            st.rerun()


def _compare(versions: Sequence[_Version], chosen: _Version) -> None:
    st.dataframe(cells(_row(each) for each in versions), hide_index=True, width="stretch")
    splits = {(each.report.split, each.report.held_out) for each in versions if each.report.scored}
    if len(splits) > 1:
        st.caption(
            ":material/info: These versions were tested on different data; small differences are not meaningful. "
            "“Details” compares a version with the previous one on the same windows."
        )
    own = chosen.model.version
    others = {each.model.version: each.report for each in versions if each is not chosen and each.report.scored}
    if not others or not chosen.report.scored:
        return
    number = st.selectbox(
        md("Compare version {n}, gesture by gesture, with version", n=own),
        list(others),
        format_func=shown,
        key=f"beside-{own}",
    )
    mine, theirs = chosen.report.per_gesture, others[number].per_gesture
    st.dataframe(
        cells(
            {
                "Gesture": name,
                f"Recall of {own}": report.percent(mine[name].recall if name in mine else None),
                f"Recall of {number}": report.percent(theirs[name].recall if name in theirs else None),
            }
            for name in dict.fromkeys([*mine, *theirs])
        ),
        hide_index=True,
        width="stretch",
    )


def _row(version: _Version) -> dict[str, Any]:
    model, made = version.model, version.report
    false = None if made.decisions is None else made.decisions.false_activations_per_min
    return {
        "Version": f"{model.version}{' ●' if model.active else ''}",
        "Created": times.shown(model.created_at),
        "Verdict": verdict.short(plain_verdict(made)),
        "Classifier": KINDS.get(str(model.metadata.get("kind")), "—"),
        "Balanced": report.percent(made.balanced_accuracy),
        "Accuracy": report.percent(made.accuracy),
        "Macro F1": report.percent(made.macro_f1),
        "False activations per min of rest": "—" if false is None else f"{false:.1f}",
        "Windows": made.windows,
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


def _label(version: _Version) -> str:
    model, made = version.model, version.report
    score = "report pending" if made.pending else f"{report.percent(made.balanced_accuracy)} balanced"
    score = f"{score}, {made.level}" if made.level else score
    return line(
        "{version} · {at} · {score}{active}",
        version=model.version,
        at=times.shown(model.created_at),
        score=score,
        active=" · active" if model.active else "",
    )
