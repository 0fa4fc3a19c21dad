"""Ready-made gesture banks, name, description and phrase of each gesture, and how one is added to a person's."""

from __future__ import annotations

from semg.domain import Profile
from semg.store import gestures
from semg.store.audit import record
from semg.store.pool import Transaction
from ui import audit_view
from ui.runtime import App

BANKS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "First steps: three clear gestures": (
        ("fist", "Close the hand firmly.", ""),
        ("open hand", "Spread all fingers.", ""),
        ("wrist extension", "Bend the hand back, fingers loose.", ""),
    ),
    "Hand and wrist: six gestures": (
        ("fist", "Close the hand firmly.", ""),
        ("open hand", "Spread all fingers.", ""),
        ("wrist flexion", "Bend the hand towards the palm.", ""),
        ("wrist extension", "Bend the hand back, fingers loose.", ""),
        ("wrist left", "Tilt the hand to the left, palm down.", ""),
        ("wrist right", "Tilt the hand to the right, palm down.", ""),
    ),
    "Grips of a prosthesis": (
        ("power grip", "Close the hand around a glass.", ""),
        ("pinch", "Press the tips of thumb and index finger together.", ""),
        ("key grip", "Press the thumb against the side of the index finger.", ""),
        ("open hand", "Spread all fingers.", ""),
        ("point", "Stretch the index finger, close the others.", ""),
    ),
    "Single fingers": (
        ("thumb", "Bend the thumb into the palm.", ""),
        ("index finger", "Bend the index finger.", ""),
        ("middle finger", "Bend the middle finger.", ""),
        ("ring finger", "Bend the ring finger.", ""),
        ("little finger", "Bend the little finger.", ""),
    ),
    "To speak with: five phrases": (
        ("fist", "Close the hand firmly.", "Yes"),
        ("open hand", "Spread all fingers.", "No"),
        ("wrist extension", "Bend the hand back, fingers loose.", "I need help"),
        ("wrist flexion", "Bend the hand towards the palm.", "I am thirsty"),
        ("point", "Stretch the index finger, close the others.", "Thank you"),
    ),
}
FIRST = next(iter(BANKS))
"""The one that a person begins with."""


def begin(app: App, tx: Transaction, user_id: int) -> None:
    """Begin a change of a profile's bank: refuse who may not, and write it down."""
    app.require(tx, user_id, "work")
    record(tx, audit_view.actor(app), "gestures.changed", user_id)


def add_bank(app: App, profile: Profile, name: str) -> int:
    """Add a ready-made bank to a profile's; return how many gestures were new.

    Raises
    ------
    AccessError
        Who is logged in may not change the bank.
    """
    with app.pool.transaction() as tx:
        begin(app, tx, profile.user_id)
        there = {one.name for one in gestures.list_gestures(tx, profile.user_id)}
        missing = [one for one in BANKS[name] if one[0] not in there]
        for gesture, description, phrase in missing:
            gestures.insert_gesture(tx, profile.user_id, gesture, description, phrase)
    return len(missing)
