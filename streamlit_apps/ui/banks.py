"""Ready-made gesture banks: name, description, phrase."""

from __future__ import annotations

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
