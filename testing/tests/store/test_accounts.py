"""Accounts: argon2id, one sentence for every refusal, guessing is throttled."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from semg.errors import ConflictError, InvalidValueError, LoginError, NotFoundError
from semg.security import login as logging_in
from semg.security import passwords
from semg.security.login import Throttle, UnknownLogins, verify_login
from semg.settings import Settings
from semg.store import accounts
from semg.store.pool import Pool, execute

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
PASSWORD = "correct horse"


@pytest.fixture
def account_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        return accounts.insert_account(tx, "admin", passwords.hash_password(PASSWORD))


def refused(pool: Pool, login: str, password: str, now: datetime = NOW) -> str:
    with pytest.raises(LoginError) as caught:
        verify_login(pool, login, password, now)
    return str(caught.value)


def test_hashes_are_argon2id_and_salted() -> None:
    first, second = passwords.hash_password(PASSWORD), passwords.hash_password(PASSWORD)
    assert first.startswith("$argon2id$")
    assert first != second
    assert passwords.verify_password(first, PASSWORD) == (True, None)
    assert passwords.verify_password(first, PASSWORD + " ") == (False, None)


@pytest.mark.parametrize("stored", [None, "", "not a hash"])
def test_without_a_hash_no_password_is_right(stored: str | None) -> None:
    assert passwords.verify_password(stored, "") == (False, None)
    assert passwords.verify_password(stored, PASSWORD) == (False, None)


def test_password_longer_than_the_limit_is_not_right_by_its_beginning() -> None:
    longest = ("lantern ferry gravel " * 60)[: passwords.MAX_LENGTH]
    stored = passwords.hash_password(longest)
    assert passwords.verify_password(stored, longest) == (True, None)
    assert passwords.verify_password(stored, longest + "x") == (False, None)


@pytest.mark.parametrize("password", ["short", "x" * (passwords.MAX_LENGTH + 1)])
def test_password_of_wrong_length_is_refused(password: str) -> None:
    with pytest.raises(InvalidValueError, match="^password: "):
        passwords.hash_password(password)


def test_generated_passwords_differ_and_have_no_look_alikes() -> None:
    made = {passwords.generate_password() for _ in range(100)}
    assert len(made) == 100
    assert not set("".join(made)) & set("iIl1oO0")
    assert all(len(password) == 16 for password in made)


def test_right_password_gives_the_account(pool: Pool, account_id: int) -> None:
    account = verify_login(pool, "admin", PASSWORD, NOW)
    assert (account.account_id, account.login, account.role) == (account_id, "admin", "admin")
    assert (account.failed_logins, account.locked_until) == (0, None)


def test_unknown_login_and_wrong_password_get_the_same_sentence(pool: Pool, account_id: int) -> None:
    assert refused(pool, "nobody", PASSWORD) == refused(pool, "admin", "wrong") == logging_in.REFUSED
    assert refused(pool, "ad\x00min\ud800", PASSWORD) == logging_in.REFUSED


def test_unknown_login_does_the_work_of_a_known_one(
    pool: Pool, account_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []

    class Counting(PasswordHasher):
        def verify(self, stored, password):
            verified.append(stored)
            return super().verify(stored, password)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    refused(pool, "admin", "wrong")
    refused(pool, "nobody", "wrong")
    assert len(verified) == 2
    assert verified[0].split("$")[1:4] == verified[1].split("$")[1:4], "the same parameters, so the same time"


def test_fifth_wrong_try_locks_even_the_right_password_out(pool: Pool, account_id: int) -> None:
    for _ in range(accounts.FREE_TRIES):
        refused(pool, "admin", "wrong")
    verify_login(pool, "admin", PASSWORD, NOW)  # forgets them
    for _ in range(accounts.FREE_TRIES + 1):
        refused(pool, "admin", "wrong")
    assert refused(pool, "admin", PASSWORD, NOW + timedelta(seconds=accounts.FIRST_LOCK_S - 1)) == logging_in.REFUSED
    assert verify_login(pool, "admin", PASSWORD, NOW + timedelta(seconds=accounts.FIRST_LOCK_S)).failed_logins == 0


def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the hashes that passwords are compared with from now on."""
    seen: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, stored, password):
            seen.append(stored)
            return super().verify(stored, password)

    monkeypatch.setattr(passwords, "_HASHER", Counting(time_cost=1, memory_cost=1024, parallelism=1))
    return seen


@pytest.mark.parametrize("disabled", [False, True], ids=["of-nobody", "disabled"])
def test_login_that_nobody_may_use_is_locked_as_others_are(
    pool: Pool, account_id: int, monkeypatch: pytest.MonkeyPatch, disabled: bool
) -> None:
    nobodys = Throttle()
    if disabled:
        with pool.transaction() as tx:
            accounts.insert_account(tx, "gone", "", "viewer")
            execute(tx, "UPDATE accounts SET disabled_at = now() WHERE login = 'gone'")
    seen = verified(monkeypatch)

    def looked_at(login: str) -> list[bool]:
        """Try for an hour, and give which tries took the time of a verification."""
        took, now = [], NOW
        for _ in range(40):
            before = len(seen)
            with pytest.raises(LoginError) as caught:
                verify_login(pool, login, "wrong", now, throttle=nobodys)
            assert str(caught.value) == logging_in.REFUSED
            took.append(len(seen) > before)
            now += timedelta(seconds=7)
        return took

    known = looked_at("admin")
    assert known.count(False) > 20
    assert looked_at("gone") == known


def test_tries_of_unknown_logins_are_remembered_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging_in, "UNKNOWN_SLOTS", 8)
    nobodys = UnknownLogins()
    for number in range(1000):
        nobodys.is_locked(f"nobody {number}", NOW)
    assert len(nobodys) == 8
    assert all(nobodys.is_locked(f"nobody {number}", NOW) for number in range(100))


def test_login_that_is_written_otherwise_is_locked_as_the_same_one(pool: Pool, account_id: int) -> None:
    """Else whoever writes it so could tell by the time whether somebody has it."""
    nobodys = UnknownLogins()
    while not nobodys.is_locked("nobody", NOW):
        pass
    assert nobodys.is_locked("nob\x00ody", NOW)
    decomposed = UnknownLogins()
    while not decomposed.is_locked("Ad\u00e9", NOW):
        pass
    assert decomposed.is_locked("Ade\u0301", NOW)


def test_few_passwords_are_looked_at_together_and_who_waits_too_long_is_told() -> None:
    turns = threading.BoundedSemaphore(passwords.AT_ONCE)
    with passwords.turn(turns), passwords.turn(turns):
        with pytest.raises(LoginError, match="Try again in a few seconds"), passwords.turn(turns, 0.01):
            pytest.fail("a third one was looked at")
    with passwords.turn(turns, 0.01):
        pass  # their turns were given back


def test_who_is_logged_in_has_few_passwords_looked_at() -> None:
    inside = passwords.Inside(lambda: 0.0)
    with inside.turn(1):
        with pytest.raises(LoginError, match="checking or changing"), inside.turn(1):
            pytest.fail("an account has one at a time")
        with pytest.raises(LoginError, match="few seconds"), inside.turn(2, 0.01):
            pytest.fail("the last turn is the login form's")
        with passwords.turn(wait_s=0.01):
            pass
    for _ in range(passwords.INSIDE_AT_ONCE - 1):
        with inside.turn(1):
            pass
    with pytest.raises(LoginError, match="too often"), inside.turn(1):
        pytest.fail("it had too many")
    with inside.turn(2):
        pass


def test_login_that_finds_no_turn_counts_as_no_try(
    pool: Pool, account_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = passwords.turn
    with passwords.turn(), passwords.turn():
        monkeypatch.setattr(passwords, "turn", lambda: original(wait_s=0.01))
        for _ in range(accounts.FREE_TRIES + 2):
            assert refused(pool, "admin", PASSWORD) == passwords.BUSY
    assert verify_login(pool, "admin", PASSWORD, NOW).failed_logins == 0


def test_lock_doubles_up_to_its_limit(pool: Pool, account_id: int) -> None:
    now, locks = NOW, []
    for _ in range(accounts.FREE_TRIES + 10):
        with pool.transaction() as tx:
            account = accounts.record_failed_login(tx, "admin", now)
        if account.locked_until is not None:
            locks.append((account.locked_until - now).total_seconds())
            now = account.locked_until
    expected = [min(accounts.MAX_LOCK_S, accounts.FIRST_LOCK_S * 2**i) for i in range(10)]
    assert locks == expected
    with pool.transaction() as tx:
        for _ in range(100):
            accounts.record_failed_login(tx, "admin", now)
            now += timedelta(seconds=accounts.MAX_LOCK_S)


def test_tries_at_the_same_moment_do_not_slip_under_the_throttle(
    pool: Pool, settings: Settings, account_id: int
) -> None:
    wide = Pool(settings, size=8)
    looked_at: list[bool] = []
    together = threading.Barrier(20)

    def guess() -> None:
        together.wait(10)
        with wide.transaction() as tx:
            looked_at.append(accounts.record_failed_login(tx, "admin", NOW) is not None)

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    wide.close()
    assert len(looked_at) == 20
    assert sum(looked_at) == accounts.FREE_TRIES + 1


def test_new_password_ends_a_lock_and_dates_itself(pool: Pool, account_id: int) -> None:
    before = verify_login(pool, "admin", PASSWORD, NOW)
    for _ in range(accounts.FREE_TRIES + 1):
        refused(pool, "admin", "wrong")
    with pool.transaction() as tx:
        accounts.update_password(tx, account_id, passwords.hash_password("another good one"))
    after = verify_login(pool, "admin", "another good one", NOW)
    assert after.password_changed_at > before.password_changed_at
    refused(pool, "admin", PASSWORD)


def test_outdated_hash_is_renewed_at_a_login_without_ending_logins(pool: Pool) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with pool.transaction() as tx:
        accounts.insert_account(tx, "admin", weak)
        before = accounts.find_account(tx, "admin")
    after = verify_login(pool, "admin", PASSWORD, NOW)
    assert after.password_hash != weak
    assert passwords.verify_password(after.password_hash, PASSWORD) == (True, None)
    assert after.password_changed_at == before.password_changed_at


def test_account_rules(pool: Pool, account_id: int) -> None:
    with pool.transaction() as tx:
        assert accounts.count_accounts(tx) == 1
        assert accounts.find_account(tx, "nobody") is None
    with pytest.raises(ConflictError, match="'admin' already exists"), pool.transaction() as tx:
        accounts.insert_account(tx, "admin", "x")
    with pytest.raises(InvalidValueError, match="^role: "), pool.transaction() as tx:
        accounts.insert_account(tx, "other", "x", role="king")
    with pytest.raises(NotFoundError), pool.transaction() as tx:
        accounts.update_password(tx, account_id + 1, "x")


def test_one_address_cannot_try_one_password_on_many_logins(pool: Pool, account_id: int) -> None:
    now_s = [0.0]
    throttle = Throttle(by_address=logging_in.WrongTries(lambda: now_s[0]))

    def attempt(login: str, password: str, address: str = "192.0.2.1") -> str:
        try:
            return verify_login(pool, login, password, NOW, address, throttle).login
        except LoginError as exc:
            return str(exc)

    for number in range(logging_in.WRONG_TRIES_AT_ONCE):
        assert attempt(f"nobody {number}", "Summer 2026!") == logging_in.REFUSED
    assert "Wait 30 s" in attempt("admin", PASSWORD), "not even the right one is looked at"
    assert attempt("admin", PASSWORD, "192.0.2.2") == "admin", "others go on"
    now_s[0] += 30
    for _ in range(5):
        assert attempt("admin", PASSWORD) == "admin", "right ones do not count"
    assert attempt("nobody", "Summer 2026!") == logging_in.REFUSED
    assert "Wait" in attempt("nobody else", "Summer 2026!")
