r"""Stored and outside text in the app, shown as what it is: the only way by which it reaches a page.

Most of what Streamlit draws is Markdown: labels, captions, messages, toasts, tips. A name that is put into it as it
is becomes a picture that the browser fetches, a link, a formula or an icon. What decides is the browser's side of
Streamlit 1.67 (``StreamlitMarkdown``), which does, in this order:

1. ``:material/`` is replaced in the whole source; in labels, list and heading signs at line starts are escaped;
2. CommonMark with GFM (tables, strikethrough, footnotes, bare addresses), ``$math$``, directives (``:red[…]``);
3. in what is text by then, escaped or not: bare web and mail addresses, ``:streamlit:``, seven arrows and signs
   (``->``, ``--``, ``>=`` … between blanks), ``:material_…:``, ``:emoji:``.

A backslash stops 2. Nothing in Markdown stops 3, so a U+2060 WORD JOINER, which shows nothing and breaks no line, is
put inside what would be replaced. What needs neither stays as it is: accessible names are made of the source.

Characters that do not show are replaced by their numbers, and right-to-left lines are isolated
(``semg.names.characters``). A second blank in a row, and one at an edge, becomes a no-break space.

``md`` and ``plain`` are for what Streamlit takes for Markdown, ``line`` for what it draws as it is (cells, choices
of a list, code), ``markup`` for ``st.html``, ``chart`` for Plotly, ``file_name`` for what is downloaded. That nothing
else reaches a page is a rule of the tests (``architecture/test_text_rule.py``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from string import Formatter
from typing import Any

from semg.names.characters import isolated, visible

JOINER, BLANK = "\u2060", "\u00a0"
_SPARE_BLANK = re.compile(r"^ | $|(?<= ) ")
_SIGN = re.compile(r"(?<!\S)(<->|->|<-|--|>=|<=|~=)(?!\S)")
_ADDRESS = re.compile(r"(?:(?<=[-.\w+])|^)(?=@[\w-])|(?<=www)(?=\.)|(?<=:)(?=//)", re.IGNORECASE)
_SHORTCODE = re.compile(r":(?!\d\d?:)(?=[^\W\d]|[+-]|\d[\w-]*:)")
_SPECIAL = re.compile(r"[\\`*\[\]<~$]|&(?=[#A-Za-z])|(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^\s*(?=[>|]|\+(?!\S)|-(?!\w)|=+\s*$|#{1,6}(?!\S))|^\s*\d{1,9}(?=[.)](?!\S))")
"""Blanks at the edges of a text are taken away by Streamlit: what stands after them may begin a line."""
_MAX_FILE_NAME = 80


class Markdown(str):
    """Markdown whose values are escaped; it is not escaped again."""

    __slots__ = ()


class Markup(str):
    """HTML whose values are escaped; it is not escaped again."""

    __slots__ = ()


def plain(text: object) -> Markdown:
    """Return a whole text for an element that takes it for Markdown, so that it is shown as it is."""
    return text if isinstance(text, Markdown) else Markdown(_escaped(str(text)))


def md(template: str, /, **values: object) -> Markdown:
    """Return Markdown made of a template of the program's own, with values that are shown as they are.

    Parameters
    ----------
    template
        With ``{name}`` or ``{name:format}`` for values, as ``str.format`` takes them, but neither in code nor in
        the address of a link: no escape works there.
    values
        A ``Markdown`` is put in as it is, a number as its format says.

    Raises
    ------
    ValueError
        A value stands in code or in an address.
    """
    return Markdown(_filled(template, values, _escaped, Markdown, in_markdown=True))


def line(template: str, /, **values: object) -> str:
    """Return a text for an element that draws it as it is (a cell, a choice in a list); templates as for ``md``."""
    return _filled(template, values, lambda text, *_: _isolated(text), str)


def markup(template: str, /, **values: object) -> Markup:
    """Return HTML for ``st.html``; values, also in attributes, are text. A ``Markup`` is put in as it is."""
    return Markup(_filled(template, values, lambda text, *_: escape(_isolated(text)), Markup))


def joined(parts: Iterable[Markup]) -> Markup:
    """Return pieces of HTML as one."""
    return Markup("".join(parts))


def chart(text: object) -> str:
    """Return a text for Plotly, which reads tags and entities in names, ticks and tips."""
    return escape(_isolated(" ".join(str(text).splitlines())), quote=False)


def shown(text: object) -> str:
    """Return a text for an element that draws it as it is, line breaks too (code, a log)."""
    return visible(str(text))


def cells(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table with their texts as ``shown``; cells are drawn, not parsed."""
    return [{name: shown(one) if isinstance(one, str) else one for name, one in row.items()} for row in rows]


def file_name(text: str) -> str:
    """Return a text as the stem of a file's name: letters, digits, ``-`` and ``_``, of any script, not too long."""
    letters = unicodedata.normalize("NFC", text[:_MAX_FILE_NAME])
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in letters) or "_"


def _filled(
    template: str,
    values: dict[str, object],
    escaped: Callable[[str, str, str], str],
    ready: type[str],
    *,
    in_markdown: bool = False,
) -> str:
    """Return a template with its values; what stands directly beside a value is told to ``escaped``."""
    pieces = list(_pieces(template, values, ready))
    made: list[str] = []
    own = ""
    for index, (text, is_value) in enumerate(pieces):
        before = made[-1][-1:] if made else ""
        after = pieces[index + 1][0][:1] if index + 1 < len(pieces) else ""
        own += "" if is_value else text
        if is_value and in_markdown and (own.count("`") % 2 or own.endswith("](")):
            raise ValueError(f"expected no value in code or in an address, got one there: {template!r}")
        made.append(escaped(text, before, after) if is_value else text)
    return "".join(made)


def _pieces(template: str, values: dict[str, object], ready: type[str]) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a filled template: the text of each, and whether it is to be escaped.

    Values that touch are one piece: ``:`` and ``smile:`` would be harmless alone.
    """
    kept, is_value = "", False
    for text, now_value in _fields(template, values, ready):
        if now_value != is_value and kept:
            yield kept, is_value
            kept = ""
        kept, is_value = kept + text, now_value
    if kept:
        yield kept, is_value


def _fields(template: str, values: dict[str, object], ready: type[str]) -> Iterator[tuple[str, bool]]:
    for literal, name, spec, conversion in Formatter().parse(template):
        if literal:
            yield literal, False
        if name is None:
            continue
        value: Any = values[name]
        if conversion:
            value = Formatter().convert_field(value, conversion)
        own = isinstance(value, (int, float)) or (ready is not str and isinstance(value, ready))
        text = format(value, spec or "")
        if text:
            yield text, not own


def _isolated(text: str) -> str:
    return "\n".join(isolated(each) for each in visible(text).split("\n"))


def _escaped(text: str, before: str = "", after: str = "") -> str:
    """Return a text as Markdown for itself; ``before`` and ``after`` are the characters that it will stand between."""
    if not text:
        return ""
    made = "\\\n".join(_escaped_line(each) for each in visible(text).split("\n"))
    # A blank between two words is one; at an edge it would be lost, and beside `**` it would keep that from closing.
    if made[0] == BLANK and text[0] == " " and before.strip("*_ \n"):
        made = " " + made[1:]
    if made[-1] == BLANK and text[-1] == " " and after.strip("*_ \n"):
        made = made[:-1] + " "
    # `**` opens and closes beside a letter only, and `:`, `@` and `www` may begin something with what follows.
    if (before in ("*", "_") and not text[0].isalnum()) or (before == ":" and not made[0].isspace()):
        made = JOINER + made
    if (after in ("*", "_") and not text[-1].isalnum()) or (after.strip() and _may_begin(text)):
        made += JOINER
    return made


def _may_begin(text: str) -> bool:
    return text.endswith((":", "@")) or text.lower().endswith("www")


def _escaped_line(text: str) -> str:
    text = text.replace("\t", 4 * BLANK)
    if not text.strip():
        return len(text) * BLANK + JOINER  # an empty line would end the paragraph
    text = _SPARE_BLANK.sub(BLANK, text)
    text = _SIGN.sub(lambda found: f"{found[0][0]}{JOINER}{found[0][1:]}", text)
    text = _SHORTCODE.sub(f":{JOINER}", _ADDRESS.sub(JOINER, text))
    text = _SPECIAL.sub(r"\\\g<0>", text)
    return isolated(_LINE_START.sub(r"\g<0>\\", text))
