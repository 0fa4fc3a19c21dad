"""Ready-made gesture banks, and how one is added to a person's; their words stand in the catalogue of languages."""

from __future__ import annotations

from semg import languages
from semg.domain import GestureKind, Profile
from semg.store import gestures
from semg.store.audit import record
from semg.store.pool import Transaction
from ui import audit_view
from ui.runtime import App

BANKS: dict[str, dict[str, str]] = {
    "First steps: three clear gestures": {"fist": "", "open hand": "", "wrist extension": ""},
    "Hand and wrist: six gestures": {
        "fist": "",
        "open hand": "",
        "wrist flexion": "",
        "wrist extension": "",
        "wrist left": "",
        "wrist right": "",
    },
    "Grips of a prosthesis": {"power grip": "", "pinch": "", "key grip": "", "open hand": "", "point": ""},
    "Single fingers": {"thumb": "", "index finger": "", "middle finger": "", "ring finger": "", "little finger": ""},
    "Short gestures: three performed once": {"snap": "", "double tap": "", "flick": ""},
    "To speak with: five phrases": {
        "fist": "yes",
        "open hand": "no",
        "wrist extension": "help",
        "wrist flexion": "thirsty",
        "point": "thanks",
    },
}
"""The stored names of each bank's gestures, and which sentence of the catalogue's room ``phrases`` each says."""
DYNAMIC = frozenset({"snap", "double tap", "flick"})
"""Those that are performed once and recognised as a whole; all others are held."""
FIRST = next(iter(BANKS))
"""The one that a person begins with."""


def begin(app: App, tx: Transaction, user_id: int) -> None:
    """Begin a change of a profile's bank: refuse who may not, and write it down."""
    app.require(tx, user_id, "work")
    record(tx, audit_view.actor(app), "gestures.changed", user_id)


def add_bank(app: App, profile: Profile, name: str) -> int:
    """Add a ready-made bank to a profile's; return how many gestures were new.

    Names and descriptions are stored in English, and shown in the person's language; phrases are stored in it.

    Raises
    ------
    AccessError
        Who is logged in may not change the bank.
    """
    with app.pool.transaction() as tx:
        begin(app, tx, profile.user_id)
        there = {one.name for one in gestures.list_gestures(tx, profile.user_id)}
        missing = {gesture: phrase for gesture, phrase in BANKS[name].items() if gesture not in there}
        for gesture, phrase in missing.items():
            says = languages.sentence(profile.language, f"phrases.{phrase}") if phrase else ""
            kind: GestureKind = "dynamic" if gesture in DYNAMIC else "held"
            gestures.insert_gesture(tx, profile.user_id, gesture, languages.description(gesture), says, kind)
    return len(missing)
