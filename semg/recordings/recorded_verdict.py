"""The verdict on a recorded session, from what is stored of its quality."""

from __future__ import annotations

from semg.domain import Session
from semg.signals.session_verdict import judge_recorded
from semg.store.session_quality import SessionQuality
from semg.verdicts import Verdict


def verdict_on(session: Session, quality: SessionQuality | None) -> Verdict:
    """Return the verdict on a session; without a quality it is said to be judged soon."""
    if quality is None:
        return judge_recorded(None, session.channels)
    return judge_recorded((quality.level, quality.reason), session.channels, quality.repetitions)
