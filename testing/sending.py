"""Sends the samples of simulated devices in real time, on one absolute schedule."""

from __future__ import annotations

import heapq
import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.errors import SemgError
from semg.simulation.sample_sources import Chunk, Encoder, Network, Source, encode_text
from semg.simulation.sender import Sender, open_socket

SLICE_SAMPLES = 32
"""Samples of a user that are encoded at a time: about 0.2 ms, for which the other users' datagrams may wait."""

SLICE_BLOCKS = 4
"""Blocks of a board that are encoded at a time; also how far a datagram's reordering can see."""

LOOKAHEAD_S = 0.5
SHORTEST_SLEEP_S = 0.0005
LONGEST_SLEEP_S = 0.05
LATENESS_STEP_S = 1e-5
HEAR_AFTER_S = 5.0
"""udpserver tells what it hears every two seconds."""


@dataclass(slots=True)
class Tally:
    """What a sender did. Lateness is the time from a datagram's due moment to its sending."""

    sent: int = 0
    dropped_on_purpose: int = 0
    seconds: float = 0.0
    late_counts: list[int] = field(default_factory=lambda: [0] * 10_001)
    late_max_s: float = 0.0

    def count(self, late_s: float) -> None:
        """Count a datagram that was just sent."""
        self.sent += 1
        self.late_counts[min(int(late_s / LATENESS_STEP_S), 10_000)] += 1
        self.late_max_s = max(self.late_max_s, late_s)

    def late_ms(self, quantile: float) -> float:
        """Return a quantile of the lateness, to 10 µs; the last class holds everything from 100 ms."""
        wanted = quantile * self.sent
        cumulated = itertools.accumulate(self.late_counts)
        position = next((i for i, total in enumerate(cumulated) if total >= wanted), 0)
        return round(position * LATENESS_STEP_S * 1000, 2)

    def as_json(self, senders: Sequence[int], named: str = "users") -> dict[str, Any]:
        """Return the summary that the simulators print; ``rate`` is datagrams per second of all senders together."""
        return {
            named: list(senders),
            "sent": self.sent,
            "dropped_on_purpose": self.dropped_on_purpose,
            "seconds": round(self.seconds, 3),
            "rate": round(self.sent / self.seconds, 2) if self.seconds > 0 else 0.0,
            "late_ms": {
                "p50": self.late_ms(0.5),
                "p99": self.late_ms(0.99),
                "max": round(self.late_max_s * 1000, 2),
            },
        }


@dataclass(frozen=True, slots=True)
class _Slice:
    """Datagrams of one device with the moments when they leave, and the undelayed moment of the last sample."""

    due_s: list[float]
    datagrams: list[bytes]
    lost: int
    last_s: float


class _Feed:
    """One device's datagrams, a few at a time."""

    def __init__(
        self,
        user_id: int,
        source: Source,
        network: Network,
        encode: Encoder,
        until_s: float,
        shift_s: float,
        in_blocks: bool,
    ) -> None:
        self.user_id, self.shift_s, self.until_s, self.in_blocks = user_id, shift_s, until_s, in_blocks
        self._source, self._network, self._encode = source, network, encode
        self._rng = np.random.default_rng([network.seed, user_id])
        self._chunk = Chunk(np.empty(0), np.empty(0, np.int64), np.empty((0, 1)))
        self._at = 0

    def next_slice(self) -> _Slice | None:
        """Return the next samples, or None when the source or its time has ended."""
        if self.in_blocks:
            return self._next_blocks()
        while self._at >= len(self._chunk.device_ms):
            chunk = next(self._source, None)
            if chunk is None:
                return None
            self._chunk, self._at = chunk, 0
        part = slice(self._at, self._at + SLICE_SAMPLES)
        count = int(np.searchsorted(self._chunk.offset_s[part], self.until_s))
        if count == 0:
            return None
        part = slice(self._at, self._at + count)
        self._at = part.stop
        chunk = Chunk(self._chunk.offset_s[part], self._chunk.device_ms[part], self._chunk.samples[part])
        return self._through_network(chunk.offset_s, self._encode(self.user_id, chunk))

    def _next_blocks(self) -> _Slice | None:
        """Return the next datagrams of a block each; a block leaves when its last sample has been taken."""
        offset_s: list[float] = []
        datagrams: list[bytes] = []
        for chunk in itertools.islice(self._source, SLICE_BLOCKS):
            count = int(np.searchsorted(chunk.offset_s, self.until_s))
            if count == 0:
                break
            part = replace(
                chunk,
                offset_s=chunk.offset_s[:count],
                device_ms=chunk.device_ms[:count],
                samples=chunk.samples[:count],
            )
            datagrams += self._encode(self.user_id, part)
            offset_s.append(float(part.offset_s[-1]))
        return self._through_network(np.array(offset_s), datagrams) if datagrams else None

    def _through_network(self, offset_s: NDArray[np.float64], encoded: list[bytes]) -> _Slice:
        # Three numbers a datagram whatever is switched on: a seed loses the same ones at any jitter.
        chance = self._rng.random((len(offset_s), 3))
        due_s = offset_s + self.shift_s + chance[:, 0] * (self._network.jitter_ms / 1000.0)
        swap = (chance[:-1, 1] < self._network.reorder).tolist()
        for index in itertools.compress(range(len(swap)), swap):
            due_s[[index, index + 1]] = due_s[[index + 1, index]]
        kept = chance[:, 2] >= self._network.loss
        datagrams = list(itertools.compress(encoded, kept.tolist()))
        lost = int(np.count_nonzero(~kept))
        return _Slice(due_s[kept].tolist(), datagrams, lost, float(offset_s[-1]) + self.shift_s)


class _Schedule:
    """The datagrams of all devices in the order in which they leave."""

    def __init__(self, feeds: Sequence[_Feed]) -> None:
        self.lost = 0
        self._feeds = feeds
        self._pending: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        # When each feed must have been read again; the index makes equal moments comparable.
        self._horizons = [(feed.shift_s, index) for index, feed in enumerate(feeds)]
        for _ in feeds:
            self.read_feed()

    @property
    def next_due_s(self) -> float:
        """When the next datagram leaves."""
        return self._pending[0][0] if self._pending else np.inf

    @property
    def next_horizon_s(self) -> float:
        """When a feed must have been read."""
        return self._horizons[0][0] if self._horizons else np.inf

    def read_feed(self) -> None:
        """Take the next slice of the feed that needs it first."""
        index = self._horizons[0][1]
        got = self._feeds[index].next_slice()
        if got is None:
            heapq.heappop(self._horizons)
            return
        heapq.heapreplace(self._horizons, (got.last_s, index))
        self.lost += got.lost
        for due_s, datagram in zip(got.due_s, got.datagrams, strict=True):
            heapq.heappush(self._pending, (due_s, next(self._order), datagram))

    def pop(self) -> tuple[float, bytes]:
        """Take the next datagram and its moment."""
        due_s, _, datagram = heapq.heappop(self._pending)
        return due_s, datagram


def stream(
    sources: Mapping[int, Source],
    send: Callable[[bytes], Any],
    *,
    network: Network | None = None,
    encode: Encoder = encode_text,
    in_blocks: bool = False,
    seconds: float | None = None,
    spread_s: float = 0.0,
    lookahead_s: float = LOOKAHEAD_S,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> Tally:
    """Send the sources' samples in real time until they end, ``seconds`` have been sent, or ``stop`` says so.

    Every datagram has its moment on one absolute schedule: no drift, and after a stall exactly what has become due
    is sent at once.

    Parameters
    ----------
    sources
        Per userid its samples, times in seconds from the start.
    send
        Sends one datagram.
    encode
        Gives the datagrams of a user's chunk: one a sample, or with ``in_blocks`` exactly one for the chunk.
    in_blocks
        Each chunk of a source is one datagram, which leaves when its last sample is due.
    seconds
        Samples from then on are not sent.
    spread_s
        The users' starts are spread evenly over this time: devices do not sample at the same instant.
    lookahead_s
        How long before they are due samples are asked for.
    stop
        Asked at least every 50 ms.
    clock, sleep
        Seconds of a monotonic clock, and how to wait.

    Returns
    -------
    Tally
        Counts of all users together.
    """
    network = network or Network()
    until_s = np.inf if seconds is None else seconds
    step_s = spread_s / max(1, len(sources))
    schedule = _Schedule(
        [
            _Feed(user_id, source, network, encode, until_s, index * step_s, in_blocks)
            for index, (user_id, source) in enumerate(sources.items())
        ]
    )
    tally = Tally()
    started = clock()
    while not stop() and min(schedule.next_due_s, schedule.next_horizon_s) < np.inf:
        now_s = clock() - started
        while schedule.next_horizon_s <= now_s:
            schedule.read_feed()
        while schedule.next_due_s <= now_s:
            due_s, datagram = schedule.pop()
            send(datagram)
            tally.count(clock() - started - due_s)
        if schedule.next_horizon_s - lookahead_s <= now_s:
            schedule.read_feed()
            continue
        wait_s = min(schedule.next_due_s, schedule.next_horizon_s - lookahead_s) - (clock() - started)
        if 0 < wait_s < np.inf:
            sleep(min(max(wait_s, SHORTEST_SLEEP_S), LONGEST_SLEEP_S))
    tally.seconds = clock() - started
    tally.dropped_on_purpose = schedule.lost
    return tally


def run_command_line(
    program: str,
    make_sources: Callable[[], Mapping[int, Source]],
    host: str,
    port: int,
    *,
    named: str = "users",
    hear: Callable[[int], str] = lambda port: "",
    **options: Any,
) -> int:
    """Stream until the end, Ctrl-C or SIGTERM; print the summary as one line of JSON and return the exit status.

    Where is sent, and for whom, stands on standard error, and after some seconds what ``hear`` says of the port that is
    sent from, or that nobody listens.

    ``named`` is what the summary calls the senders; ``options`` go to ``stream``.
    What cannot be done is one sentence on standard error and status 2.
    """
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopped.append(received))
    try:
        send = open_socket(host, port)
        sources = make_sources()
        whose = ", ".join(map(str, list(sources)[:5])) + (" …" if len(sources) > 5 else "")
        said = f"{program}: sending to {host}:{port} for {named}: {whose}; press Ctrl-C to stop"
        print(said, file=sys.stderr, flush=True)
        listening = threading.Timer(HEAR_AFTER_S, _tell, (program, send, hear))
        listening.daemon = True
        listening.start()
        try:
            tally = stream(sources, send, stop=lambda: bool(stopped), **options)
        finally:
            listening.cancel()
            listening.join()
            send.socket.close()
    except (SemgError, ValueError) as exc:
        print(f"{program}: {' '.join(str(exc).split())}", file=sys.stderr)
        return 2
    print(json.dumps(tally.as_json(list(sources), named)))
    return 0


def _tell(program: str, send: Sender, hear: Callable[[int], str]) -> None:
    """Say on standard error when nobody listens, or when what is sent is refused."""
    if send.refused:
        said = (
            f"nothing is listening at {send.named}: start the platform (./start_all.sh), or correct --host and --port"
        )
    else:
        said = hear(send.port)
    if said:
        print(f"{program}: {said}", file=sys.stderr, flush=True)
