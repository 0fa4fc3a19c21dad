"""Pseudonyms: a code stands for the name, which only the key of the installation shows."""

from __future__ import annotations

import pytest

from semg.errors import InvalidValueError, SettingsError
from semg.privacy import pseudonyms
from semg.store import profiles, real_names
from semg.store.pool import Pool, execute, rows

KEY = "k" * 48


def test_name_moves_to_the_key_table_and_only_the_key_shows_it(pool: Pool, make_profile) -> None:
    user_id, other = make_profile("Ada Lovelace"), make_profile("Bo")
    with pool.transaction() as tx:
        assert pseudonyms.find_name(tx, KEY, user_id) is None
        code = pseudonyms.replace_name(tx, KEY, user_id)
    with pool.transaction() as tx:
        assert profiles.get_profile(tx, user_id).name == code
        assert pseudonyms.find_name(tx, KEY, user_id) == "Ada Lovelace"
        tables = ("profiles", "real_names")
        everything = [str(row) for table in tables for row in rows(tx, f"SELECT t::text FROM {table} t")]
        assert not any("Ada" in row or b"Ada".hex() in row for row in everything)
        real_names.set_name(tx, other, real_names.find_name(tx, user_id))
    for secret, number in (("x" * 48, user_id), (KEY, other)):
        with pytest.raises(SettingsError, match="SECRET_KEY"), pool.transaction() as tx:
            pseudonyms.find_name(tx, secret, number)
    with pytest.raises(SettingsError, match="SECRET_KEY is empty"), pool.transaction() as tx:
        pseudonyms.keep_name(tx, "", user_id, "Ada")
    with pytest.raises(InvalidValueError, match="name"), pool.transaction() as tx:
        pseudonyms.keep_name(tx, KEY, user_id, " ")


def test_same_name_is_stored_differently_each_time_and_goes_with_the_profile(pool: Pool, make_profile) -> None:
    user_id = make_profile("P-1")
    kept = set()
    for _ in range(3):
        with pool.transaction() as tx:
            pseudonyms.keep_name(tx, KEY, user_id, "Ada")
            kept.add(real_names.find_name(tx, user_id))
    assert len(kept) == 3
    with pool.transaction() as tx:
        profiles.delete_profile(tx, user_id)
        assert execute(tx, "SELECT 1 FROM real_names") == 0


def test_codes_are_of_chance() -> None:
    codes = {pseudonyms.make_pseudonym() for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 8 and not set(code[2:]) & set("0O1I5S8B2") for code in codes)
