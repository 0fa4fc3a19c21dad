"""The inference worker: live blocks → due windows of all profiles → one request → decisions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass, field

import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from semg.block_table import BlockTable
from semg.clock import now_us
from semg.domain import Decision, us_from_utc
from semg.errors import WireError
from semg.event_types import GestureEvent
from semg.inference.event_writer import EventWriter
from semg.inference.live_events import LiveEvents
from semg.inference.model_registry import ActiveModelRegistry
from semg.inference.predictor_client import PredictorError
from semg.inference.request_queue import Predictor, RequestQueue
from semg.inference.streams import DueWindows, Stream, Streams
from semg.process.attempts import Attempts
from semg.process.recent_counts import RecentCounts
from semg.settings import Settings
from semg.store import decisions as decisions_store
from semg.store.pool import Pool
from semg.wire import messages
from semg.wire.blocks import decode_table
from semg.wire.plausible_times import near_arrival
from semg.wire.stream_status import SHORT_S, DecidedStatus, as_metrics
from semg.wire.windows import AnswerTable, WindowStatus, decode_answer_table, encode_alike

logger = logging.getLogger(__name__)

MAX_WAITING_DECISIONS = 100_000
STORE_EVERY_S = 0.5
STREAM_IDLE_S = 600.0
RELEASE_EVERY_S = 0.2
AFTER_FAILURE_S = 0.05
MAX_WATCHED = 1000
"""Maximum number of profiles whose decisions carry probabilities."""
MAX_REPORTED = 500
"""Maximum number of profiles whose windows and decisions are reported."""


@dataclass(slots=True, kw_only=True)
class InferenceCounters:
    """Counters of the worker since its start."""

    blocks: int = 0
    windows: int = 0
    decisions: int = 0
    rejected: int = 0
    requests: int = 0
    failed_requests: int = 0
    dropped_windows: int = 0
    unanswered: dict[str, int] = field(default_factory=dict)
    decisions_not_stored: int = 0
    bad_messages: int = 0
    refused_blocks: int = 0
    refused_decisions: int = 0


class InferenceWorker:
    """Keeps a stream per profile that has a model, and requests the predictions of all of them together.

    Windows of profiles whose model has not answered yet, or failed, go into an isolated queue: a model that has to be
    loaded first, or that is broken, does not delay other profiles' decisions.

    Parameters
    ----------
    bus, pool
        Connected; the caller closes them.
    make_predictor
        Returns a connection to the predictor.
    """

    def __init__(
        self,
        settings: Settings,
        bus: Client,
        make_predictor: Callable[[], Predictor],
        pool: Pool,
        registry: ActiveModelRegistry,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._pool = pool
        self.registry = registry
        self.counters = InferenceCounters()
        self._streams = Streams(registry.find)
        self._recent = RecentCounts(SHORT_S)
        self._models_read = -1
        self._queue, self._isolated = RequestQueue(make_predictor()), RequestQueue(make_predictor(), is_isolated=True)
        self._partitions: set[int] | None = set()
        self._subscriptions: dict[str, Subscription] = {}
        self._to_store: deque[Decision] = deque(maxlen=MAX_WAITING_DECISIONS)
        self._watched_until: dict[int, float] = {}
        self._far: set[int] = set()
        self._live_events, self._events = LiveEvents(), EventWriter(pool, self._publish_event)

    async def subscribe(self, partitions: set[int] | None = None) -> None:
        """Subscribe to blocks, session edges, model activations and watchers."""
        await self.set_partitions(partitions)
        await self._bus.subscribe(messages.sessions_subject("*"), cb=self._on_session_edge)
        await self._bus.subscribe(messages.watch_subject("*"), cb=self._on_watch)
        for subject in (messages.models_subject("*"), messages.PROFILES_SUBJECT):
            await self._bus.subscribe(subject, cb=self._on_change)

    async def set_partitions(self, partitions: set[int] | None) -> None:
        """Serve the profiles of these partitions from now on, and remove the others' streams; None: all."""
        before, self._partitions = self._partitions, partitions
        # What a profile that is new here has pressed, another worker did, or this one before it was started again.
        self._events.release_pressed(
            lambda user_id: self._is_in(partitions, user_id) and not self._is_in(before, user_id)
        )
        wanted = {messages.live_subject(partition) for partition in (("*",) if partitions is None else partitions)}
        for subject in wanted - self._subscriptions.keys():  # first: duplicates are recognised, gaps cannot be filled
            self._subscriptions[subject] = await self._bus.subscribe(subject, cb=self._on_blocks)
        for subject in self._subscriptions.keys() - wanted:
            await self._subscriptions.pop(subject).unsubscribe()
        self._streams.drop_where(lambda user_id: not self._is_ours(user_id))
        self._live_events.drop_where(lambda user_id: not self._is_ours(user_id))

    async def run(self) -> None:
        """Predict and store until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.registry.keep_current())
                for queue in (self._queue, self._isolated):
                    tasks.create_task(self._predict_for_ever(queue))
                tasks.create_task(self._store_for_ever())
                tasks.create_task(self._events.run())
                tasks.create_task(self._release_silent())
        finally:
            for queue in (self._queue, self._isolated):
                queue.predictor.close()

    def metrics(self) -> dict[str, object]:
        """Return the counters, the sizes of the buffers, and recent decisions. For the heartbeat's thread."""
        return asdict(self.counters) | {
            "profiles": len(self._streams),
            "events": self._events.stored,
            "events_waiting": self._events.n_waiting,
            "events_lost": self._events.lost + self._events.refused,
            "waiting_windows": self._queue.n_waiting + self._isolated.n_waiting,
            "not_finite": self._streams.not_finite,
            "streams": as_metrics(self._decided()),
        }

    def _decided(self) -> dict[int, DecidedStatus]:
        """Return the numbers of windows and decisions of each profile in the last seconds."""
        counts = self._streams.counts()
        self._recent.note(now_us(), counts)
        found = {}
        for user_id in sorted(counts)[:MAX_REPORTED]:
            (windows, decisions), seconds = self._recent.growth(user_id, SHORT_S)
            found[user_id] = DecidedStatus(round(seconds, 2), windows, decisions)
        return found

    def _is_ours(self, user_id: int) -> bool:
        return self._is_in(self._partitions, user_id)

    def _is_in(self, partitions: set[int] | None, user_id: int) -> bool:
        """Return whether a profile is in some partitions; None: all."""
        return partitions is None or messages.partition_of(user_id, self._settings.journal_partitions) in partitions

    async def _on_change(self, _: Msg) -> None:
        self.registry.ask_refresh()

    async def _on_watch(self, message: Msg) -> None:
        try:
            user_id = messages.watched_profile(message.subject)
        except WireError as exc:
            self._count_bad(exc)
            return
        if user_id in self._watched_until or len(self._watched_until) < MAX_WATCHED:
            self._watched_until[user_id] = time.monotonic() + messages.WATCH_S

    def watched(self) -> Container[int]:
        """Return the profiles whose probabilities somebody looks at now."""
        now_s = time.monotonic()
        for user_id in [user_id for user_id, until in self._watched_until.items() if now_s > until]:
            del self._watched_until[user_id]
        return self._watched_until

    async def _on_session_edge(self, message: Msg) -> None:
        try:
            edge = messages.SessionEdge.from_bytes(message.data)
        except WireError as exc:
            self._count_bad(exc)
            return
        stream = self._streams.open(edge.userid, time.monotonic()) if self._is_ours(edge.userid) else None
        if stream is not None:
            stream.group.add_edge(stream.slot, us_from_utc(edge.at))

    async def _on_blocks(self, message: Msg) -> None:
        try:
            table = decode_table(message.data)
        except WireError as exc:
            self._count_bad(exc)
            return
        near = near_arrival(table)
        if not near.all():
            self._count_far(table.where(~near))
            table = table.where(near)
        now_s = time.monotonic()
        self.counters.blocks += len(table)
        if self._models_read != self.registry.changes:
            self._models_read = self.registry.changes
            self._streams.follow_models(now_s)
        for due in self._streams.push(table, now_s):
            self.counters.windows += len(due)
            self._send_on(due)

    def _send_on(self, due: DueWindows) -> None:
        """Put windows into the normal or the isolated queue, by their profiles."""
        isolated = [index for index, stream in enumerate(due.streams) if stream.isolated or not stream.proven]
        if not isolated:
            self.counters.dropped_windows += self._queue.add(due)
            return
        for index in isolated:
            due.streams[index].isolated += 1
        chosen = np.array(isolated)
        self.counters.dropped_windows += self._isolated.add(due.take(chosen))
        if len(isolated) < len(due):
            self.counters.dropped_windows += self._queue.add(due.take(np.setdiff1d(np.arange(len(due)), chosen)))

    async def _predict_for_ever(self, queue: RequestQueue) -> None:
        while True:
            await queue.wake.wait()
            if self._settings.inference_batch_wait_ms > 0:
                await asyncio.sleep(self._settings.inference_batch_wait_ms / 1000)
            queue.wake.clear()
            while batch := queue.take():
                await self._predict(batch, queue.predictor)
                for due in batch:
                    queue.leave(due)

    async def _predict(self, batch: list[DueWindows], predictor: Predictor) -> None:
        """Send one request with the windows of all profiles, and publish the decisions."""
        self.counters.requests += 1
        total = sum(map(len, batch))
        try:
            body = encode_alike([(due.user_ids, due.model_versions, due.cut.numbers, due.cut.windows) for due in batch])
            answers = decode_answer_table(await predictor.post(body))
            if answers.user_ids.tolist() != [user_id for due in batch for user_id in due.user_ids.tolist()]:
                raise WireError("answer_size", f"expected {total} answers for the profiles asked, got {len(answers)}")
        except (PredictorError, WireError) as exc:
            self.counters.failed_requests += 1
            self.counters.dropped_windows += total
            if self.counters.failed_requests.bit_count() == 1:  # the 1st, 2nd, 4th, 8th … failure is logged
                logger.warning("no predictions for %d windows: %s (%s)", total, exc, type(exc).__name__)
            await asyncio.sleep(AFTER_FAILURE_S)
            return
        decided_us, at = now_us(), 0
        for due in batch:
            await self._decide(due, answers, at, decided_us)
            at += len(due)

    async def _decide(self, due: DueWindows, answers: AnswerTable, first: int, decided_us: int) -> None:
        rows = slice(first, first + len(due))
        good = np.array(
            [
                self._is_answered(stream, status, version)
                for stream, status, version in zip(
                    due.streams, answers.statuses[rows].tolist(), answers.model_versions[rows].tolist(), strict=True
                )
            ]
        )
        probabilities, n_classes = answers.probabilities[rows], answers.n_classes[rows]
        if not good.all():
            self.registry.ask_refresh()
            due, probabilities, n_classes = due.take(np.flatnonzero(good)), probabilities[good], n_classes[good]
        if len(due):
            decisions = self._streams.decide(due, probabilities, n_classes, decided_us, self.watched())
            self._events.add(self._live_events.push(due, decisions))
            for decision in decisions:
                await self._publish(decision)

    def _is_answered(self, stream: Stream, status: int, version: int) -> bool:
        """Return whether an answer may become a decision, and record whether the stream's model answers."""
        stream.proven = status == WindowStatus.OK
        if stream.proven and version == stream.model.version and self._streams.is_current(stream):
            return True
        reason = "other_version" if stream.proven else WindowStatus(status).name.lower()
        self.counters.unanswered[reason] = self.counters.unanswered.get(reason, 0) + 1
        return False

    async def _publish(self, decision: Decision) -> None:
        try:
            text = messages.DecisionMessage.encode(decision)
        except (ValueError, OverflowError, TypeError) as exc:  # one profile's, and everybody's are made here
            self.counters.refused_decisions += 1
            if self.counters.refused_decisions.bit_count() == 1:
                logger.warning("a decision of profile %d is skipped: %s", decision.user_id, exc)
            return
        self.counters.decisions += 1
        self.counters.rejected += decision.label is None
        await self._bus.publish(messages.decisions_subject(decision.user_id), text)
        if len(self._to_store) == MAX_WAITING_DECISIONS:
            self.counters.decisions_not_stored += 1
        self._to_store.append(decision)

    async def _publish_event(self, event: GestureEvent) -> None:
        await self._bus.publish(messages.events_subject(event.user_id), messages.EventMessage.of(event).to_bytes())

    async def _release_silent(self) -> None:
        """Release what is pressed where no decision comes any more."""
        while True:
            await asyncio.sleep(RELEASE_EVERY_S)
            self._events.add(self._live_events.silent(now_us()))

    async def _store_for_ever(self) -> None:
        """Write decisions in batches; they wait while the store is down, and the oldest go when the buffer is full."""
        attempts = Attempts(logger, "decisions wait to be stored")
        while True:
            await asyncio.sleep(STORE_EVERY_S)
            self._streams.drop_idle(time.monotonic() - STREAM_IDLE_S)
            batch = list(self._to_store)
            if not batch:
                continue
            try:
                await asyncio.to_thread(self._store, batch)
            except Exception as exc:  # edge of a round
                attempts.note("round", exc)
                continue
            attempts.works("round")
            for decision in batch:
                if self._to_store and self._to_store[0] is decision:
                    self._to_store.popleft()

    def _store(self, batch: list[Decision]) -> None:
        """Write decisions; one that cannot be stored is counted, and keeps no others from it. Runs in a thread."""
        with self._pool.transaction() as tx:
            refused = decisions_store.insert_possible(tx, batch)
        self.counters.decisions_not_stored += len(refused)
        if refused:
            logger.warning("%d decisions cannot be stored, of profile %d first", len(refused), refused[0].user_id)

    def _count_far(self, table: BlockTable) -> None:
        """Count blocks whose time is far from their arrival, and log the first of each profile."""
        self.counters.refused_blocks += len(table)
        for user_id in sorted(set(table.rows["user_id"].tolist()) - self._far):
            if len(self._far) < MAX_WATCHED:
                self._far.add(user_id)
                logger.warning("blocks of profile %d are skipped, here and later: their time is not near", user_id)

    def _count_bad(self, exc: WireError) -> None:
        self.counters.bad_messages += 1
        if self.counters.bad_messages.bit_count() == 1:
            logger.warning("message refused: %s", exc)
