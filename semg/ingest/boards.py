"""Binary datagrams (v2): which board sent them, whether they are new, and for whom they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from semg.domain import Block, Device
from semg.errors import WireError
from semg.ingest.board_stream import BoardStream
from semg.ingest.counters import Counters, Source
from semg.wire.udp import MAX_DATAGRAM_BYTES
from semg.wire.udp2 import MAGIC, DatagramV2, Key, board_of, decode_v2

FIRST_BYTE = MAGIC[:1]
"""No text datagram that is any good begins with it."""

SEQUENCES = 1 << 32
REMEMBERED = 4096
"""So far behind the newest one, a sequence can still be told from one that was seen."""

_ALL = (1 << REMEMBERED) - 1


@dataclass(frozen=True, slots=True)
class KnownBoard:
    """A board whose tags can be verified, as the registry tells it."""

    board_id: int
    user_id: int | None
    key: Key = field(repr=False)
    last_boot_id: int


class SeenSequences:
    """The sequences of one boot that have been seen, as a bit for each of the last 4,096."""

    def __init__(self, sequence: int) -> None:
        self.newest = sequence
        self._bits = 1

    def number_of(self, sequence: int) -> int:
        """Give the number of a datagram in its boot, which does not wrap, from its sequence, which does."""
        half = SEQUENCES // 2
        return self.newest + (sequence - self.newest + half) % SEQUENCES - half

    def refusal(self, number: int) -> str:
        """Note a number; give the reason not to take it, or an empty text."""
        ahead = number - self.newest
        if ahead > 0:
            self._bits = (self._bits << ahead | 1) & _ALL if ahead < REMEMBERED else 1
            self.newest = number
            return ""
        if ahead <= -REMEMBERED:
            return "replayed"
        bit = 1 << -ahead
        if self._bits & bit:
            return "duplicate"
        self._bits |= bit
        return ""


class _Board:
    """What is remembered of a board: its boot, the boot's sequences, its stream.

    ``since`` is the first number that may be taken: what was sent before belongs to another profile, or came before
    this server started, which cannot tell whether it is new.
    """

    __slots__ = ("boot_id", "known", "seen", "since", "stream")

    def __init__(self, known: KnownBoard) -> None:
        self.known = known
        self.boot_id = known.last_boot_id
        self.seen: SeenSequences | None = None
        self.since: int | None = None
        self.stream: BoardStream | None = None


class Boards:
    """All boards. Not safe to use from several threads.

    Parameters
    ----------
    wait_us
        How long a missing datagram is waited for.
    counters
        Counted up here; a dropped datagram under its reason.
    emit
        Called with each block, in order.
    take_over
        Called with a profile before a board's stream begins for it: ends what else is under way for the profile,
        and gives its last segment's id (0 for none).
    """

    def __init__(
        self, wait_us: int, counters: Counters, emit: Callable[[Block], None], take_over: Callable[[int], int]
    ) -> None:
        self._wait_us = wait_us
        self._counters = counters
        self._emit = emit
        self._take_over = take_over
        self._boards: dict[int, _Board] = {}
        self._devices: dict[int, Device] = {}
        self._segment_ids: dict[int, int] = {}
        self._sending: dict[int, _Board] = {}
        self._boots: dict[int, int] = {}

    @property
    def holds(self) -> bool:
        """Whether datagrams wait for a missing one."""
        return any(board.stream is not None and board.stream.holds for board in self._sending.values())

    def set_devices(self, devices: dict[int, Device]) -> None:
        """Take over the registry's devices by profile. One that changed starts a run; one that is gone ends."""
        for user_id, board in list(self._sending.items()):
            device = devices.get(user_id)
            if device is None:
                self._end(board)
            elif device != self._devices.get(user_id) and board.stream is not None:
                board.stream.break_run()
        self._segment_ids = {user_id: last for user_id, last in self._segment_ids.items() if user_id in devices}
        self._devices = devices

    def set_boards(self, boards: Iterable[KnownBoard]) -> None:
        """Take over the registry's boards, at most one of a profile.

        What is held for a profile that loses its board is given to that profile.
        """
        known = {board.board_id: board for board in boards}
        for board_id, board in list(self._boards.items()):
            new = known.get(board_id)
            if new is None or new.user_id != board.known.user_id:
                self._refuse_before(board)
            if new is None:
                del self._boards[board_id]
                continue
            board.known = new
            if new.last_boot_id > board.boot_id:
                self._begin_boot(board, new.last_boot_id)
        for board_id, new in known.items():
            if board_id not in self._boards:
                self._boards[board_id] = _Board(new)

    def push(self, data: bytes, received_us: int, source: Source) -> None:
        """Take in a datagram at its moment of arrival."""
        try:
            refused = self._take(data, received_us, source)
        except WireError as exc:
            refused = exc.reason
        source.state = refused or "ok"
        if refused:
            self._counters.dropped[refused] += 1

    def release(self, now_us: int, *, everything: bool = False) -> None:
        """Stop waiting for missing datagrams whose time is over (``everything``: at once)."""
        for board in self._sending.values():
            if board.stream is not None and board.stream.holds:
                board.stream.release(now_us, everything=everything)

    def leave(self, user_id: int) -> int:
        """End the stream of a profile, and give its last segment's id (0 for none)."""
        board = self._sending.get(user_id)
        if board is not None:
            self._end(board)
        return self._segment_ids.get(user_id, 0)

    def take_boots(self) -> dict[int, int]:
        """Give the boots that began since the last call, by board, for whoever writes them to the database."""
        boots, self._boots = self._boots, {}
        return boots

    def give_back_boots(self, boots: dict[int, int]) -> None:
        """Keep boots that could not be written."""
        self._boots = boots | self._boots

    def _take(self, data: bytes, received_us: int, source: Source) -> str:
        """Verify and take a datagram; give the reason not to, or an empty text."""
        if len(data) > MAX_DATAGRAM_BYTES:
            return "too_long"
        board = self._boards.get(board_of(data))
        if not data.startswith(MAGIC):
            return "v2_magic"
        if board is None:
            return "unknown_board"
        if not board.known.key.signs(data):
            return "bad_tag"
        datagram = decode_v2(data)
        source.samples += len(datagram.samples) - 1
        source.user_id, source.device_ms = board.known.user_id, datagram.device_us // 1000
        source.values = tuple(datagram.samples[-1].tolist())
        number, refused = self._number(board, datagram)
        return refused or self._pass_on(board, number, datagram, received_us)

    def _number(self, board: _Board, datagram: DatagramV2) -> tuple[int, str]:
        """Give the datagram's number in its boot, and the reason not to take it, or an empty text."""
        if datagram.boot_id < board.boot_id:
            return 0, "replayed"
        if datagram.boot_id > board.boot_id:
            self._begin_boot(board, datagram.boot_id)
            self._boots[board.known.board_id] = datagram.boot_id
        elif board.seen is None:
            board.since = datagram.sequence
        seen = board.seen
        if seen is None:
            board.seen = SeenSequences(datagram.sequence)
            return datagram.sequence, ""
        number = seen.number_of(datagram.sequence)
        refused = seen.refusal(number)
        if not refused and board.since is not None and number < board.since:
            refused = "replayed"
        return number, refused

    def _pass_on(self, board: _Board, number: int, datagram: DatagramV2, received_us: int) -> str:
        n_samples, n_channels = datagram.samples.shape
        user_id = board.known.user_id
        device = None if user_id is None else self._devices.get(user_id)
        if device is None or device.n_channels != n_channels:
            self._refuse_before(board)
            return "unassigned_board" if device is None else "channel_count"
        if board.stream is None:
            board.stream = self._begin_stream(board, device.user_id)
        board.stream.push(number, datagram, received_us)
        self._counters.accepted += n_samples
        return ""

    def _begin_boot(self, board: _Board, boot_id: int) -> None:
        self._end(board)
        board.boot_id, board.seen, board.since = boot_id, None, None

    def _begin_stream(self, board: _Board, user_id: int) -> BoardStream:
        self._segment_ids[user_id] = max(self._take_over(user_id), self._segment_ids.get(user_id, 0))
        self._sending[user_id] = board
        return BoardStream(user_id, self._wait_us, self._counters, self._segment_ids, self._emit)

    def _refuse_before(self, board: _Board) -> None:
        """End a board's stream, and take nothing later that was sent before now."""
        self._end(board)
        if board.seen is not None:
            board.since = board.seen.newest + 1

    def _end(self, board: _Board) -> None:
        """End a board's stream: what it holds is emitted."""
        stream, board.stream = board.stream, None
        if stream is not None:
            stream.release(0, everything=True)
            del self._sending[stream.user_id]
