"""Registry of the profiles' active models, refreshed every second, and at once after a message on the bus."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import psycopg2

from semg.domain import Model, Profile
from semg.errors import ArtifactError
from semg.event_types import EventSpec
from semg.inference.streams import ActiveModel
from semg.process.attempts import LOCK_S, Attempts
from semg.signals.model.classifier import columns_of, spec_from_metadata
from semg.store import event_settings, models, profiles
from semg.store.pool import Pool

logger = logging.getLogger(__name__)


def active_model(profile: Profile, model: Model, events: EventSpec) -> ActiveModel:
    """Find the model's channels, by name, in the profile's device.

    Raises
    ------
    ArtifactError
        The device lacks a channel of that name.
    """
    spec = spec_from_metadata(model.metadata)
    return ActiveModel(
        user_id=profile.user_id,
        version=model.version,
        spec=spec,
        columns=columns_of(spec.channels, profile.device),
        n_device_channels=profile.device.n_channels,
        decision=profile.decision,
        events=events,
    )


class ActiveModelRegistry:
    """The active models of all profiles. Read and refreshed in one event loop; queries run in a thread.

    Attributes
    ----------
    changes
        Number of changes so far.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool.waiting_at_most(LOCK_S)
        self._rounds = Attempts(logger, "active models: the last ones stay")
        self._models: dict[int, ActiveModel] = {}
        self.changes = 0
        self._wake = asyncio.Event()
        self._reported: set[tuple[int, int]] = set()
        self.loaded = asyncio.Event()

    def find(self, user_id: int) -> ActiveModel | None:
        """Return the profile's active model, or None."""
        return self._models.get(user_id)

    def ask_refresh(self) -> None:
        """Refresh now instead of at the next interval."""
        self._wake.set()

    async def keep_current(self, every_s: float = 1.0) -> None:
        """Refresh until cancelled; while that fails, the last state stays."""
        while True:
            self._wake.clear()
            try:
                found = await asyncio.to_thread(self._read)
                self.changes += found != self._models
                self._models = found
                self.loaded.set()
                self._rounds.works("round")
            except Exception as exc:  # edge of a round
                self._rounds.note("round", exc)
            try:
                await asyncio.wait_for(self._wake.wait(), every_s)
            except TimeoutError:
                continue

    def _read(self) -> dict[int, ActiveModel]:
        """Read the changes since the last time: rows are cheap, a model's metadata is read only when it is new."""
        with self._pool.transaction() as tx:
            active = models.list_active(tx)
            people = {profile.user_id: profile for profile in profiles.list_chosen(tx, [one[0] for one in active])}
            specs = event_settings.list_event_specs(tx, list(people))
            found: dict[int, ActiveModel] = {}
            for user_id, version, _ in active:
                profile, known = people.get(user_id), self._models.get(user_id)
                if profile is None or user_id not in specs:
                    continue
                try:
                    if known is not None and known.version == version:
                        found[user_id] = _with_profile(known, profile, specs[user_id])
                    else:
                        model = models.find_active(tx, user_id)
                        if model is not None:
                            found[user_id] = active_model(profile, model, specs[user_id])
                except psycopg2.Error:
                    raise
                except Exception as exc:  # edge of a profile
                    if (user_id, version) not in self._reported:
                        self._reported.add((user_id, version))
                        fields = {"user_id": user_id, "model_version": version}
                        unforeseen = None if isinstance(exc, ArtifactError) else exc
                        logger.error("no decisions: %s", exc, extra=fields, exc_info=unforeseen)
            return found


def _with_profile(known: ActiveModel, profile: Profile, events: EventSpec) -> ActiveModel:
    """Return the known model with the profile's current settings; the same object if unchanged."""
    columns = columns_of(known.spec.channels, profile.device)
    current = replace(
        known, columns=columns, n_device_channels=profile.device.n_channels, decision=profile.decision, events=events
    )
    return known if current == known else current
