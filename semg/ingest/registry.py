"""Which profiles, boards and assigned text senders may send, kept in step with the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg

from semg.board_types import Board
from semg.domain import Device, HighWaterMark
from semg.errors import SettingsError, WireError
from semg.ingest.boards.datagrams import Boards, KnownBoard
from semg.process.attempts import LOCK_S, Attempts
from semg.security.board_keys import decrypt_key
from semg.security.keys import Secret
from semg.store import boards as boards_store
from semg.store import profiles
from semg.store import senders as senders_store
from semg.store.pool import Pool
from semg.wire.messages import PROFILES_SUBJECT
from semg.wire.udp2 import Key

logger = logging.getLogger(__name__)

REFRESH_S = 1.0


class Registry:
    """Reads devices, boards and assigned senders every second, and at once when the bus announces a change.

    The boards' high-water marks are written first. While PostgreSQL is unreachable the last registry stays in use.

    Parameters
    ----------
    apply
        Called in the event loop with the devices, the boards that have a key, and the profile of each assigned
        number, whenever they were read.
    boards
        Provides their high-water marks.
    keys
        The installation's keys, with which the boards' keys are encrypted.
    """

    def __init__(
        self,
        pool: Pool,
        apply: Callable[[list[Device], list[KnownBoard], dict[int, int]], None],
        boards: Boards,
        keys: Secret,
    ) -> None:
        self._pool = pool.waiting_at_most(LOCK_S)
        self._apply = apply
        self._boards = boards
        self._secret = keys
        self._keys: dict[int, tuple[bytes, Key | None]] = {}
        self._hint = asyncio.Event()
        self._attempts = Attempts(logger, "registry: the last one stays")
        self.loaded = asyncio.Event()

    async def subscribe(self, client: Client) -> None:
        """Listen to ``semg.profiles``."""

        async def on_change(_: Msg) -> None:
            self._hint.set()

        await client.subscribe(PROFILES_SUBJECT, cb=on_change)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            self._hint.clear()
            await self._attempt("marks", self.write_marks)
            await self._attempt("registry", self._refresh)
            try:
                await asyncio.wait_for(self._hint.wait(), REFRESH_S)
            except TimeoutError:
                continue

    async def _attempt(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do one part of a round: whatever goes wrong, the last registry stays, and the other part is done."""
        try:
            await work()
        except Exception as exc:  # edge of a round
            self._attempts.note(what, exc)
        else:
            self._attempts.works(what)

    async def _refresh(self) -> None:
        self._apply(*await asyncio.to_thread(self._read))
        self.loaded.set()

    async def write_marks(self) -> None:
        """Write what was seen last of each board, so that a restarted server takes only what is newer.

        Raises
        ------
        StoreError
            PostgreSQL does not take them; the next call tries again.
        """
        marks = self._boards.take_marks()
        if not marks:
            return
        try:
            await asyncio.to_thread(self._write, marks)
        except BaseException:
            self._boards.give_back_marks(marks)
            raise

    def _write(self, marks: dict[int, HighWaterMark]) -> None:
        with self._pool.transaction() as tx:
            boards_store.remember_marks(tx, marks)

    def _read(self) -> tuple[list[Device], list[KnownBoard], dict[int, int]]:
        with self._pool.transaction() as tx:
            devices, found = profiles.list_devices(tx), boards_store.list_boards(tx)
            assigned = senders_store.list_senders(tx)
        self._keys = {board.board_id: self._key(board) for board in found if board.key_encrypted is not None}
        known = []
        for board in found:
            _, key = self._keys.get(board.board_id, (b"", None))
            if key is not None:
                known.append(KnownBoard(board.board_id, board.user_id, key, board.last))
        return devices, known, assigned

    def _key(self, board: Board) -> tuple[bytes, Key | None]:
        """Return a board's stored key and the key itself, decrypted when it is new; None when it cannot be read."""
        stored = board.key_encrypted or b""
        cached = self._keys.get(board.board_id)
        if cached is not None and cached[0] == stored:
            return cached
        try:
            return stored, Key(decrypt_key(self._secret, board.board_id, stored))
        except (SettingsError, WireError) as exc:
            logger.error("registry: the board is refused: %s", exc)
            return stored, None
