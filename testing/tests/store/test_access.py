"""What each role sees and may do; accounts, their logins and their tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from semg.errors import AccessError, ConflictError, InvalidValueError, LoginError, NotFoundError
from semg.platform.first_login import ensure_admin
from semg.security import passwords
from semg.security.login import end_login, find_logged_in, verify_login
from semg.security.tokens import Login
from semg.settings import Settings
from semg.store import access, accounts, api_tokens, audit, gestures, logins, profiles
from semg.store.accounts import Account
from semg.store.pool import Pool, execute, one, rows
from testing.kits.new_logins import make_login, new_login
from testing.kits.store_queries import set_shares

PASSWORD = "correct horse"
MakeAccount = Callable[..., Account]


@pytest.fixture
def make_account(pool: Pool) -> MakeAccount:
    def make(login: str, role: str = "researcher", password_hash: str = "") -> Account:
        with pool.transaction() as tx:
            number = accounts.insert_account(tx, login, password_hash, role)
            account = accounts.find_account_by_id(tx, number)
        assert account is not None
        return account

    return make


def again(pool: Pool, account: Account) -> Account:
    with pool.transaction() as tx:
        found = accounts.find_account_by_id(tx, account.account_id)
    assert found is not None
    return found


def make_profile(pool: Pool, name: str, owner: Account | None = None) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(
            tx, name, channels=("a0",), rate_hz=200, owner_id=owner.account_id if owner else None
        )


def may(pool: Pool, account: Account, user_id: int) -> list[str]:
    allowed = []
    for right in ("see", "work", "own"):
        try:
            with pool.transaction() as tx:
                access.require(tx, account, user_id, right)
        except (AccessError, NotFoundError):
            continue
        allowed.append(right)
    return allowed


def test_roles_see_and_do_what_is_theirs(pool: Pool, make_account: MakeAccount) -> None:
    admin, viewer = make_account("admin", "admin"), make_account("eve", "viewer")
    owner, helper, other = (make_account(name) for name in ("owner", "helper", "other"))
    mine, nobodys = make_profile(pool, "Ada", owner), make_profile(pool, "Bo")
    with pool.transaction() as tx:
        set_shares(tx, mine, [viewer.account_id, helper.account_id])
        names = {
            account.login: [one.name for one in access.list_visible(tx, account)]
            for account in (admin, owner, helper, other, viewer)
        }
    assert names == {"admin": ["Ada", "Bo"], "owner": ["Ada"], "helper": ["Ada"], "other": [], "eve": ["Ada"]}
    assert may(pool, admin, mine) == may(pool, admin, nobodys) == may(pool, owner, mine) == ["see", "work", "own"]
    assert may(pool, helper, mine) == ["see", "work"]
    assert may(pool, viewer, mine) == ["see"]
    assert may(pool, other, mine) == may(pool, owner, nobodys) == []


def test_what_may_not_be_seen_cannot_be_told_from_what_is_not_there(pool: Pool, make_account: MakeAccount) -> None:
    hidden, account = make_profile(pool, "Ada"), make_account("other")
    told = []
    for number in (hidden, 999_999):
        with pytest.raises(NotFoundError) as caught, pool.transaction() as tx:
            access.require(tx, account, number)
        told.append(str(caught.value).replace(str(number), "N"))
    assert told[0] == told[1]


def test_standing_is_looked_at_anew(pool: Pool, make_account: MakeAccount) -> None:
    make_account("admin", "admin")
    account, other = make_account("helper"), make_account("other")
    user_id, login = make_profile(pool, "Ada"), make_login(pool, account.account_id)

    def still(
        user: int | None = user_id, right: access.Right = "work", who: Account = account, login_id: int = login.login_id
    ) -> bool:
        try:
            with pool.transaction() as tx:
                access.require_still(tx, who, login_id, user, right)
        except (AccessError, NotFoundError):
            return False
        return True

    assert (still(None), still()) == (True, False)
    with pool.transaction() as tx:
        set_shares(tx, user_id, [account.account_id])
        accounts.record_failed_login(tx, "helper", datetime.now(UTC))  # somebody else tries a password
    assert (still(), still(right="own"), still(who=other)) == (True, False, False), "a login is of one account"
    with pool.transaction() as tx:
        end_login(tx, login)
    assert (still(), still(None)) == (False, False), "logged out"
    again_id = make_login(pool, account.account_id).login_id
    assert still(login_id=again_id), "the account's other login goes on"
    with pool.transaction() as tx:
        accounts.update_account(tx, account.account_id, role="viewer", disabled=False)
    assert (still(login_id=again_id), still(None, login_id=again_id)) == (False, False), "in another role"
    with pool.transaction() as tx:
        accounts.update_account(tx, account.account_id, role="researcher", disabled=True)
    assert not still(None, who=again(pool, account), login_id=again_id), "disabled, however it is known"
    others = make_login(pool, other.account_id)
    assert still(None, who=other, login_id=others.login_id)
    with pool.transaction() as tx:
        accounts.delete_account(tx, other.account_id)
    assert not still(None, who=other, login_id=others.login_id)


def test_share_is_added_once_and_ends_with_the_account(pool: Pool, make_account: MakeAccount) -> None:
    first, second = make_account("first"), make_account("second", "viewer")
    user_id = make_profile(pool, "Ada")
    with pool.transaction() as tx:
        for account in (first, second, second):
            access.add_share(tx, user_id, account.account_id)
        assert access.remove_share(tx, user_id, first.account_id)
        assert not access.remove_share(tx, user_id, first.account_id)
        assert access.list_shares(tx, user_id) == [second.account_id]
        accounts.delete_account(tx, second.account_id)
        assert access.list_shares(tx, user_id) == []
    with pytest.raises(ConflictError), pool.transaction() as tx:
        access.add_share(tx, user_id, second.account_id)


def test_profiles_of_a_deleted_account_stay_and_are_nobodys(pool: Pool, make_account: MakeAccount) -> None:
    owner = make_account("owner")
    user_id = make_profile(pool, "Ada", owner)
    with pool.transaction() as tx:
        accounts.delete_account(tx, owner.account_id)
        assert access.find_owner(tx, user_id) is None
        assert profiles.get_profile(tx, user_id).name == "Ada"


def test_read_only_pool_shows_everything_and_changes_nothing(pool: Pool) -> None:
    user_id = make_profile(pool, "Ada")
    looking = pool.read_only()
    with looking.transaction() as tx:
        assert [one.name for one in profiles.list_profiles(tx)] == ["Ada"]
    for change in (
        lambda tx: gestures.insert_gesture(tx, user_id, "fist", ""),
        lambda tx: profiles.delete_profile(tx, user_id),
        lambda tx: execute(tx, "SELECT ensure_sample_partition('2026-03-01')"),
    ):
        with pytest.raises(AccessError, match="read-only access"), looking.transaction() as tx:
            change(tx)
    with pool.transaction() as tx:  # the same connection, given to somebody who may
        gestures.insert_gesture(tx, user_id, "fist", "")


def test_last_admin_cannot_be_lost(pool: Pool, make_account: MakeAccount) -> None:
    first, second = make_account("first", "admin"), make_account("second", "admin")
    with pool.transaction() as tx:
        accounts.update_account(tx, second.account_id, role="admin", disabled=True)
    for attempt in (
        lambda tx: accounts.delete_account(tx, first.account_id),
        lambda tx: accounts.update_account(tx, first.account_id, role="viewer", disabled=False),
        lambda tx: accounts.update_account(tx, first.account_id, role="admin", disabled=True),
    ):
        with pytest.raises(ConflictError, match="this is the last admin"), pool.transaction() as tx:
            attempt(tx)
    with pool.transaction() as tx:
        accounts.update_account(tx, second.account_id, role="admin", disabled=False)
        accounts.delete_account(tx, first.account_id)


def test_login_is_found_by_both_of_its_secrets_only(pool: Pool, make_account: MakeAccount) -> None:
    account = make_account("ada", "viewer")
    made = new_login(pool, account.account_id)
    with pool.transaction() as tx:
        found = logins.find_by_secrets(tx, made.token, made.binding)
        assert found is not None
        assert (found.login_id, found.account_id) == (made.login.login_id, account.account_id)
        assert logins.find_by_secrets(tx, made.token, None) == found
        for token, binding in ((made.token, ""), (made.token, made.token), (made.binding, made.binding), ("", "")):
            assert logins.find_by_secrets(tx, token, binding) is None
        (row,) = rows(tx, "SELECT token_hash, binding_hash FROM logins")
        assert bytes(row.token_hash) == hashlib.sha256(made.token.encode()).digest()
        assert bytes(row.binding_hash) == hashlib.sha256(made.binding.encode()).digest()
        assert find_logged_in(tx, made.login) is not None
        assert find_logged_in(tx, Login(account.account_id + 1, made.login.login_id)) is None


def test_login_ends_for_itself_by_age_and_by_idleness(pool: Pool, make_account: MakeAccount) -> None:
    account = make_account("ada", "viewer")
    first, second, aged, idle = (make_login(pool, account.account_id) for _ in range(4))
    with pool.transaction() as tx:
        execute(tx, "UPDATE logins SET expires_at = now() WHERE login_id = %s", (aged.login_id,))
        execute(tx, "UPDATE logins SET idle_at = now() WHERE login_id = %s", (idle.login_id,))
        for _ in range(2):
            end_login(tx, first)
        assert [find_logged_in(tx, one) is None for one in (first, second, aged, idle)] == [True, False, True, True]
        logins.update_seen(tx, idle.login_id, 60)
        assert find_logged_in(tx, idle) is None, "whoever comes back too late is not let in by that"
        logins.update_seen(tx, second.login_id, 60)
        assert [one.login_id for one in logins.list_logins(tx, account.account_id)] == [second.login_id]
    make_login(pool, account.account_id)
    with pool.transaction() as tx:
        assert one(tx, "SELECT count(*) AS n FROM logins").n == 2, "those that have ended are forgotten"


def test_logins_of_an_account_are_bounded(
    pool: Pool, make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "MAX_LOGINS", 3)
    ada, bo = make_account("ada"), make_account("bo")
    others = make_login(pool, bo.account_id)
    made = [make_login(pool, ada.account_id).login_id for _ in range(5)]
    with pool.transaction() as tx:
        assert {one.login_id for one in logins.list_logins(tx, ada.account_id)} == set(made[-3:])
        assert find_logged_in(tx, others) is not None


def test_logins_end_with_password_log_out_and_disabling(pool: Pool, make_account: MakeAccount) -> None:
    account = make_account("ada", "researcher", passwords.hash_password(PASSWORD))
    make_account("admin", "admin")

    def holds(login: Login) -> bool:
        with pool.transaction() as tx:
            return find_logged_in(tx, login) is not None

    login, kept = make_login(pool, account.account_id), make_login(pool, account.account_id)
    with pool.transaction() as tx:
        accounts.update_hash(tx, account.account_id, "newer", before=account.password_hash)
        accounts.update_hash(tx, account.account_id, "of a password from before", before=account.password_hash)
        found = accounts.find_account(tx, "ada")
    assert found is not None
    assert found.password_hash == "newer"
    assert holds(login)
    with pool.transaction() as tx:
        new_hash = passwords.hash_password(PASSWORD)
        accounts.update_password(tx, account.account_id, new_hash, keep_login=kept.login_id)
    assert (holds(login), holds(kept)) == (False, True)
    with pool.transaction() as tx:
        accounts.update_password(tx, account.account_id, new_hash)
    assert not holds(kept)
    login = make_login(pool, account.account_id)
    with pool.transaction() as tx:
        assert logins.delete_logins(tx, account.account_id) == 1
    assert not holds(login)
    login = make_login(pool, account.account_id)
    with pool.transaction() as tx:
        accounts.update_account(tx, account.account_id, role="researcher", disabled=True)
    assert not holds(login)
    with pytest.raises(LoginError):
        verify_login(pool, "ada", PASSWORD, datetime.now(UTC))
    with pool.transaction() as tx:
        accounts.update_account(tx, account.account_id, role="researcher", disabled=False)
    assert not holds(login), "a login from before does not come back"
    assert verify_login(pool, "ada", PASSWORD, datetime.now(UTC)).login == "ada"


def test_proof_of_who_it_is_gets_old(pool: Pool, make_account: MakeAccount) -> None:
    login = make_login(pool, make_account("ada").account_id)
    with pool.transaction() as tx:
        assert logins.is_confirmed(tx, login.login_id, 60)
        execute(tx, "UPDATE logins SET confirmed_at = now() - interval '61 seconds'")
        assert not logins.is_confirmed(tx, login.login_id, 60)
        logins.update_confirmed(tx, login.login_id)
        assert logins.is_confirmed(tx, login.login_id, 60)
        end_login(tx, login)
        assert not logins.is_confirmed(tx, login.login_id, 60)
        with pytest.raises(NotFoundError):
            logins.update_confirmed(tx, login.login_id)


def test_asking_for_a_tokens_rights_keeps_nobody_else_of_it_waiting(pool: Pool, make_account: MakeAccount) -> None:
    with pool.transaction() as tx:
        token = api_tokens.insert_token(tx, make_account("ada").account_id, "laptop", ["read"]).text
    with pool.transaction() as asking:
        assert api_tokens.find_grant(asking, token, is_use=False) is not None
        with pool.transaction() as using:
            execute(using, "SET LOCAL lock_timeout = '2s'")
            assert api_tokens.find_grant(using, token) is not None
    with pool.transaction() as tx:
        assert rows(tx, "SELECT last_used_at FROM api_tokens")[0].last_used_at is not None


def test_token_is_stored_as_a_hash_and_stops_when_revoked(pool: Pool, make_account: MakeAccount) -> None:
    account, other = make_account("ada"), make_account("bo")
    with pool.transaction() as tx:
        token = api_tokens.insert_token(tx, account.account_id, "laptop", ["read"]).text
        (known,) = api_tokens.list_tokens(tx, account.account_id)
        assert known.last_used_at is None
        assert rows(tx, "SELECT token_hash FROM api_tokens")[0].token_hash.tobytes() == (
            hashlib.sha256(token.encode()).digest()
        )
        found = api_tokens.find_grant(tx, token)
        assert found is not None
        assert (found.account.login, found.scopes) == ("ada", {"read"})
        assert api_tokens.list_tokens(tx, account.account_id)[0].last_used_at is not None
        for wrong in ("", "semg_", token[:-1], token + "x", token.removeprefix("semg_")):
            assert api_tokens.find_grant(tx, wrong) is None
    with pytest.raises(ConflictError, match="already exists"), pool.transaction() as tx:
        api_tokens.insert_token(tx, account.account_id, "laptop", ["read"])
    with pytest.raises(NotFoundError), pool.transaction() as tx:
        api_tokens.delete_token(tx, other.account_id, known.token_id)
    with pool.transaction() as tx:
        api_tokens.delete_token(tx, account.account_id, known.token_id)
        assert api_tokens.find_grant(tx, token) is None


def test_token_stops_with_its_account(pool: Pool, make_account: MakeAccount) -> None:
    account = make_account("ada")
    with pool.transaction() as tx:
        token = api_tokens.insert_token(tx, account.account_id, "laptop", api_tokens.SCOPES).text
        accounts.update_account(tx, account.account_id, role="researcher", disabled=True)
        assert api_tokens.find_grant(tx, token) is None
        accounts.update_account(tx, account.account_id, role="researcher", disabled=False)
        assert api_tokens.find_grant(tx, token) is not None
        accounts.delete_account(tx, account.account_id)
        assert api_tokens.find_grant(tx, token) is None


@pytest.mark.parametrize(
    ("scopes", "days", "field"),
    [([], 90, "scopes"), (["read", "all"], 90, "scopes"), (["read"], 0, "days"), (["read"], 366, "days")],
)
def test_token_is_for_something_and_for_a_time(
    pool: Pool, make_account: MakeAccount, scopes: list[str], days: int, field: str
) -> None:
    account = make_account("ada")
    with pytest.raises(InvalidValueError, match=field), pool.transaction() as tx:
        api_tokens.insert_token(tx, account.account_id, "laptop", scopes, days)


def test_expired_token_is_refused_and_still_listed(pool: Pool, make_account: MakeAccount) -> None:
    account = make_account("ada")
    with pool.transaction() as tx:
        token = api_tokens.insert_token(tx, account.account_id, "laptop", ["read"], 1).text
        (known,) = api_tokens.list_tokens(tx, account.account_id)
        assert timedelta(hours=23) < known.expires_at - datetime.now(UTC) <= timedelta(days=1)
        assert api_tokens.find_grant(tx, token) is not None
        execute(tx, "UPDATE api_tokens SET expires_at = now()")
        assert api_tokens.find_grant(tx, token) is None
        assert [one.name for one in api_tokens.list_tokens(tx, account.account_id)] == ["laptop"]


def test_use_of_a_token_is_written_down_once_an_hour(pool: Pool, make_account: MakeAccount) -> None:
    account = make_account("ada")

    def use(aged_min: int) -> int:
        with pool.transaction() as tx:
            execute(
                tx,
                "UPDATE api_tokens SET last_used_at = last_used_at - make_interval(mins => %(aged)s), "
                "use_recorded_at = use_recorded_at - make_interval(mins => %(aged)s)",
                {"aged": aged_min},
            )
        with pool.transaction() as tx:
            assert api_tokens.find_grant(tx, token.text) is not None
        with pool.transaction() as tx:
            found = [one for one in audit.list_entries(tx) if one.action == "token.used"]
        assert {(one.who, one.counts["token"]) for one in found} == {("ada", token.token_id)}
        return len(found)

    with pool.transaction() as tx:
        token = api_tokens.insert_token(tx, account.account_id, "laptop", ["read"])
    assert [use(0), use(0), use(2), use(50), use(10), use(59)] == [1, 1, 1, 1, 2, 2]


def test_all_tokens_of_an_account_are_revoked_and_each_is_an_entry(pool: Pool, make_account: MakeAccount) -> None:
    account, other = make_account("ada"), make_account("bo")
    with pool.transaction() as tx:
        for name in ("laptop", "robot"):
            api_tokens.insert_token(tx, account.account_id, name, ["read"])
        kept = api_tokens.insert_token(tx, other.account_id, "laptop", ["read"])
        assert api_tokens.revoke_tokens(tx, account.account_id, audit.Actor("bo")) == 2
        assert api_tokens.list_tokens(tx, account.account_id) == []
        assert api_tokens.find_grant(tx, kept.text) is not None
        entries = [one for one in audit.list_entries(tx) if one.action == "token.revoked"]
    assert [(one.who, one.counts["account"]) for one in entries] == [("bo", account.account_id)] * 2


def test_reset_of_the_admins_password_revokes_the_admins_tokens(settings: Settings, pool: Pool) -> None:
    assert ensure_admin(settings) is not None
    with pool.transaction() as tx:
        admin = accounts.find_account(tx, "admin")
        assert admin is not None
        api_tokens.insert_token(tx, admin.account_id, "laptop", ["read"])
    assert ensure_admin(settings) is None
    with pool.transaction() as tx:
        assert len(api_tokens.list_tokens(tx, admin.account_id)) == 1
    assert ensure_admin(settings, reset=True) is not None
    with pool.transaction() as tx:
        assert api_tokens.list_tokens(tx, admin.account_id) == []
        assert {(one.who, one.action) for one in audit.list_entries(tx)} == {
            ("start", "account.password_changed"), ("start", "token.revoked"),
        }  # fmt: skip
