"""Cache active classifiers and predict windows with them. No HTTP here.

Windows of a live stream are predicted by a classifier that adapts to it (``batching``), as ``evaluate.py`` does with a
recording: the adaptation to a stream's windows so far applies to the next ones.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.errors import ArtifactError, NotFoundError
from semg.predictor.batching import answer
from semg.predictor.people import Member, People, PeopleByLayout
from semg.predictor.sample_prediction import predict_samples
from semg.signals.model.classifier import Classifier
from semg.store import models, profiles
from semg.store.pool import Pool
from semg.wire.http import PredictResponse
from semg.wire.windows import AlikeWindows, AnswerTable, WindowStatus

logger = logging.getLogger(__name__)
LOOK_AGAIN_S = 0.2
"""Minimum time between two reads of the store for a requested version that is not active."""


class NoModelError(NotFoundError):
    """The profile does not exist or has no active model."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A profile's active classifier, and the previous one, for windows that are still cut for it."""

    version: int
    member: Member
    previous: tuple[int, Member] | None = None

    @property
    def classifier(self) -> Classifier:
        """The active classifier."""
        return self.member.classifier

    def member_for(self, version: int) -> tuple[int, Member]:
        """Return version and classifier that predict a window cut for a version."""
        if self.previous is not None and self.previous[0] == version:
            return self.previous
        return self.version, self.member

    def may_learn(self, member: Member) -> bool:
        """Return whether a classifier follows its stream: the previous one does until the active one has begun."""
        return member is self.member or not self.member.people.numbers[self.member.row]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What predicts a window, or why nothing does; ``learns``: whether it follows the window's stream."""

    status: int
    version: int = 0
    member: Member | None = None
    row: int = -1
    learns: bool = False


class Predictor:
    """Caches the active classifier of each profile, evicting the least recently used. Safe to use from threads.

    ``refresh`` must be called at least once a second; requests never wait for it, except for a profile's first.
    """

    def __init__(self, pool: Pool, cache_size: int) -> None:
        self._pool = pool
        self._cache_size = cache_size
        self._cache: OrderedDict[int, Loaded] = OrderedDict()
        self._lock = threading.Lock()
        self._without_model: set[int] = set()
        self._read_again_at: dict[int, float] = {}
        self._people = PeopleByLayout()

    def find(self, user_id: int) -> Loaded | None:
        """Return the profile's active classifier, read from the store the first time.

        Raises
        ------
        StoreError
            It has to be read, and the store is unreachable.
        ArtifactError
            Its stored bytes are damaged.
        """
        with self._lock:
            loaded = self._cache.get(user_id)
            if loaded is not None:
                self._cache.move_to_end(user_id)
                return loaded
            if user_id in self._without_model:
                return None
        return self._load(user_id)

    def refresh(self) -> None:
        """Update every cached classifier to the currently active version; the swap is one assignment.

        While the cache has room for all, those that have not been requested yet are loaded as well.

        Raises
        ------
        StoreError
            The store is unreachable; the cache stays.
        ArtifactError
            Stored bytes are damaged; all others are up to date.
        """
        with self._pool.transaction() as tx:
            active = {user_id: version for user_id, version, _ in models.list_active(tx)}
        with self._lock:
            self._without_model.clear()
            gone = [user_id for user_id in self._cache if user_id not in active]
            for user_id in gone:
                del self._cache[user_id]
            changed = [user_id for user_id, loaded in self._cache.items() if loaded.version != active[user_id]]
            if len(active) <= self._cache_size:  # all fit: no profile's first window has to wait
                changed += [user_id for user_id in active if user_id not in self._cache]
        failed: ArtifactError | None = None
        for user_id in changed:
            try:
                self._load(user_id)
            except ArtifactError as exc:  # a damaged one does not block the others
                failed = exc
        if failed is not None:
            raise failed

    def knows_all(self, tables: Sequence[AlikeWindows]) -> bool:
        """Return whether windows can be predicted without reading the store."""
        cache, without = self._cache, self._without_model
        for table in tables:
            for user_id, version in zip(table.user_ids.tolist(), table.model_versions.tolist(), strict=True):
                loaded = cache.get(user_id)
                if (loaded is None or loaded.version < version) and user_id not in without:
                    return False
        return True

    def predict_windows(self, tables: Sequence[AlikeWindows]) -> AnswerTable:
        """Predict windows of many profiles; a failing model does not affect the others' answers.

        A window cut for the previous version is predicted by that one, so that a swap leaves no pause. A window cut for
        an unknown version triggers a read of the store.

        Windows of a stream must be in time order, and those of one stream in one request at a time.

        Returns
        -------
        One answer per window, at its index.
        """
        n = sum(len(table.indices) for table in tables)
        users, versions, statuses, classes = (np.zeros(n, np.int64) for _ in range(4))
        answered: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        for table in tables:
            users[table.indices] = table.user_ids
            chosen = self._choose_all(table)
            versions[table.indices] = [one.version for one in chosen]
            statuses[table.indices] = [one.status for one in chosen]
            for people, own, rows, learns in _by_table(chosen):
                numbers = np.where(learns, table.streams[own], 0)
                found = _answered(people, rows, numbers, table.windows[own])
                classes[table.indices[own]] = found.shape[1]
                answered.append((table.indices[own], found))
        probabilities = np.zeros((n, int(classes.max(initial=0))), np.float32)
        for at, found in answered:
            probabilities[at, : found.shape[1]] = found
        failed = (statuses == WindowStatus.OK) & ~np.isfinite(probabilities).all(axis=1)
        statuses[failed] = WindowStatus.FAILED
        failed = statuses != WindowStatus.OK
        classes[failed], probabilities[failed] = 0, 0.0
        return AnswerTable(users, versions, statuses, classes, probabilities)

    def predict(
        self, user_id: int, data: NDArray[np.float32], pause: Callable[[], None] = lambda: None
    ) -> PredictResponse:
        """Predict every window of raw samples by a profile's active classifier.

        Parameters and errors as ``predict_samples``.

        Raises
        ------
        NoModelError
            The profile does not exist, or has no active model.
        """
        with self._pool.transaction() as tx:
            try:
                device = profiles.get_profile(tx, user_id).device
            except NotFoundError as exc:
                raise NoModelError(f"there is no profile {user_id}") from exc
        loaded = self.find(user_id)
        if loaded is None:
            raise NoModelError(f"profile {user_id} has no active model: train one, or activate a version")
        return PredictResponse(
            userid=user_id,
            model_version=loaded.version,
            classes=[*loaded.classifier.classes, *loaded.classifier.spec.dynamic],
            predictions=predict_samples(loaded.classifier, device, data, pause),
        )

    def _choose_all(self, table: AlikeWindows) -> list[_Choice]:
        """Return what predicts each window."""
        found: dict[tuple[int, int], _Choice] = {}
        chosen, shape = [], table.windows.shape[1:]
        for key in zip(table.user_ids.tolist(), table.model_versions.tolist(), strict=True):
            one = found.get(key)
            if one is None:
                one = found[key] = self._choose(*key, shape)
            chosen.append(one)
        return chosen

    def _choose(self, user_id: int, version: int, shape: tuple[int, ...]) -> _Choice:
        """Return what predicts a profile's windows of a shape."""
        try:
            loaded = self.find(user_id)
            if loaded is not None and version > loaded.version and self._may_read_again(user_id):
                loaded = self._load(user_id)
        except Exception:  # one broken profile must not affect the others; the log has the cause
            logger.exception("model not loaded", extra={"user_id": user_id})
            return _Choice(int(WindowStatus.FAILED))
        if loaded is None:
            return _Choice(int(WindowStatus.NO_MODEL))
        answering, member = loaded.member_for(version)
        if shape != (len(member.classifier.channels), member.classifier.window.window_samples):
            return _Choice(int(WindowStatus.STALE), answering)
        return _Choice(int(WindowStatus.OK), answering, member, member.row, loaded.may_learn(member))

    def _may_read_again(self, user_id: int) -> bool:
        now_s = time.monotonic()
        if now_s - self._read_again_at.get(user_id, -LOOK_AGAIN_S) < LOOK_AGAIN_S:
            return False
        if len(self._read_again_at) > self._cache_size:
            self._read_again_at.clear()
        self._read_again_at[user_id] = now_s
        return True

    def _load(self, user_id: int) -> Loaded | None:
        with self._pool.transaction() as tx:
            found = models.find_active_artifact(tx, user_id)
        if found is None:
            with self._lock:
                self._cache.pop(user_id, None)
                if len(self._without_model) < 100_000:
                    self._without_model.add(user_id)
            return None
        model, artifact = found
        with self._lock:
            before = self._cache.get(user_id)
        if before is not None and before.version == model.version:
            return before  # with what it has learned from the stream
        member = self._people.add(Classifier.from_bytes(artifact))
        with self._lock:
            before = self._cache.get(user_id)
            loaded = Loaded(model.version, member, None if before is None else (before.version, before.member))
            self._cache[user_id] = loaded
            self._cache.move_to_end(user_id)
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return loaded


def _by_table(
    chosen: Sequence[_Choice],
) -> list[tuple[People, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """Return the windows that each table predicts: their indices, their rows in it, and which ones learn."""
    groups: dict[int, tuple[People, list[int], list[int], list[bool]]] = {}
    for index, one in enumerate(chosen):
        if one.member is not None:
            people = one.member.people
            group = groups.get(id(people))
            if group is None:
                group = groups[id(people)] = (people, [], [], [])
            group[1].append(index)
            group[2].append(one.row)
            group[3].append(one.learns)
    return [(people, np.array(own), np.array(rows), np.array(learns)) for people, own, rows, learns in groups.values()]


def _answered(
    people: People, rows: NDArray[np.int64], numbers: NDArray[np.int64], windows: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return ``answer``; NaN for all where their table cannot answer, so that the others of a request are answered."""
    try:
        return answer(people, rows, numbers, windows)
    except Exception:
        logger.exception("prediction of %d windows failed", len(rows))
        layout = people.stack.layout
        return np.full((len(rows), layout.n_classes + layout.n_dynamic), np.nan, np.float32)
