"""Which version of a profile's model decides."""

from __future__ import annotations

from semg.commands.acting import Acting
from semg.errors import ConflictError
from semg.signals.training.training_report import TrainingReport
from semg.store import audit, models
from semg.store.pool import Transaction


def doubts(made: TrainingReport) -> str:
    """Return why a version should not decide; empty when nothing speaks against it."""
    if made.pending or made.incomplete:
        return "This version has not been tested on held-out data, so its accuracy is unknown."
    if made.verdict is not None and made.verdict.level == "do not use":
        return made.verdict.sentence
    return "" if made.activation is None else made.activation.why


def activate_version(tx: Transaction, who: Acting, user_id: int, version: int, *, despite_doubts: bool) -> None:
    """Let a version decide; an older one is a rollback.

    Parameters
    ----------
    despite_doubts
        Somebody has read what speaks against it.

    Raises
    ------
    NotFoundError, AccessError
        As ``Acting.require``; or the profile has no such version.
    ConflictError
        Something speaks against it, and nobody has read that.
    """
    who.require(tx, user_id, "work")
    said = doubts(TrainingReport.from_json(models.get_model(tx, user_id, version).report))
    if said and not despite_doubts:
        raise ConflictError(f"version {version} should not decide: {said}")
    models.activate_model(tx, user_id, version)
    audit.record(tx, who.actor, "model.activated", user_id, version=version)
