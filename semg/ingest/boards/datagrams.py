"""Binary datagrams (v2): authenticate the board, reject replays, and assign them to profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.domain import MAX_CHANNELS, NEVER_SENT, Block, Device, HighWaterMark
from semg.ingest.boards.board_stream import BatchBoardStream, BoardStream, BoardStreamStates, Datagrams
from semg.ingest.boards.history import BoardHistory
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.streams.device_clock import ClockFit
from semg.ingest.streams.drop_codes import CODE, OK
from semg.ingest.streams.limits import Budgets
from semg.ingest.streams.sources import BatchResult
from semg.wire.udp import MAX_DATAGRAM_BYTES
from semg.wire.udp2 import (
    HEADER,
    HEADER_ROW,
    MAGIC,
    MAX_PERIOD_NS,
    MIN_PERIOD_NS,
    TAG_BYTES,
    DatagramV2,
    Key,
    decode_v2,
    signed,
)

FIRST_BYTE = MAGIC[0]
"""No valid text datagram begins with it."""

UNASSIGNED_RATE_HZ = 1000.0

CHECKED_OF_BOARD = 512
"""Tags of one board that are verified in a batch from limited addresses."""


@dataclass(frozen=True, slots=True)
class KnownBoard:
    """A registered board whose tags can be verified; ``last`` is its high-water mark before this start."""

    board_id: int
    user_id: int | None
    key: Key = field(repr=False)
    last: HighWaterMark = field(default=NEVER_SENT, compare=False)


class _Board:
    """State of a board: its history, its stream, and its index in the columns."""

    __slots__ = ("history", "index", "known", "stream")

    def __init__(self, known: KnownBoard) -> None:
        self.known = known
        self.index = 0
        self.history = BoardHistory(known.last)
        self.stream: BoardStream | None = None


class Boards:
    """All boards. Not safe to use from several threads.

    Parameters
    ----------
    wait_us
        How long to wait for a missing datagram, µs.
    counters
        Incremented here.
    emit
        Called with blocks when they are ready, in order.
    take_over
        Called with a profile before a board's stream begins for it: ends any other stream of the profile and returns
        its last segment's id (0 for none).
    """

    def __init__(
        self,
        wait_us: int,
        counters: Counters,
        emit: Callable[[BlockTable], None],
        take_over: Callable[[int], int],
    ) -> None:
        self._emit = emit
        self._wait_us = wait_us
        self._counters = counters
        self._take_over = take_over
        self._boards: dict[int, _Board] = {}
        self._known: dict[int, KnownBoard] = {}
        self._devices: dict[int, Device] = {}
        self._segment_ids: dict[int, int] = {}
        self._sending: dict[int, _Board] = {}
        self._marks: dict[int, HighWaterMark] = {}
        self._single: list[Block] = []
        self._columns = BatchBoardStream(0)
        self._make_columns()

    @property
    def holds(self) -> bool:
        """Whether datagrams wait for a missing one."""
        return any(board.stream is not None and board.stream.holds for board in self._sending.values())

    def clock_of(self, user_id: int) -> ClockFit | None:
        """Return the clock of a profile whose board sends, None for any other."""
        board = self._sending.get(user_id)
        return None if board is None or board.stream is None else board.stream.clock

    def set_devices(self, devices: dict[int, Device]) -> None:
        """Apply the registry's devices by profile. A changed device starts a run.

        The stream of a device that was removed, or whose person withdrew consent, ends.
        """
        if devices == self._devices:
            return
        for user_id, board in list(self._sending.items()):
            device = devices.get(user_id)
            if device is None or not device.consented:
                self._end(board)
            elif device != self._devices.get(user_id) and board.stream is not None:
                self._pull(board)
                board.stream.break_run()
                self._emit_single()
        self._segment_ids = {user_id: last for user_id, last in self._segment_ids.items() if user_id in devices}
        self._devices = devices
        self._make_columns()

    def set_boards(self, boards: Iterable[KnownBoard]) -> None:
        """Apply the registry's boards, at most one per profile.

        Datagrams held for a profile that loses its board are still emitted for that profile.
        """
        known = {board.board_id: board for board in boards}
        if known == self._known:
            return
        for board_id, board in list(self._boards.items()):
            new = known.get(board_id)
            if new is None or new.user_id != board.known.user_id:
                self._refuse_before(board)
            if new is None:
                del self._boards[board_id]
                continue
            board.known = new
            if new.last.boot_id > board.history.boot_id:
                self._end(board)
                board.history.begin_boot(new.last.boot_id)
        for board_id, new in known.items():
            if board_id not in self._boards:
                self._boards[board_id] = _Board(new)
                self._marks[board_id] = new.last
        self._marks = {board_id: mark for board_id, mark in self._marks.items() if board_id in known}
        self._known = known
        self._make_columns()

    def push(self, batch: DatagramBatch, now_us: int) -> BatchResult:
        """Verify and process datagrams, and return the result of the batch."""
        n = len(batch)
        heads = np.ascontiguousarray(batch.data[:, : HEADER.size]).view(HEADER_ROW)[:, 0]
        result = BatchResult(
            codes=np.zeros(n, np.int8),
            readable=np.zeros(n, bool),
            user_ids=np.full(n, -1, np.int64),
            board_ids=np.full(n, -1, np.int64),
            device_ms=np.zeros(n, np.int64),
            samples=np.ones(n, np.int64),
            widths=heads["channels"].astype(np.int64),
            values=lambda index: _last_sample(batch, heads, index),
            battery=heads["battery"],
            lead_off=heads["lead_off"],
        )
        codes = result.codes
        board_indices = self._verify(batch, heads, codes)
        good = np.flatnonzero(codes == OK)
        if not len(good):
            return result
        result.readable[good] = True
        result.user_ids[good] = self._owners[board_indices[good]]
        result.board_ids[good] = heads["board_id"][good]
        result.device_ms[good] = (heads["device_us"][good] // 1000).astype(np.int64)
        result.samples[good] = heads["samples"][good]
        admitted = self._budgets.admit(board_indices[good], result.samples[good], now_us)
        codes[good[~admitted]] = CODE["rate_limited"]
        good = good[admitted]
        if len(good):
            order = good[np.argsort(board_indices[good], kind="stable")]
            sorted_ = Datagrams(board_indices[order], heads[order], batch.data[order], batch.received_us[order])
            table, taken = self._columns.accept(sorted_)
            if len(table):
                self._counters.accepted += table.n_samples
                self._emit(table)
            self._push_alone(batch, board_indices, order[~taken], codes)
        return result

    def worth_verifying(self, batch: DatagramBatch, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of some datagrams look like a known board's, bool ``(n,)``.

        At most ``CHECKED_OF_BOARD`` of each: a copied head looks so, too.
        """
        found = np.zeros(len(batch), bool)
        if len(self._ids) == 0:
            return found
        some = np.flatnonzero(among & (batch.data[:, 0] == FIRST_BYTE) & (batch.sizes >= HEADER.size + TAG_BYTES))
        heads = np.ascontiguousarray(batch.data[some, : HEADER.size]).view(HEADER_ROW)[:, 0]
        indices = np.minimum(np.searchsorted(self._ids, heads["board_id"]), len(self._ids) - 1)
        sizes = HEADER.size + 2 * heads["samples"].astype(np.int64) * heads["channels"] + TAG_BYTES
        looks = (heads["magic"] == _MAGIC) & (batch.sizes[some] == sizes)
        chosen = np.flatnonzero(looks & (self._ids[indices] == heads["board_id"]))
        order = chosen[np.argsort(indices[chosen], kind="stable")]
        within = np.arange(len(order)) - np.searchsorted(indices[order], indices[order])
        found[some[order[within < CHECKED_OF_BOARD]]] = True
        return found

    def release(self, now_us: int, *, everything: bool = False) -> None:
        """Stop waiting for missing datagrams whose wait has expired (``everything``: for all)."""
        for board in self._sending.values():
            if board.stream is not None and board.stream.holds:
                board.stream.release(now_us, everything=everything)
                self._emit_single()
                self._follow(board)

    def leave(self, user_id: int) -> int:
        """End the stream of a profile and return its last segment's id (0 for none)."""
        board = self._sending.get(user_id)
        if board is not None:
            self._end(board)
        return self._segment_ids.get(user_id, 0)

    def take_marks(self) -> dict[int, HighWaterMark]:
        """Return the high-water marks of the boards that have sent since the last call, for the database."""
        changed = {}
        for board_id, board in self._boards.items():
            history = board.history
            mark = HighWaterMark(history.boot_id, max(history.newest_us, self._columns.newest_us(board.index)))
            if mark != self._marks.get(board_id):
                changed[board_id] = mark
        self._marks |= changed
        return changed

    def give_back_marks(self, marks: Iterable[int]) -> None:
        """Return the marks of these boards again at the next ``take_marks``: they could not be written."""
        for board_id in marks:
            self._marks.pop(board_id, None)

    def _make_columns(self) -> None:
        """Rebuild the columns and track the eligible streams in them."""
        boards = [self._boards[board_id] for board_id in sorted(self._boards)]
        for board in boards:
            self._pull(board)
        self._ids = np.array(sorted(self._boards), np.uint64)
        self._owners = np.array([-1 if b.known.user_id is None else b.known.user_id for b in boards], np.int64)
        owners = [self._devices.get(owner) for owner in self._owners.tolist()]
        self._budgets = Budgets([UNASSIGNED_RATE_HZ if owner is None else owner.rate_hz for owner in owners])
        self._columns = BatchBoardStream(len(boards))
        for index, board in enumerate(boards):
            board.index = index
            self._follow(board)

    def _verify(self, batch: DatagramBatch, heads: NDArray[np.void], codes: NDArray[np.int8]) -> NDArray[np.int64]:
        """Set ``codes`` of unauthentic or malformed datagrams, and return the index of each datagram's board."""
        sizes = batch.sizes
        if len(self._ids):
            board_indices = np.minimum(np.searchsorted(self._ids, heads["board_id"]), len(self._ids) - 1)
            codes[self._ids[board_indices] != heads["board_id"]] = CODE["unknown_board"]
        else:
            board_indices = np.zeros(len(heads), np.int64)
            codes[:] = CODE["unknown_board"]
        codes[heads["magic"] != _MAGIC] = CODE["v2_magic"]
        codes[sizes < HEADER.size + TAG_BYTES] = CODE["v2_size"]
        codes[sizes > MAX_DATAGRAM_BYTES] = CODE["too_long"]
        claimed = np.flatnonzero(codes == OK)
        if not len(claimed):
            return board_indices
        flat, width = batch.data.reshape(-1).data, batch.data.shape[1]
        starts = claimed * width
        ends = (starts + sizes[claimed]).tolist()
        board_keys = [self._boards[board_id].known.key for board_id in self._ids.tolist()]
        keys = [board_keys[index] for index in board_indices[claimed].tolist()]
        views = [flat[start:end] for start, end in zip(starts.tolist(), ends, strict=True)]
        codes[claimed] = np.where(signed(keys, views), OK, CODE["bad_tag"])
        period_ns, channels, samples = heads["period_ns"], heads["channels"], heads["samples"].astype(np.int64)
        strange = (period_ns < MIN_PERIOD_NS) | (period_ns > MAX_PERIOD_NS) | (heads["device_us"] >= 1 << 62)
        wrong = (channels < 1) | (channels > MAX_CHANNELS) | (samples < 1)
        wrong |= sizes != HEADER.size + 2 * samples * channels + TAG_BYTES
        codes[(codes == OK) & strange] = CODE["v2_range"]
        codes[(codes == OK) & wrong | (codes == CODE["v2_range"]) & wrong] = CODE["v2_size"]
        return board_indices

    def _push_alone(
        self,
        batch: DatagramBatch,
        board_indices: NDArray[np.int64],
        datagrams: NDArray[np.int64],
        codes: NDArray[np.int8],
    ) -> None:
        """Process datagrams one by one, those of each board in order of arrival."""
        touched = set()
        board_ids = self._ids.tolist()
        for index in datagrams.tolist():
            board = self._boards[board_ids[board_indices[index]]]
            if board not in touched:
                touched.add(board)
                self._pull(board)
            refused = self._take(board, decode_v2(batch.datagram(index)), int(batch.received_us[index]))
            codes[index] = CODE[refused] if refused else OK
        self._emit_single()
        for board in touched:
            self._follow(board)

    def _take(self, board: _Board, datagram: DatagramV2, received_us: int) -> str:
        """Process a datagram; return its drop code, or an empty string if it is accepted."""
        if datagram.boot_id > board.history.boot_id:
            self._end(board)
        number, refused = board.history.number(datagram)
        return refused or self._pass_on(board, number, datagram, received_us)

    def _pass_on(self, board: _Board, number: int, datagram: DatagramV2, received_us: int) -> str:
        n_samples, n_channels = datagram.samples.shape
        user_id = board.known.user_id
        device = None if user_id is None else self._devices.get(user_id)
        if device is None or not device.consented or device.n_channels != n_channels:
            self._refuse_before(board)
            if device is None:
                return "unassigned_board"
            return "channel_count" if device.consented else "no_consent"
        if board.stream is None:
            board.stream = self._begin_stream(board, device.user_id)
        board.stream.push(number, datagram, received_us)
        self._counters.accepted += n_samples
        return ""

    def _begin_stream(self, board: _Board, user_id: int) -> BoardStream:
        self._segment_ids[user_id] = max(self._take_over(user_id), self._segment_ids.get(user_id, 0))
        self._sending[user_id] = board
        return BoardStream(user_id, self._wait_us, self._counters, self._segment_ids, self._single.append)

    def _follow(self, board: _Board) -> None:
        """Track a board's stream in the columns if only its next datagram is expected."""
        stream, newest = board.stream, board.history.newest
        stream_state = None if stream is None else stream.stream_state
        if stream is None or newest is None or stream_state is None or stream_state[0] != newest + 1:
            return
        number, segment_id, last_us, clock = stream_state
        channels = self._devices[stream.user_id].n_channels
        self._columns.clocks.put(board.index, clock)
        self._columns.put(
            board.index,
            BoardStreamStates(
                user_id=stream.user_id,
                boot_id=board.history.boot_id,
                next_sequence=number,
                channels=channels,
                segment_id=segment_id,
                last_us=last_us,
            ),
        )

    def _pull(self, board: _Board) -> None:
        """Move a board's stream out of the columns, after the datagrams that were accepted there."""
        if board.stream is None:
            return
        board.history.newest_us = max(board.history.newest_us, self._columns.newest_us(board.index))
        progress = self._columns.pull(board.index)
        if progress is not None:
            n, last_us = progress
            board.history.skip(n)
            board.stream.resume(n, last_us)

    def _emit_single(self) -> None:
        """Emit the blocks of streams that are processed singly."""
        if self._single:
            self._emit(BlockTable.from_blocks(self._single))
            self._single.clear()

    def _refuse_before(self, board: _Board) -> None:
        """End a board's stream, and refuse from now on what was sent before."""
        self._end(board)
        board.history.refuse_before()

    def _end(self, board: _Board) -> None:
        """End a board's stream and emit what it holds."""
        self._pull(board)
        stream, board.stream = board.stream, None
        if stream is not None:
            stream.release(0, everything=True)
            self._emit_single()
            del self._sending[stream.user_id]


_MAGIC = np.void(MAGIC)


def _last_sample(batch: DatagramBatch, heads: NDArray[np.void], index: int) -> tuple[float, ...]:
    """Return the last sample of a readable datagram."""
    channels, samples = int(heads["channels"][index]), int(heads["samples"][index])
    end = HEADER.size + 2 * channels * samples
    return tuple(batch.data[index, end - 2 * channels : end].view("<i2").astype(float).tolist())
