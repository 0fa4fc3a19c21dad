"""Live streams of all profiles: from flushes to due windows, and from predictions to decisions. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field

import numpy as np
import scipy.signal  # noqa: F401 - conditioning imports it at first use, which would be in the middle of a stream
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.domain import Decision, DecisionSpec
from semg.event_types import EventSpec
from semg.signals.batch_windows import BatchWindowStream, DueSlots, StreamSpec
from semg.signals.model.classifier import ClassifierSpec
from semg.signals.model.decisions import BatchVoter
from semg.signals.model.dynamic import performed


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A profile's active model as inference needs it, without its weights.

    ``columns`` are the indices of the model's channels, found by name, in a sample of the profile's device.
    """

    user_id: int
    version: int
    spec: ClassifierSpec
    columns: tuple[int, ...]
    n_device_channels: int
    decision: DecisionSpec
    events: EventSpec = field(default_factory=EventSpec)

    @property
    def stream_spec(self) -> StreamSpec:
        """The stream spec, equal for models whose windows are cut together."""
        return StreamSpec(self.spec.window, self.spec.conditioning, self.columns, self.n_device_channels)


@dataclass(slots=True, kw_only=True)
class Stream:
    """One profile's stream: its slot in the buffers, and its model."""

    number: int
    """Its index among the voters."""
    model: ActiveModel
    group: BatchWindowStream
    slot: int
    seen_at: float
    proven: bool = False
    """Whether its model has answered. Until then its windows wait in the isolated queue and delay no others."""
    n_windows: int = 0
    n_decisions: int = 0
    isolated: int = 0
    """Windows in the isolated queue: later ones of the stream must not overtake them in the other queue."""


@dataclass(frozen=True, slots=True)
class DueWindows:
    """Windows due for prediction, of one shape and each of another profile; arrays as in ``DueSlots``."""

    streams: list[Stream]
    user_ids: NDArray[np.int64]
    model_versions: NDArray[np.int64]
    cut: DueSlots

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def window_bytes(self) -> int:
        """Size of one of the windows."""
        return int(np.prod(self.cut.windows.shape[1:])) * self.cut.windows.itemsize

    def take(self, indices: NDArray[np.int64]) -> DueWindows:
        """Return the windows at these indices, in this order."""
        return DueWindows(
            [self.streams[index] for index in indices.tolist()],
            self.user_ids[indices],
            self.model_versions[indices],
            self.cut.take(indices),
        )


def _performed(model: ActiveModel, probabilities: NDArray[np.float32]) -> tuple[str, float] | None:
    """Return the dynamic gesture that a window's probabilities ``(n_dynamic,)`` decide, and its own; or None.

    A performance is judged in one window, once: it takes part in no vote, and the vote goes on behind it.
    """
    if not model.spec.dynamic or len(probabilities) != len(model.spec.dynamic):
        return None
    best = performed(probabilities, model.decision.begin_confidence)
    return None if best is None else (model.spec.dynamic[best], float(probabilities[best]))


class Streams:
    """The streams of all profiles that send and have a model. One thread at a time.

    Parameters
    ----------
    find_model
        Returns a profile's active model, the same object while unchanged, or None.
    """

    def __init__(self, find_model: Callable[[int], ActiveModel | None]) -> None:
        self._find_model = find_model
        self._streams: dict[int, Stream] = {}
        self._groups: dict[StreamSpec, BatchWindowStream] = {}
        self._voters = BatchVoter()
        self._free: list[int] = []
        self._known = np.zeros(0, np.int64)  # user ids, sorted
        self._sorted_streams: list[Stream] = []
        self._group_of, self._slot_of = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._group_list: list[BatchWindowStream] = []
        self._last_seen = np.zeros(0)
        self._stale = True

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def not_finite(self) -> int:
        """Windows dropped because they held values that are not finite."""
        return sum(group.not_finite for group in self._groups.values())

    def counts(self) -> dict[int, tuple[int, int]]:
        """Return the numbers of windows and decisions of each profile's stream. Safe from any thread."""
        return {user_id: (one.n_windows, one.n_decisions) for user_id, one in list(self._streams.items())}

    def is_current(self, stream: Stream) -> bool:
        """Return whether the stream is still its profile's current one."""
        return self._streams.get(stream.model.user_id) is stream

    def open(self, user_id: int, now_s: float) -> Stream | None:
        """Return the profile's stream with its active model; None, and no buffer, without a model."""
        model, stream = self._find_model(user_id), self._streams.get(user_id)
        if model is None:
            if stream is not None:
                self.drop(user_id)
            return None
        if stream is None:
            group = self._groups.setdefault(model.stream_spec, BatchWindowStream(model.stream_spec))
            number = self._free.pop() if self._free else len(self._streams)
            stream = self._streams[user_id] = Stream(
                number=number, model=model, group=group, slot=group.add_stream(), seen_at=now_s
            )
            self._stale = True
            self._voters.set_stream(number, model.decision, len(model.spec.classes))
        elif stream.model is not model:
            self._change_model(stream, model)
        return stream

    def drop(self, user_id: int) -> None:
        """Remove a profile's stream."""
        stream = self._streams.pop(user_id)
        self._release(stream)
        self._free.append(stream.number)
        self._stale = True

    def drop_where(self, unwanted: Callable[[int], bool]) -> None:
        """Remove the streams of the profiles that a predicate selects."""
        for user_id in [user_id for user_id in self._streams if unwanted(user_id)]:
            self.drop(user_id)

    def drop_idle(self, before_s: float) -> None:
        """Remove streams that have received nothing since ``before_s``."""
        self._note_seen()
        self.drop_where(lambda user_id: self._streams[user_id].seen_at < before_s)

    def follow_models(self, now_s: float) -> None:
        """Switch every stream to the currently active model."""
        for user_id in list(self._streams):
            self.open(user_id, now_s)

    def push(self, table: BlockTable, now_s: float) -> list[DueWindows]:
        """Return the windows that become due with a flush, of all profiles that have a model.

        A profile's windows are in time order.
        """
        indices, found = self._find_streams(table.rows["user_id"], now_s)
        if not len(indices):
            return []
        self._last_seen[found] = now_s
        ends, value_ends = np.cumsum(table.counts), np.cumsum(table.value_counts)
        groups, slots = self._group_of[found], self._slot_of[found]
        due: list[DueWindows] = []
        for index in np.unique(groups).tolist():
            own = groups == index
            group = self._group_list[index]
            passes = group.push(table, indices[own], slots[own], ends, value_ends)
            if passes:
                owners = {int(slot): position for slot, position in zip(slots[own], found[own], strict=True)}
                due += [self._with_owners(cut, owners) for cut in passes]
        return due

    def decide(
        self,
        due: DueWindows,
        probabilities: NDArray[np.float32],
        n_classes: NDArray[np.int64],
        decided_us: int,
        watched: Container[int] = (),
    ) -> list[Decision]:
        """Return the decisions on predicted windows, ``(N, K)``; a profile's windows must be in time order.

        Parameters
        ----------
        watched
            Profiles whose decisions carry the probabilities of all labels.
        """
        cut = due.cut
        numbers = np.array([stream.number for stream in due.streams])
        n_held = np.minimum(n_classes, [len(stream.model.spec.classes) for stream in due.streams])
        winners, confidences = self._voters.push(numbers, cut.starts_run, probabilities, n_held)
        labels = [
            None if winner < 0 else stream.model.spec.classes[winner]
            for stream, winner in zip(due.streams, winners.tolist(), strict=True)
        ]
        once = [False] * len(due)
        for row, stream in enumerate(due.streams):
            stream.n_decisions += 1
            judged = _performed(stream.model, probabilities[row, n_held[row] : n_classes[row]])
            if judged is not None:
                (labels[row], confidences[row]), once[row] = judged, True
        explained = [
            self._explained(stream, row) if stream.model.user_id in watched else (None, None)
            for stream, row in zip(due.streams, probabilities, strict=True)
        ]
        columns = (
            due.streams, labels, once, explained, confidences.tolist(), due.model_versions.tolist(),
            cut.device_us.tolist(), cut.server_us.tolist(), cut.received_us.tolist(),
        )  # fmt: skip
        return [
            Decision(
                stream.model.user_id, label, confidence, version, device_us, server_us, received_us, decided_us,
                means, needed, is_once,
            )
            for stream, label, is_once, (means, needed), confidence, version, device_us, server_us, received_us
            in zip(*columns, strict=True)
        ]  # fmt: skip

    def _explained(self, stream: Stream, row: NDArray[np.float32]) -> tuple[dict[str, float], float]:
        """Return the mean probability of each label in a stream's last vote, and what a new label needs.

        Of a dynamic gesture it is the probability in the newest window's ``row``: 0 unless that judges a performance.
        """
        classes, dynamic = stream.model.spec.classes, stream.model.spec.dynamic
        means = self._voters.mean_probabilities(stream.number, len(classes)).tolist()
        once = row[len(classes) : len(classes) + len(dynamic)].tolist()
        return dict(zip((*classes, *dynamic), means + once, strict=True)), stream.model.decision.begin_confidence

    def _find_streams(self, user_ids: NDArray[np.int64], now_s: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the indices of the blocks of profiles with a model, and of each one's stream in the sorted streams."""
        if self._stale:
            self._arrange()
        at = np.searchsorted(self._known, user_ids)
        is_known = at < len(self._known)
        is_known[is_known] = self._known[at[is_known]] == user_ids[is_known]
        if not is_known.all():
            opened = [self.open(user_id, now_s) for user_id in np.unique(user_ids[~is_known]).tolist()]
            if any(stream is not None for stream in opened):
                return self._find_streams(user_ids, now_s)
        indices = np.flatnonzero(is_known)
        return indices, at[indices]

    def _arrange(self) -> None:
        """Rebuild the arrays of streams, sorted by profile."""
        self._note_seen()
        self._groups = {stream_spec: group for stream_spec, group in self._groups.items() if group.n_streams}
        self._group_list = list(self._groups.values())
        indices = {id(group): index for index, group in enumerate(self._group_list)}
        self._sorted_streams = [self._streams[user_id] for user_id in sorted(self._streams)]
        self._known = np.array(sorted(self._streams), np.int64)
        self._group_of = np.array([indices[id(stream.group)] for stream in self._sorted_streams], np.int64)
        self._slot_of = np.array([stream.slot for stream in self._sorted_streams], np.int64)
        self._last_seen = np.array([stream.seen_at for stream in self._sorted_streams], float)
        self._stale = False

    def _note_seen(self) -> None:
        for stream, seen_at in zip(self._sorted_streams, self._last_seen.tolist(), strict=True):
            stream.seen_at = seen_at

    def _with_owners(self, cut: DueSlots, owners: dict[int, int]) -> DueWindows:
        streams = [self._sorted_streams[owners[slot]] for slot in cut.slots.tolist()]
        for stream in streams:
            stream.n_windows += 1
        user_ids = np.array([stream.model.user_id for stream in streams], np.int64)
        versions = np.array([stream.model.version for stream in streams], np.int64)
        return DueWindows(streams, user_ids, versions, cut)

    def _change_model(self, stream: Stream, model: ActiveModel) -> None:
        """Continue with another version; the buffers stay if its stream spec is the same."""
        if model.stream_spec != stream.group.stream_spec:
            self._release(stream)
            stream.group = self._groups.setdefault(model.stream_spec, BatchWindowStream(model.stream_spec))
            stream.slot = stream.group.add_stream()
            self._stale = True
        stream.proven &= model.version == stream.model.version
        stream.model = model
        self._voters.set_stream(stream.number, model.decision, len(model.spec.classes))

    def _release(self, stream: Stream) -> None:
        stream.group.remove_stream(stream.slot)
