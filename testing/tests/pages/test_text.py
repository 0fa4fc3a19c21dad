"""What ``ui.text`` makes of a text shows that text: judged by GitHub's own parser and Streamlit's own replacements."""

from __future__ import annotations

import html
import re
import unicodedata

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given, settings
from hypothesis import strategies as st

from semg.names.characters import visible
from semg.signals.training.progress import EpochPoint
from semg.signals.training.training_report import TrainingReport
from testing.kits.hostile_names import HIDDEN, names
from ui.report_figures import confusion_figure, epoch_figure
from ui.text import BLANK, JOINER, Markdown, cells, chart, file_name, line, markup, md, plain, shown

INVISIBLE = re.compile("[\u2060\u2068\u2069]")
ICON = re.compile(r":material_(\w+):")
EMOJI = re.compile(r":\+1:|:-1:|:[\w-]+:", re.ASCII)
SIGN = re.compile(r"(^|\s)(<->|->|<-|--|>=|<=|~=)(\s|$)")
URL = re.compile(r"(https?://|www(?=\.))([-.\w]+)", re.IGNORECASE | re.ASCII)
MAIL = re.compile(r"[-.\w+]+@[-\w]+(?:\.[-\w]+)+")
DIRECTIVE = re.compile(r"(?<![:\\]):+(?=[^\W\d_])")
LABEL = ((re.compile(r"^(\s*)((?:[+\-*]|#+)(?=\s|$)|>)", re.MULTILINE), r"\1\\\2"),
         (re.compile(r"^(\s*)(\d+)([.)])(?=\s|$)", re.MULTILINE), r"\1\2\\\3"))  # fmt: skip
MATH = re.compile(r"(?<!\$)\$(?![\s$])[^$\n]*?[^\s$]\$(?!\d)|(?<!\$)\$\$+(?!\$)[\s\S]*?\$\$")
ESCAPED = re.compile(r"\\[\\$`]")
TRICKY = st.text(st.sampled_from("ab1 \n\t*_[]()<>#+-.!|~$:&=@/\\`{}^\"'%;wht\u202e\u200b\u0301אé🙂"), max_size=24)
TOKENS = st.lists(
    st.sampled_from(
        ["http://a.de", "www.a.de", "a@b.de", ":smile:", ":+1:", ":material/home:", ":streamlit:", ":red[", "]", "![](",
         ")", "**", "`", "\n", " ", "->", "--", "1.", "- ", "# ", "$x$", "&amp;", "<b>", "a", "|", "[^1]", "\\", ":",
         "3:"]
    ),
    max_size=8,
).map("".join)  # fmt: skip


def rendered(markdown: str, *, label: bool = False) -> str:
    """Return the HTML of Markdown as Streamlit's browser side makes it, with its replacements shown as ``{…}``."""
    source = markdown.strip().replace(":material/", ":material_")
    if label:
        for found, by in LABEL:
            source = found.sub(by, source)
    assert not MATH.search(ESCAPED.sub("_", source)), source
    assert not DIRECTIVE.search(re.sub(r"`[^`]*`", "", source)), source
    options = Options.CMARK_OPT_FOOTNOTES | Options.CMARK_OPT_UNSAFE
    return str(cmarkgfm.github_flavored_markdown_to_html(source, options))


def text_of(made: str) -> str:
    """Return what a browser shows of HTML; every tag but those of a paragraph and a line break is a fault."""
    made = made.strip()
    assert re.fullmatch(r"(<p>([^<]|<br />)*</p>)?", made), made
    text = html.unescape(re.sub(r"</?p>", "", made).replace("<br />\n", "\n").replace("<br />", "\n"))
    for piece in text.split("\n"):
        for rule in (ICON, EMOJI, SIGN, URL, MAIL):
            found = [one[0] for one in rule.finditer(piece)]
            assert [one for one in found if rule is not EMOJI or not re.fullmatch(r":\d\d?:", one)] == []
    return text


def expected(text: str) -> str:
    """Return what shall be seen: the text, its hidden characters by their numbers."""
    return visible(text).replace("\t", 4 * " ").replace(BLANK, " ").strip()


def seen(text: str) -> str:
    return INVISIBLE.sub("", text.replace(BLANK, " ")).strip()


@pytest.mark.parametrize("text", [*names(9).values(), HIDDEN], ids=[*names(9), "hidden"])
@pytest.mark.parametrize("label", [False, True])
def test_hostile_text_is_seen_as_it_is_stored(text: str, label: bool) -> None:
    assert seen(text_of(rendered(plain(text), label=label))) == expected(text)


@given(st.one_of(TRICKY, TOKENS, st.text(max_size=30)), st.booleans())
@settings(max_examples=2000)
@example("a\n===\nb\n---\n| a |\n|---|", False)
@example("\n\n a\n\n    b", True)
def test_any_text_is_seen_as_it_is_stored(text: str, label: bool) -> None:
    assert seen(text_of(rendered(plain(text), label=label))) == expected(text)


@given(st.one_of(TRICKY, TOKENS))
@settings(max_examples=2000)
def test_a_value_changes_nothing_around_it(text: str) -> None:
    if not visible(text).strip():
        return
    made = rendered(md("Before **{value}** and {value}: `code`, *{value}*.", value=text))
    found = re.fullmatch(
        r"<p>Before <strong>(.*)</strong> and (.*): <code>code</code>, <em>(.*)</em>\.</p>\n", made, re.DOTALL
    )
    assert found, made
    for part in found.groups():
        assert seen(text_of(f"<p>{part}</p>")) == expected(text)


@given(st.tuples(TRICKY, TRICKY))
@settings(max_examples=500)
def test_values_that_touch_make_nothing_together(texts: tuple[str, str]) -> None:
    made = md("{one}{two}", one=texts[0], two=texts[1])
    assert seen(text_of(rendered(made))) == expected("".join(texts))


@pytest.mark.parametrize(
    "text", ["Ada Lovelace", "P-07", "left_hand", "Session 3, 12:30:45", "wrist (slow) 50 %", "a/b", "Zoë", "3 > 2"]
)
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert plain(text) == text  # accessible names are made of the source


def test_values_have_formats_and_markdown_is_not_escaped_again() -> None:
    assert md("{n:,} of {share:.1%}", n=-1234, share=0.5) == "-1,234 of 50.0%"
    assert md("**{inner}**", inner=md("*{x}*", x="*")) == "***\u2060\\*\u2060***"
    assert plain(plain("*")) == r"\*"
    assert isinstance(md("a"), Markdown)


def test_name_that_is_missing_is_refused() -> None:
    with pytest.raises(KeyError):
        md("{name}")


@pytest.mark.parametrize("template", ["`{x}`", "[a]({x})", "`a` and `b {x} c`"])
def test_value_in_code_or_in_an_address_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="no value in code or in an address"):
        md(template, x="a")


def test_right_to_left_name_does_not_reorder_what_follows() -> None:
    assert md("{name} (3)", name="שלום") == "\u2068שלום\u2069 (3)"
    assert line("{name} · 12:30", name="שלום") == "\u2068שלום\u2069 · 12:30"


def test_markup_has_no_tag_of_a_value() -> None:
    made = markup('<b title="{name}">{name}</b>{more}', name='"><img src=x>', more=markup("<i>{x}</i>", x="&"))
    assert made == ('<b title="&quot;&gt;&lt;img src=x&gt;">&quot;&gt;&lt;img src=x&gt;</b><i>&amp;</i>')


def test_chart_has_no_tag_and_no_entity_of_a_name() -> None:
    assert chart("<a href='x'>a</a>\n&lt;") == "&lt;a href='x'&gt;a&lt;/a&gt; &amp;lt;"


def test_figures_show_names_of_gestures_and_networks_as_text() -> None:
    name = "<a href='http://a'>%{x}</a>"
    points = [EpochPoint(what=name, epoch=n, epochs=2, loss=0.5 / n) for n in (1, 2)]
    line_of = epoch_figure(points).data[0]
    assert line_of.name == "&lt;a href='http://a'&gt;%{x}&lt;/a&gt;"
    assert line_of.hovertemplate.startswith("%{fullData.name}: ")
    map_of = confusion_figure(TrainingReport(classes=(name, "rest"), confusion=((1, 0), (0, 1)))).data[0]
    assert map_of.x == map_of.y == ("&lt;a href='http://a'&gt;%{x}&lt;/a&gt;", "rest")


def test_cells_and_code_show_what_hides() -> None:
    assert shown("a\u202eb\n\tc\x1b[0m") == "a⟨U+202E⟩b\n\tc␛[0m"
    assert cells([{"Name": "a\u200bb", "n": 3}]) == [{"Name": "a⟨U+200B⟩b", "n": 3}]


@given(st.text(max_size=120))
@settings(max_examples=300)
def test_file_name_is_a_file_name(text: str) -> None:
    made = file_name(text)
    assert 1 <= len(made) <= 80
    assert not set(made) & set('/\\:*?"<>|;,\r\n .')
    assert made == unicodedata.normalize("NFC", made) or len(made) == 80


def test_joiner_is_neither_blank_nor_punctuation() -> None:
    assert unicodedata.category(JOINER) == "Cf"
