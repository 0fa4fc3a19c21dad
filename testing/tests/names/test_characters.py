"""What may be a name: what is stored looks like what it is, and nothing that does not show makes two of one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.domain import REST
from semg.errors import InvalidValueError
from semg.names import normal_form
from semg.names.characters import FSI, MAX_MARKS, PDI, hides, isolated, visible
from semg.privacy.consent import TEST_PERSON
from semg.store import checks, gestures, identities, profiles
from semg.store.pool import Pool, execute
from ui.text import file_name

DECEIVING = {
    "override": "Ada\u202egnp.exe",
    "isolate": "Ada\u2066x\u2069",
    "mark": "Ada\u200fx",
    "arabic mark": "Ada\u061cx",
    "zero width": "A\u200bda",
    "joiner between letters that need none": "A\u200dda",
    "word joiner": "A\u2060da",
    "byte order mark": "\ufeffAda",
    "soft hyphen": "A\u00adda",
    "bell": "Ada\x07x",
    "line": "Ada\u2028x",
    "tag": "Ada\U000e0041",
    "filler": "\u3164",
    "braille blank": "\u2800",
    "grapheme joiner": "A\u034fda",
    "selector of nothing": "\ufe0fAda",
    "tower of marks": "A" + "\u0301" * (MAX_MARKS + 2),
}
ORDINARY = [
    "Ada", "Zoë", "Participant 07", "שלום", "محمد", "می\u200cخواهم", "क्\u200dष", "👩\u200d💻", "❤\ufe0f", "x![](http://a)",
    "Nguyễn Thị Ánh", "名前",
]  # fmt: skip


@pytest.mark.parametrize("text", DECEIVING.values(), ids=DECEIVING)
def test_name_with_characters_that_do_not_show_is_refused(text: str) -> None:
    with pytest.raises(
        InvalidValueError, match=r"^name: type the name instead of pasting it: it contains U\+[0-9A-F]+"
    ):
        checks.name("name", text, 200)


@pytest.mark.parametrize("text", ORDINARY)
def test_names_of_all_scripts_are_taken(text: str) -> None:
    assert checks.name("name", f"  {text} ", 200) == unicodedata.normalize("NFC", text)
    assert visible(unicodedata.normalize("NFC", text)) == unicodedata.normalize("NFC", text)


def test_name_is_stored_composed() -> None:
    assert checks.name("name", "Zoe\u0308", 10) == "Zo\u00eb"


@given(st.one_of(st.text(max_size=30), st.text(st.sampled_from("aé\u200d\ufe0f\u202e\u0301 👩\n"), max_size=20)))
def test_neither_what_is_taken_nor_what_is_made_visible_hides_anything(text: str) -> None:
    try:
        taken = checks.name("name", text, 200)
    except InvalidValueError:
        taken = ""
    assert hides(taken) == ""
    assert hides(visible(text)) == ""


def test_hidden_characters_are_shown_by_their_numbers() -> None:
    assert visible("a\u202eb\x00\x7f\x85") == "a⟨U+202E⟩b␀␡⟨U+0085⟩"
    assert visible("\u0301a") == "◌\u0301a"
    assert visible("\ud800") == "⟨U+D800⟩"  # which no message to a browser could carry
    assert visible("a\r\nb\tc") == "a\nb\tc"


def test_right_to_left_text_is_isolated_and_no_other() -> None:
    assert isolated("שלום (3)") == f"{FSI}שלום (3){PDI}"
    assert isolated("Zoë (3)") == "Zoë (3)"


@pytest.mark.servers
def test_profile_from_before_keeps_its_name_until_it_is_changed(pool: Pool) -> None:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        execute(tx, "UPDATE profiles SET name = %s WHERE user_id = %s", (DECEIVING["override"], user_id))
        changed = profiles.update_profile(tx, user_id, notes="left arm")
        assert (changed.name, changed.notes) == (DECEIVING["override"], "left arm")
        with pytest.raises(InvalidValueError, match=r"U\+202E"):
            profiles.update_profile(tx, user_id, name=f"{DECEIVING['override']} 2")
        assert profiles.update_profile(tx, user_id, name="Ada").name == "Ada"


@pytest.mark.servers
def test_decomposed_names_find_what_is_stored_composed(pool: Pool) -> None:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Zoe\u0308", channels=["a0"], rate_hz=200.0)
        found = profiles.find_profile_by_name(tx, "Zoe\u0308")
        assert found is not None
        assert found.user_id == user_id
        first = gestures.ensure_gestures(tx, user_id, ["Da\u0308umen", REST])
        assert gestures.ensure_gestures(tx, user_id, ["D\u00e4umen"])["D\u00e4umen"] == first["Da\u0308umen"]
        assert len(gestures.list_gestures(tx, user_id)) == 2


@pytest.mark.servers
def test_name_of_a_provider_becomes_a_login_that_shows(pool: Pool) -> None:
    with pool.transaction() as tx:
        made = identities.insert_account(tx, "https://issuer", "1", "\u202eAda\u200b Lovelace\x07")
        assert made.login == "Ada Lovelace"
        assert identities.insert_account(tx, "https://issuer", "2", "\u200b\u3164").login == "guest"


def test_endless_run_of_marks_is_not_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes a time that grows with its square, and holds up every thread of the process."""
    composed, normalize = [], unicodedata.normalize

    def remember(form: str, text: str) -> str:
        composed.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(normal_form.unicodedata, "normalize", remember)
    tower = "a" + "\u0301" * 64_000 + "\u0316" * 64_000
    for is_login in (True, False):
        with pytest.raises(InvalidValueError, match=r"at most 100 characters \(now 128,001\)"):
            checks.name("name", tower, 100, is_login=is_login)
    assert checks.normalised(tower) == tower
    assert normal_form.label(tower) == tower
    assert file_name(tower).startswith("á_")
    assert max(composed) <= normal_form.LONGEST
    assert checks.name("name", "e\u0301" * 100, 100) == "é" * 100
