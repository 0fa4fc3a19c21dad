"""The inference worker: live blocks → due windows of all profiles → one request → decisions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import asdict, dataclass, field

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg

from semg.domain import Decision, us_from_utc
from semg.errors import StoreError, WireError
from semg.inference.directory import Directory
from semg.inference.streams import ActiveModel, DueWindow, ProfileStream
from semg.settings import Settings
from semg.store import decisions as decisions_store
from semg.store.pool import Pool
from semg.wire import messages
from semg.wire.blocks import decode_blocks
from semg.wire.windows import CONTENT_TYPE, WindowRequest, WindowStatus, decode_answer, encode_request

logger = logging.getLogger(__name__)

MAX_WINDOWS_PER_REQUEST = 512
MAX_WAITING_WINDOWS = 8192
MAX_WAITING_DECISIONS = 100_000
STORE_EVERY_S = 0.5
STREAM_IDLE_S = 600.0


@dataclass(slots=True)
class InferenceCounters:
    """What the worker did since it started."""

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


class InferenceWorker:
    """Keeps a stream per profile that has a model, and asks the predictor for all of them at once.

    Parameters
    ----------
    bus, http, pool
        Connected; the caller closes them.
    """

    def __init__(
        self, settings: Settings, bus: Client, http: httpx.AsyncClient, pool: Pool, directory: Directory
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._http = http
        self._pool = pool
        self.directory = directory
        self.counters = InferenceCounters()
        self._streams: dict[int, ProfileStream] = {}
        self._seen_at: dict[int, float] = {}
        self._due: deque[DueWindow] = deque()
        self._wake = asyncio.Event()
        self._to_store: deque[Decision] = deque(maxlen=MAX_WAITING_DECISIONS)
        self._url = f"{settings.internal_api_url}/predict/windows"
        token = settings.semg_api_token.get_secret_value()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": CONTENT_TYPE}

    async def subscribe(self) -> None:
        """Listen to blocks, session edges and model activations."""
        await self._bus.subscribe(messages.live_subject("*"), cb=self._on_blocks)
        await self._bus.subscribe(messages.sessions_subject("*"), cb=self._on_session_edge)
        for subject in (messages.models_subject("*"), messages.PROFILES_SUBJECT):
            await self._bus.subscribe(subject, cb=self._on_change)

    async def run(self) -> None:
        """Predict and store for ever; cancel to stop."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.directory.keep_current())
            tasks.create_task(self._predict_for_ever())
            tasks.create_task(self._store_for_ever())

    def metrics(self) -> dict[str, object]:
        """Give the counters and the sizes of the buffers."""
        return asdict(self.counters) | {"profiles": len(self._streams), "waiting_windows": len(self._due)}

    async def _on_change(self, _: Msg) -> None:
        self.directory.ask_refresh()

    async def _on_session_edge(self, message: Msg) -> None:
        try:
            edge = messages.SessionEdge.from_bytes(message.data)
        except WireError as exc:
            self._count_bad(exc)
            return
        stream = self._stream_of(edge.userid)
        if stream is not None:
            stream.add_edge(us_from_utc(edge.at))

    async def _on_blocks(self, message: Msg) -> None:
        try:
            blocks = decode_blocks(message.data)
        except WireError as exc:
            self._count_bad(exc)
            return
        for block in blocks:
            self.counters.blocks += 1
            stream = self._stream_of(block.user_id)
            if stream is not None:
                self._due.extend(stream.push(block))
        while len(self._due) > MAX_WAITING_WINDOWS:
            self._due.popleft()
            self.counters.dropped_windows += 1
        if self._due:
            self._wake.set()

    def _stream_of(self, user_id: int) -> ProfileStream | None:
        """Give the profile's stream, with its active model; None (and no buffer) without a model."""
        model: ActiveModel | None = self.directory.find(user_id)
        stream = self._streams.get(user_id)
        if model is None:
            self._streams.pop(user_id, None)
            self._seen_at.pop(user_id, None)
            return None
        if stream is None:
            stream = self._streams[user_id] = ProfileStream(model)
        elif stream.model is not model:
            stream.change_model(model)
        self._seen_at[user_id] = time.monotonic()
        return stream

    async def _predict_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            if self._settings.inference_batch_wait_ms > 0:
                await asyncio.sleep(self._settings.inference_batch_wait_ms / 1000)
            self._wake.clear()
            while self._due:
                batch = [self._due.popleft() for _ in range(min(len(self._due), MAX_WINDOWS_PER_REQUEST))]
                await self._predict(batch)

    async def _predict(self, batch: list[DueWindow]) -> None:
        """Send one request with the windows of all profiles and publish what comes back."""
        self.counters.requests += 1
        body = encode_request([WindowRequest(due.user_id, due.model_version, due.window) for due in batch])
        try:
            response = await self._http.post(self._url, content=body, headers=self._headers)
            response.raise_for_status()
            answers = decode_answer(response.content)
            if len(answers) != len(batch):
                raise WireError("answer_size", f"expected {len(batch)} answers, got {len(answers)}")
        except (httpx.HTTPError, WireError) as exc:
            self.counters.failed_requests += 1
            self.counters.dropped_windows += len(batch)
            if self.counters.failed_requests.bit_count() == 1:  # the 1st, 2nd, 4th, 8th … failure is told
                logger.warning("no predictions for %d windows: %s (%s)", len(batch), exc, type(exc).__name__)
            await asyncio.sleep(0.05)
            return
        decided_us = time.time_ns() // 1000
        for due, answer in zip(batch, answers, strict=True):
            stream = self._streams.get(due.user_id)
            if answer.status is not WindowStatus.OK or stream is None or answer.model_version != stream.model.version:
                reason = answer.status.name.lower() if answer.status is not WindowStatus.OK else "other_version"
                self.counters.unanswered[reason] = self.counters.unanswered.get(reason, 0) + 1
                self.directory.ask_refresh()
                continue
            await self._publish(stream.decide(due, answer.probabilities, decided_us))

    async def _publish(self, decision: Decision) -> None:
        self.counters.decisions += 1
        self.counters.rejected += decision.label is None
        text = messages.DecisionMessage.encode(decision)
        await self._bus.publish(messages.decisions_subject(decision.user_id), text)
        if len(self._to_store) == MAX_WAITING_DECISIONS:
            self.counters.decisions_not_stored += 1
        self._to_store.append(decision)

    async def _store_for_ever(self) -> None:
        """Write decisions in batches; while the store is away they wait, the oldest go when the buffer is full."""
        failing = False
        while True:
            await asyncio.sleep(STORE_EVERY_S)
            self._forget_idle()
            batch = list(self._to_store)
            if not batch:
                continue
            try:
                await asyncio.to_thread(self._store, batch)
            except StoreError as exc:
                if not failing:
                    logger.warning("decisions wait to be stored: %s", exc)
                failing = True
                continue
            failing = False
            for decision in batch:
                if self._to_store and self._to_store[0] is decision:
                    self._to_store.popleft()

    def _store(self, batch: list[Decision]) -> None:
        with self._pool.transaction() as tx:
            decisions_store.insert_decisions(tx, batch)

    def _forget_idle(self) -> None:
        before = time.monotonic() - STREAM_IDLE_S
        for user_id in [user for user, seen in self._seen_at.items() if seen < before]:
            del self._streams[user_id], self._seen_at[user_id]

    def _count_bad(self, exc: WireError) -> None:
        self.counters.bad_messages += 1
        if self.counters.bad_messages.bit_count() == 1:
            logger.warning("message refused: %s", exc)
