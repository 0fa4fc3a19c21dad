"""Boards that sign what they send."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from semg.domain import HighWaterMark


@dataclass(frozen=True, slots=True)
class Board:
    """A board that signs its datagrams with its own key; ``simulated``: that of a simulated arm.

    Attributes
    ----------
    user_id
        The profile that its samples are stored for; None while it is assigned to none, or is set aside.
    set_aside_for
        The profile whose simulated arm sends in its place: it is that profile's all the same.
    key_encrypted
        See ``semg.security.board_keys``; None when the key was revoked, or none was made yet.
    last
        What was seen of it: older datagrams are replays.
    """

    board_id: int
    name: str
    user_id: int | None
    key_encrypted: bytes | None = field(repr=False)
    last: HighWaterMark
    created_at: datetime
    key_made_at: datetime | None
    simulated: bool = False
    set_aside_for: int | None = None

    @property
    def belongs_to(self) -> int | None:
        """The profile whose board it is, whether it sends for it now or is set aside; None: nobody's."""
        return self.set_aside_for if self.user_id is None else self.user_id
