"""Invisible and reordering characters: a text that contains them is not what it looks like.

Named by the Unicode Standard: *Default_Ignorable_Code_Point* (DerivedCoreProperties), the controls, the line and
paragraph separators, and the embeddings, overrides and isolates of the Bidirectional Algorithm (UAX 9), which are the
means of CVE-2021-42574.
"""

from __future__ import annotations

import re
import unicodedata

MAX_MARKS = 8
"""Combining marks on one letter; no script needs more, and a stack of them covers the lines above and below."""
FSI, PDI = "\u2068", "\u2069"
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_FOUND = re.compile(f"[{_HIDDEN}]")
_JOINERS = "\u200c\u200d"
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_SHOWN = "⟨U+{:04X}⟩"


def hides(text: str) -> str:
    """Return the first invisible or reordering character of a text, as ``U+202E``; empty for none.

    A joiner inside a word of a script that needs it (Persian, Hindi) or inside an emoji does no harm, nor does a
    variation selector after what it selects.
    """
    for found in _FOUND.finditer(text):
        if not _belongs(found):
            return f"U+{ord(found[0]):04X}"
    marks = 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks > MAX_MARKS:
            return f"U+{ord(letter):04X}"
    return ""


def visible(text: str) -> str:
    r"""Return a text with every invisible character replaced by its number.

    Line feeds and tabs stay. The ASCII controls become their pictures (``␀``), everything else that ``hides`` would
    name becomes ``⟨U+202E⟩``; a text that begins with a combining mark begins with ``◌``, so that the mark does not sit
    on the preceding text.
    """
    text = _FOUND.sub(_show, text.replace("\r\n", "\n"))
    if text.isascii():
        return text
    made, marks = [], 0
    for index, letter in enumerate(text):
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks > MAX_MARKS:
            made.append(_SHOWN.format(ord(letter)))
        else:
            made.append(f"◌{letter}" if index == 0 and unicodedata.category(letter).startswith("M") else letter)
    return "".join(made)


def isolated(line: str) -> str:
    """Return one line that does not reorder the adjacent text: a right-to-left one in an isolate (UAX 9)."""
    if line.isascii() or not any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in line):
        return line
    return f"{FSI}{line}{PDI}"


def _belongs(found: re.Match[str]) -> bool:
    begin, end = found.span()
    before, after = found.string[max(0, begin - 1) : begin], found.string[end : end + 1]
    if found[0] in _JOINERS:
        return _carries(before) and _carries(after)
    return bool(_SELECTORS.match(found[0])) and before.strip() != "" and not _FOUND.match(before)


def _carries(letter: str) -> bool:
    """Return whether a joiner beside this character can be part of its spelling."""
    if not letter or letter.isascii():
        return False
    return bool(_SELECTORS.match(letter)) or (not _FOUND.match(letter) and not letter.isspace())


def _show(found: re.Match[str]) -> str:
    if _belongs(found):
        return found[0]
    number = ord(found[0])
    if number < 0x20:
        return chr(0x2400 + number)
    return "␡" if number == 0x7F else _SHOWN.format(number)
