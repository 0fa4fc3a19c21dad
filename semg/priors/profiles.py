"""Population priors of the profiles that consent: built by ``pretrain.py``, used by trainings."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from semg.consent_types import agrees
from semg.domain import Session
from semg.errors import TrainingError
from semg.priors.building import MAX_PEOPLE, newest_fitting, statistics_of, store_version
from semg.recordings.session_data import load_session
from semg.settings import Settings
from semg.signals.dataset import LabelledSamples
from semg.signals.training.options import TrainingOptions
from semg.signals.training.population_prior import PersonStatistics, PopulationPrior
from semg.store import access, profiles
from semg.store import sessions as sessions_store
from semg.store.pool import Pool

logger = logging.getLogger(__name__)
MAX_SESSIONS, MAX_VALUES = 6, 100_000_000
"""The newest sessions of a profile are enough to know it by, and as many samples of all channels: 400 MB."""


def bases_folder(settings: Settings) -> Path:
    """Return the folder of the stored priors."""
    return settings.data_dir / "bases"


def make_bases(settings: Settings, pool: Pool) -> Iterator[str]:
    """Build a prior for each kind of device from all profiles that consent, and store them as the next version.

    One profile's samples are in memory at a time.

    Yields
    ------
    Lines that describe what is included.

    Raises
    ------
    TrainingError
        When no two profiles with equivalent devices consent and have labelled sessions.
    """
    options = TrainingOptions()
    with pool.transaction() as tx:
        agreed = [each.user_id for each in profiles.list_profiles(tx) if agrees(each.consent, "shared_models")]
        consenting = access.by_turns_of_owners(tx, agreed)
    by_kind: dict[tuple[int, float, str], list[tuple[PersonStatistics, LabelledSamples]]] = defaultdict(list)
    for user_id in consenting:
        sessions = _sessions_of(pool, user_id)
        if not sessions:
            continue
        first = sessions[-1]
        kind = (len(first.channels), first.rate_hz, first.sensor)
        same = [each for each in sessions if (len(each.channels), each.rate_hz, each.sensor) == kind]
        if len(by_kind[kind]) >= MAX_PEOPLE:
            continue
        try:
            found = statistics_of(str(user_id), same, options)
        except TrainingError as exc:
            yield f"profile {user_id} left out: {exc}"
            continue
        except Exception as exc:  # edge of a person: the others' prior is made all the same
            logger.exception("left out of the prior", extra={"user_id": user_id})
            yield f"profile {user_id} left out: an unexpected error ({type(exc).__name__}); the log has the details"
            continue
        by_kind[kind].append((found, first))
        yield f"profile {user_id}: {len(same)} sessions, {found.n_repetitions} repetitions"
    bases = [
        PopulationPrior.of(f"{len(each)} people", each[0][1], options, [person for person, _ in each])
        for each in by_kind.values()
        if len(each) > 1
    ]
    if not bases:
        raise TrainingError(
            "No base was made: at least two profiles with devices alike must consent and have labelled sessions."
        )
    version = store_version(bases_folder(settings), bases)
    for base in bases:
        yield f"version {version}: {base.describe()}"


def find_base(
    settings: Settings, pool: Pool, user_id: int, session: LabelledSamples, options: TrainingOptions
) -> PopulationPrior | None:
    """Return the newest prior that fits a training, without the person's own data and data without consent."""
    n_channels = len(options.channels or session.channels)
    base = newest_fitting(bases_folder(settings), session, n_channels, options)
    if base is None:
        return None
    with pool.transaction() as tx:
        consenting = {str(p.user_id) for p in profiles.list_profiles(tx) if agrees(p.consent, "shared_models")}
    gone = {person.name for person in base.people if person.name not in consenting}
    left = base.without(names=gone | {str(user_id)})
    return left if len(left.people) > 1 else None


def _sessions_of(pool: Pool, user_id: int) -> list[LabelledSamples]:
    """Return a profile's newest completed sessions of a person that hold labels, in time order."""
    found: list[LabelledSamples] = []
    with pool.transaction() as tx:
        completed = [
            s for s in sessions_store.list_sessions(tx, user_id) if s.status == "completed" and not s.simulated
        ]
        completed.sort(key=lambda session: (session.started_at, session.session_id), reverse=True)
        left = MAX_VALUES
        for session in completed[:MAX_SESSIONS]:
            left -= _values_of(session)
            if left < 0:
                break
            try:
                loaded = load_session(tx, session)
            except TrainingError:
                continue  # no samples, or a device changed in between: nothing to learn from
            if loaded.stretches:
                found.insert(0, loaded)
    return found


def _values_of(session: Session) -> int:
    """Return how many values a session holds at its nominal rate."""
    assert session.ended_at is not None
    length_s = (session.ended_at - session.started_at).total_seconds()
    return int(length_s * session.rate_hz * len(session.channels))
