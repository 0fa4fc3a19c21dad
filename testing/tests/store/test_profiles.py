"""Profiles: what may be stored, and that deletion erases everything."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from semg.consent_types import Consent, NewConsent, agrees
from semg.domain import REST, DecisionSpec, WindowSpec
from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.privacy.consent import TEST_PERSON
from semg.signals.training.options import TrainingOptions
from semg.store import gestures, jobs, profiles
from semg.store.pool import Pool, one, rows
from testing.kits.store_data import Filled, fill, insert_block

# erased_videos, erased_from_bases: numbers only, until job_runner has removed what they name. The audit log holds
# numbers only too, and outlives what it tells of.
NOT_OF_A_PERSON = {
    "accounts", "api_tokens", "account_identities", "logins", "totp_factors",
    "recovery_codes", "passkeys", "schema_migrations", "services", "journal_progress",
    "erased_videos", "consent_texts",
    "erased_from_bases", "audit_entries", "audit_chain", "import_layouts",
}  # fmt: skip


def test_profile_comes_back_as_it_was_inserted(pool: Pool) -> None:
    agreed_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(
            tx, "  Ada ", channels=("thumb", "a.1", "b-2"), rate_hz=1000, sensor="envelope", adc_min=-5, adc_max=5.5,
            mains_hz=60, allow_v1=False, handedness="left", notes="two\nlines",
            consent=NewConsent(("recording",), TEST_PERSON.text, agreed_at, "admin"),
        )  # fmt: skip
    with pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
        assert profiles.find_profile_by_name(tx, "Ada") == profile
        assert profiles.list_profiles(tx) == [replace(profile, notes="")]
        assert profiles.list_devices(tx) == [profile.device]
        assert [gesture.name for gesture in gestures.list_gestures(tx, user_id)] == [REST]
    assert (profile.name, profile.handedness, profile.notes) == ("Ada", "left", "two\nlines")
    assert profile.consent == Consent(("recording",), "test data", agreed_at, profile.consent.recorded_at, "admin")
    assert agrees(profile.consent, "recording")
    assert not agrees(profile.consent, "video")
    device = profile.device
    assert (device.user_id, device.channels, device.rate_hz, device.sensor) == (
        user_id, ("thumb", "a.1", "b-2"), 1000, "envelope",
    )  # fmt: skip
    assert (device.adc_min, device.adc_max, device.mains_hz, device.allow_v1) == (-5, 5.5, 60, False)
    assert profile.created_at.utcoffset() is not None


def test_profiles_are_listed_by_name(pool: Pool) -> None:
    with pool.transaction() as tx:
        for name in ("cy", "Ada", "bo"):
            profiles.insert_profile(tx, name, channels=("a0",), rate_hz=200)
        assert [profile.name for profile in profiles.list_profiles(tx)] == ["Ada", "bo", "cy"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": "  "}),
        ("name", {"name": "x" * 201}),
        ("name", {"name": "a\x00b"}),
        ("name", {"name": "two\nlines"}),
        ("channels", {"channels": ()}),
        ("channels", {"channels": tuple(f"c{i}" for i in range(17))}),
        ("channels", {"channels": ("a0", "a0")}),
        ("channels", {"channels": ("a,b",)}),
        ("channels", {"channels": ("Gesture",)}),
        ("rate_hz", {"rate_hz": 49.9}),
        ("rate_hz", {"rate_hz": float("nan")}),
        ("rate_hz", {"rate_hz": 2000.5}),
        ("sensor", {"sensor": "video"}),
        ("adc_min", {"adc_min": float("-inf")}),
        ("adc_max", {"adc_min": 10, "adc_max": 10}),
        ("mains_hz", {"mains_hz": 55}),
        ("handedness", {"handedness": "up"}),
        ("agreed_at", {"consent": replace(TEST_PERSON, agreed_at=datetime(2026, 1, 1))}),  # noqa: DTZ001
        ("agreed_at", {"consent": replace(TEST_PERSON, agreed_at=datetime(2999, 1, 1, tzinfo=UTC))}),
        ("scopes", {"consent": replace(TEST_PERSON, scopes=("video",))}),
        ("scopes", {"consent": replace(TEST_PERSON, scopes=("recording", "everything"))}),
    ],
)
def test_value_out_of_range_names_its_field(pool: Pool, field: str, changes: dict) -> None:
    values = {"name": "Ada", "channels": ("a0",), "rate_hz": 200} | changes
    with pytest.raises(InvalidValueError, match=f"^{field}: ") as caught, pool.transaction() as tx:
        profiles.insert_profile(tx, values.pop("name"), **values)
    assert caught.value.field == field
    with pool.transaction() as tx:
        assert profiles.list_profiles(tx) == []


def test_taken_name_is_a_conflict_in_words(pool: Pool, make_profile) -> None:
    make_profile("Ada")
    other = make_profile("Bo")
    with pytest.raises(ConflictError, match="'Ada' already exists"):
        make_profile("Ada")
    with pytest.raises(ConflictError, match="'Ada' already exists"), pool.transaction() as tx:
        profiles.update_profile(tx, other, name="Ada")


def test_update_changes_only_the_given_fields(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        before = profiles.update_profile(tx, user_id, handedness="right", notes="n", channels_used=("a1",))
        after = profiles.update_profile(tx, user_id, decision=DecisionSpec(5, 0.5))
        assert after == replace(before, decision=DecisionSpec(5, 0.5))
        assert profiles.update_profile(tx, user_id, channels_used=None, handedness=None).channels_used is None


def test_channels_used_keep_the_order_of_the_device(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with pool.transaction() as tx:
        assert profiles.update_profile(tx, user_id, channels_used=("a1", "a0")).channels_used == ("a0", "a1")


def test_channels_used_must_be_channels_of_the_device(pool: Pool, make_profile) -> None:
    user_id = make_profile("Ada")
    with (
        pytest.raises(InvalidValueError, match="channels_used: choose among the device's channels, a0, a1"),
        pool.transaction() as tx,
    ):
        profiles.update_profile(tx, user_id, channels_used=("a0", "b"))
    with pool.transaction() as tx:
        device = profiles.update_profile(tx, user_id, channels_used=("a1",)).device
    with pytest.raises(InvalidValueError, match="channels_used"), pool.transaction() as tx:
        profiles.update_device(tx, replace(device, channels=("a0", "b1")))
    with pool.transaction() as tx:
        profiles.update_device(tx, replace(device, channels=("x", "a1"), rate_hz=500.0))
        assert profiles.get_profile(tx, user_id).device == replace(device, channels=("x", "a1"), rate_hz=500.0)


@pytest.mark.parametrize("call", [profiles.get_profile, profiles.count_profile, profiles.delete_profile])
def test_unknown_profile_is_not_found(pool: Pool, call) -> None:
    with pytest.raises(NotFoundError, match="no profile 999"), pool.transaction() as tx:
        call(tx, 999)


def owned_rows(pool: Pool, user_id: int) -> dict[str, int]:
    """How many rows of each table belong to a profile, by ``user_id`` or along foreign keys."""
    with pool.transaction() as tx:
        tables = [
            row.name
            for row in rows(
                tx,
                "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                "AND relkind IN ('r', 'p') AND NOT relispartition",
            )
        ]
        with_user = {
            row.table_name
            for row in rows(tx, "SELECT table_name FROM information_schema.columns WHERE column_name = 'user_id'")
        }
        counts = {}
        for table in set(tables) - NOT_OF_A_PERSON:
            if table in with_user:
                query = f"SELECT count(*) AS n FROM {table} WHERE user_id = %s"
            else:
                parent = one(
                    tx,
                    """
                    SELECT confrelid::regclass::text AS name, a.attname AS key FROM pg_constraint c
                    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
                    WHERE contype = 'f' AND conrelid = %s::regclass AND confrelid::regclass::text = ANY(%s)
                    """,
                    (table, list(with_user)),
                )
                assert parent is not None, f"table {table} hangs on nothing this test knows; does deletion erase it?"
                query = (
                    f"SELECT count(*) AS n FROM {table} JOIN {parent.name} USING ({parent.key}) "
                    f"WHERE {parent.name}.user_id = %s"
                )
            counts[table] = one(tx, query, (user_id,)).n
        return counts


def test_deletion_erases_every_row_of_the_profile_and_none_of_others(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        other = fill(tx, "Bo")
    before = owned_rows(pool, other.user_id)
    assert all(before.values()), f"the test does not fill {[table for table, n in before.items() if not n]}"
    assert owned_rows(pool, filled.user_id) == before
    with pool.transaction() as tx:
        foretold = profiles.count_profile(tx, filled.user_id)
        erased = profiles.delete_profile(tx, filled.user_id)
    assert erased == foretold
    assert (erased.blocks, erased.samples, erased.sessions, erased.repetitions) == (2, 160, 2, 2)
    assert (erased.models, erased.jobs, erased.decisions) == (1, 1, 2)
    assert not any(owned_rows(pool, filled.user_id).values())
    assert owned_rows(pool, other.user_id) == before


def test_deletion_leaves_no_repetition_behind(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        profiles.delete_profile(tx, filled.user_id)
        assert one(tx, "SELECT count(*) AS n FROM repetitions").n == 0


def test_number_of_a_deleted_profile_is_not_used_again(pool: Pool, make_profile) -> None:
    first = make_profile("Ada")
    with pool.transaction() as tx:
        profiles.delete_profile(tx, first)
    assert make_profile("Ada") > first


def test_running_job_of_a_deleted_profile_is_told_to_stop(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        assert jobs.claim_due_job(tx, "runner") is not None
        assert jobs.update_progress(tx, filled.job_id, 10) is False
    with pool.transaction() as tx:
        profiles.delete_profile(tx, filled.user_id)
    with pool.transaction() as tx:
        assert jobs.update_progress(tx, filled.job_id, 20) is True


def test_block_written_during_a_deletion_is_erased_too(pool: Pool, filled: Filled) -> None:
    done = threading.Event()

    def erase() -> None:
        with pool.transaction() as tx:
            profiles.delete_profile(tx, filled.user_id)
        done.set()

    eraser = threading.Thread(target=erase)
    with pool.transaction() as tx:
        assert profiles.lock_consenting(tx, [filled.user_id, 999]) == {filled.user_id}
        eraser.start()
        assert not done.wait(0.3), "the deletion must wait for the writer"
        insert_block(tx, filled.user_id, datetime(2026, 3, 2, tzinfo=UTC), 5)
    eraser.join(10)
    with pool.transaction() as tx:
        assert one(tx, "SELECT count(*) AS n FROM sample_blocks").n == 0
        assert profiles.lock_consenting(tx, [filled.user_id]) == set()


def test_defaults_of_the_database_are_those_of_the_domain(pool: Pool, make_profile) -> None:
    with pool.transaction() as tx:
        user_id = make_profile("Ada")
        row = one(tx, "SELECT vote_n, min_confidence, hysteresis FROM profiles WHERE user_id = %s", (user_id,))
        assert profiles.get_profile(tx, user_id).decision == replace(
            DecisionSpec(), min_confidence=row.min_confidence, hysteresis=row.hysteresis
        )
    default = DecisionSpec()
    assert (row.vote_n, row.min_confidence, row.hysteresis) == pytest.approx(
        (default.vote_n, default.min_confidence, default.hysteresis)
    )
    assert (TrainingOptions().vote_n, TrainingOptions().min_confidence) == (default.vote_n, default.min_confidence)
    assert TrainingOptions().window_ms == WindowSpec(200.0).window_ms
