"""Who sends now, why it is refused where it is, and for whom it shall be stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semg.board_types import Board
from semg.domain import Profile
from semg.ingest.stream_health import StreamHealth, refusal
from semg.store import boards, profiles, senders
from semg.store.audit import record
from semg.store.pool import Transaction
from semg.words import counted
from ui import audit_view, errors, times
from ui.boards import let_send
from ui.page import flash
from ui.runtime import App
from ui.stream_state import show_fix, show_health, word
from ui.tables import show_table
from ui.text import line, md

NOBODY = "nobody"
ASSIGNABLE = 5
"""So many senders at once can be assigned here; a flood of forged numbers must not fill the page."""
NOW_S = 3.0
_NUMBER = re.compile(r"[^0-9]{0,24}([0-9]{1,18})")
CLOCK_HELP = (
    "How far the samples' server times may be off, beyond the network's minimum delay; and how much faster "
    "this machine's clock runs than the device's."
)


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a sender may belong to."""

    people: Mapping[int, Profile]
    boards: Mapping[int, Board]
    assigned: Mapping[int, int]
    hidden: frozenset[int] = frozenset()
    """Profiles that who is logged in may not see."""
    may_assign: bool = True
    """Whether who is logged in works with senders that are nobody's yet; a viewer does not see them."""

    def is_hidden(self, source: Mapping[str, Any]) -> bool:
        """Return whether a sender is not for who is logged in to see.

        That is one of a profile that is not, also by the number at the beginning of a text that cannot be read; and for
        a viewer, one that is nobody's or cannot be read.
        """
        number, said = source.get("user_id"), str(source.get("said") or "")
        if source.get("board_id") is not None:
            board = self.boards.get(source["board_id"])
            number = None if board is None else board.belongs_to
        if self._is_of_hidden(number) or self._is_of_hidden(number_in(said)):
            return True
        return not self.may_assign and (bool(said) or (self.owner(source) or self.set_aside_for(source)) is None)

    def _is_of_hidden(self, number: int | None) -> bool:
        return number in self.hidden or (number is not None and self.assigned.get(number) in self.hidden)

    def owner(self, source: Mapping[str, Any]) -> Profile | None:
        """Return the profile that a sender's samples are stored for, or would be if they were accepted."""
        number = source.get("user_id")
        if source.get("board_id") is not None:
            board = self.boards.get(source["board_id"])
            number = None if board is None else board.user_id
        elif number is not None and number not in self.people:
            number = self.assigned.get(number)
        return None if number is None else self.people.get(number)

    def set_aside_for(self, source: Mapping[str, Any]) -> Profile | None:
        """Return the profile whose board this is, where a simulated arm sends in its place; None for all others."""
        board = self.boards.get(source.get("board_id", -1))
        return None if board is None or board.set_aside_for is None else self.people.get(board.set_aside_for)

    def says(self, source: Mapping[str, Any]) -> str:
        """Return what a sender calls itself."""
        if source.get("board_id") is not None:
            board = self.boards.get(source["board_id"])
            if board is None:
                return f"board {source['board_id']}"
            return board.name if board.name.lower().startswith("board ") else f"board {board.name}"
        return "—" if source.get("user_id") is None else f"number {source['user_id']}"


def read_known(app: App, tx: Transaction) -> Known:
    """Return the profiles that who is logged in may see, the boards and the assigned numbers."""
    people = {one.user_id: one for one in app.people(tx)}
    return Known(
        people,
        {one.board_id: one for one in boards.list_boards(tx)},
        senders.list_senders(tx),
        frozenset(one.user_id for one in profiles.list_devices(tx)) - people.keys(),
        may_assign=app.may_work,
    )


def number_in(said: str) -> int | None:
    """Return the number at the beginning of a text that cannot be read, which may be a profile's; None for none."""
    found = _NUMBER.match(said)
    return None if found is None else int(found[1])


def show_sources(
    app: App, sources: Sequence[Mapping[str, Any]], known: Known, health: Mapping[int, StreamHealth]
) -> None:
    """Show every address that sends, why it is refused where it is, and fields to assign what is nobody's."""
    sources = [source for source in sources if not known.is_hidden(source)]
    if not sources:
        st.info(
            md(
                "No device is connected. Devices send to UDP port {port} of this machine. The page Connect has the "
                "finished sketch for a board, and ways to try it without one.",
                port=app.settings.udp_port,
            )
        )
    else:
        rows = [row_of(source, known, health) for source in sources]
        show_table("Connected devices", rows)
        if any(row["Clock"] for row in rows):
            st.caption(md("Clock: {help}", help=CLOCK_HELP))
    show_unreadable(sources, known)
    for user_id in dict.fromkeys(owner.user_id for owner in map(known.owner, sources) if owner is not None):
        judged = health.get(user_id)
        if judged is not None and judged.level in ("fair", "bad"):
            show_health(judged)
            if judged.fix is not None:
                show_fix(app, known.people[user_id], judged.fix, "fix-overview")
    if app.may_work:
        for source in assignable(sources, known):
            assign(app, source, known)
        _assigned(app, known)


def show_unreadable(sources: Sequence[Mapping[str, Any]], known: Known) -> None:
    """Show what arrived from senders whose text cannot be read, and a line that would be right."""
    for source in [source for source in sources if source.get("said")][:ASSIGNABLE]:
        people = sorted(known.people.values(), key=lambda one: (one.user_id != source.get("user_id"), one.name))
        example = example_line(people[0]) if people else "21,1000,512,498"
        st.warning(
            md(
                "{address} sends data that cannot be read: {why}. It sent “{said}”. A correct line{whose} is "
                "“{example}”: profile number, time in milliseconds, one value per channel.",
                address=source.get("address", ""),
                why=refusal(str(source.get("state", ""))),
                said=source["said"],
                example=example,
                whose=line(" for {name}", name=people[0].name) if people else "",
            ),
            icon=":material/help:",
        )


def example_line(profile: Profile) -> str:
    """Return a text datagram that a profile would accept."""
    middle = round((profile.device.adc_min + profile.device.adc_max) / 2)
    return ",".join(map(str, (profile.user_id, 1000, *[middle] * profile.device.n_channels)))


def row_of(source: Mapping[str, Any], known: Known, health: Mapping[int, StreamHealth]) -> dict[str, Any]:
    """Return a sender as a row of the table. One that is accepted is as good as its profile's stream."""
    owner, set_aside_for = known.owner(source), known.set_aside_for(source)
    rate_hz, state = float(source.get("rate_hz", 0)), str(source.get("state", ""))
    expected = "" if owner is None else f" of {owner.device.rate_hz:g}"
    age_s = float(source.get("age_s", 0))
    judged = None if owner is None or state != "ok" else health.get(owner.user_id)
    if set_aside_for is not None:
        owner, said = set_aside_for, "■ set aside: a simulated arm sends in its place"
    elif state != "ok":
        said = f"■ {refusal(state)}"
    else:
        said = "● accepted" if judged is None or judged.level == "silent" else word(judged)
    return {
        "Address": source.get("address", ""),
        "Identifies as": known.says(source),
        "Profile": "—" if owner is None else owner.name,
        "State": said,
        "Samples/s": f"{rate_hz:.0f}{expected}",
        "Channels": source.get("channels", 0),
        "Last values": ", ".join(f"{value:g}" for value in source.get("values", [])),
        "Clock": _clock(source),
        "Stream": "" if judged is None else judged.figures,
        "Last seen": "now" if age_s < NOW_S else f"{times.length(age_s)} ago",
    }


def _clock(source: Mapping[str, Any]) -> str:
    """Return how exact the times of a sender's samples are."""
    error_ms, drift_ppm = source.get("clock_error_ms"), source.get("clock_drift_ppm")
    if error_ms is None or drift_ppm is None:
        return ""
    return f"± {error_ms:.1f} ms, {round(drift_ppm):+d} ppm"


def assignable(sources: Sequence[Mapping[str, Any]], known: Known) -> list[Mapping[str, Any]]:
    """Return the senders that belong to nobody and can be assigned, each number once."""
    if not known.people:
        return []
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for source in sources:
        if known.set_aside_for(source) is not None:
            continue
        if source.get("state") == "unassigned_board" and source.get("board_id") is not None:
            found.setdefault(("board", source["board_id"]), source)
        elif source.get("state") == "unknown_profile" and source.get("user_id") is not None:
            found.setdefault(("number", source["user_id"]), source)
    return list(found.values())[:ASSIGNABLE]


def assign(app: App, source: Mapping[str, Any], known: Known, only: Profile | None = None) -> None:
    """Offer to let a sender of nobody's send for a profile, which is chosen here unless it is the only one meant."""
    board_id, number = source.get("board_id"), source.get("user_id")
    key = f"b{board_id}" if board_id is not None else f"n{number}"
    width = source.get("channels", 0)
    with st.container(border=True):
        text, whom, act = st.columns([2.2, 1.5, 1.2], vertical_alignment="center")
        text.markdown(
            md(
                ":material/sensors: **{name}** at {address} is not assigned to a profile; it sends {channels}.",
                name=known.says(source),
                address=source.get("address", ""),
                channels=counted(width, "channel"),
            )
        )
        user_id = _whom(whom, known, width, key) if only is None else only.user_id
        label = md("Assign to {name}", name=known.people[user_id].name)
        if act.button(label, key=f"assign-{key}-to-{user_id}", type="primary", width="stretch"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    if board_id is not None:
                        let_send(app, tx, board_id, user_id)
                    else:
                        assign_number(app, tx, int(number or 0), user_id)
                said, name = known.says(source), known.people[user_id].name
                flash(md("{said} now sends for {whom}", said=said[:1].upper() + said[1:], whom=name))
                st.rerun()


def _whom(where: DeltaGenerator, known: Known, width: int, key: str) -> int:
    """Let a profile be chosen; those whose device fits come first."""
    people = sorted(known.people.values(), key=lambda one: (one.device.n_channels != width, one.name))
    chosen: int = where.selectbox(
        "Assign to profile",
        [one.user_id for one in people],
        format_func=lambda one: _named(known.people[one], width),
        key=f"assign-to-{key}",
        label_visibility="collapsed",
    )
    return chosen


def assign_number(app: App, tx: Transaction, number: int, user_id: int) -> None:
    """Let text with a number be stored for a profile; both the old and the new one must be the viewer's to work with.

    Raises
    ------
    AccessError, NotFoundError
        They are not.
    """
    app.require(tx, user_id, "work")
    before = senders.lock_number(tx, number, user_id)
    app.require(tx, user_id, "work")
    if before is not None:  # assigned meanwhile
        app.require(tx, before, "work")
        record(tx, audit_view.actor(app), "sender.released", before, number=number)
    senders.assign_sender(tx, number, user_id)
    record(tx, audit_view.actor(app), "sender.assigned", user_id, number=number)


def _named(profile: Profile, width: int) -> str:
    n = profile.device.n_channels
    expects = "" if n == width else f" (expects {n} channel{'s' if n != 1 else ''})"
    return line("{name}{expects}", name=profile.name, expects=expects)


def _assigned(app: App, known: Known) -> None:
    """Show the numbers that were assigned, each with a way to release it."""
    assigned = {number: user_id for number, user_id in known.assigned.items() if user_id not in known.hidden}
    if not assigned:
        return
    with st.expander(md("Assigned numbers ({n})", n=len(assigned))):
        for number, user_id in assigned.items():
            text, act = st.columns([4, 1], vertical_alignment="center")
            owner = known.people.get(user_id)
            whose = owner.name if owner else NOBODY
            text.markdown(md("Text with number **{number}** is stored for **{whose}**.", number=number, whose=whose))
            if act.button("Unassign", key=f"release-{number}", width="stretch"):
                with errors.attempt():
                    with app.pool.transaction() as tx:
                        senders.lock_number(tx, number, user_id)
                        app.require(tx, user_id, "work")
                        if senders.release_sender(tx, number, user_id):
                            record(tx, audit_view.actor(app), "sender.released", user_id, number=number)
                    flash(md("Number {number} is now refused", number=number))
                    st.rerun()
