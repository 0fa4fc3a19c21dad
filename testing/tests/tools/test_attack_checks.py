"""The checks of ``testing/attack.py`` can fail: each is run against what stands open on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from semg.platform.servers import embedded
from semg.security import audit_chain
from semg.security.audit_chain import ChainVerdict
from semg.settings import Settings
from semg.store import accounts, audit
from semg.store.pool import Pool
from testing import attack
from testing.attacks import (
    browser,
    chromium,
    description,
    downloads,
    files,
    gateway,
    imports,
    internet,
    logins,
    origins,
    policy,
    servers,
    sessions,
)
from testing.attacks.canary import Canary
from testing.attacks.findings import Finding, NotTried, judged
from testing.attacks.imports import Cost
from testing.attacks.means import Limits
from testing.attacks.own_system import FORMULA
from testing.attacks.runner import CLEAR, GROUPS, OPEN, UNTRIED, findings, run
from testing.attacks.target import Target
from testing.kits.open_server import OpenServer

pytestmark = pytest.mark.slow


@pytest.fixture
def canary() -> Iterator[Canary]:
    with Canary().listening() as made:
        yield made


@pytest.fixture
def server() -> Iterator[OpenServer]:
    with OpenServer().serving() as made:
        yield made


@pytest.fixture
def target(server: OpenServer, canary: Canary) -> Target:
    """The open server, as a given system."""
    return Target(url=server.url, api_url=server.url, canary=canary, login="ada", password="x", limits=Limits())


def shut(found: Iterator[Finding]) -> list[str]:
    """What was found shut, or not tried."""
    return [f"{one.outcome} {one.asked}: {one.answered}" for one in found if one.outcome != "OPEN"]


@pytest.mark.parametrize("group", [gateway, description, downloads, sessions, origins])
def test_every_check_of_a_group_fails_on_a_server_that_is_open(group: ModuleType, target: Target) -> None:
    found = list(findings(group, target))
    assert len(found) > 7
    assert shut(iter(found)) == []


def test_policy_that_is_missing_is_open(target: Target) -> None:
    assert shut(policy.policy_of(target, "/login")) == []


def test_origin_that_holds_the_app_up_is_open(server: OpenServer, target: Target) -> None:
    server.asks_outside = True
    assert shut(internet.attack(target)) == []


def test_passwords_that_may_be_tried_for_ever_are_open(target: Target) -> None:
    assert shut(logins.spraying(target)) == []


@pytest.mark.browser
def test_page_of_another_port_reaches_an_open_server(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "log_in", lambda page, *_: page.goto(target.url))
    found = {one.asked.rpartition(" ")[2]: one.outcome for one in browser.another_port(target)}
    assert (found["socket"], found["guessed"]) == ("OPEN", "OPEN")


@pytest.mark.parametrize(
    "cost",
    [
        Cost(imports.SLOW_S, 0, 0, "refused"),
        Cost(0.1, imports.MOST_BYTES, 0, "refused"),
        Cost(0.1, 0, 1, "stored"),
        Cost(0.1, 0, 0, ""),
    ],
    ids=["slow", "large", "stored", "silent"],
)
def test_file_that_costs_much_or_is_taken_is_open(cost: Cost) -> None:
    assert imports.judge(cost, "x", True).outcome == "OPEN"
    assert imports.judge(Cost(0.1, 0, 0, "refused"), "x", True).outcome == "ok"


def test_files_that_are_sent_are_what_they_say() -> None:
    import gzip

    from semg.capture.prompt_decoder import count_scans

    assert gzip.decompress(imports.rows(10, 5)).decode().splitlines()[1] == "0,0,0,open,0"
    made = imports.bomb(8 << 20)
    assert len(made) < 50_000
    assert len(gzip.decompress(made)) > 8 << 20
    assert count_scans(imports.progressive(5000)) == 5000


def test_open_files_and_cells_are_found(tmp_path: Path) -> None:
    for mode, outcome in ((0o644, "OPEN"), (0o640, "OPEN"), (0o600, "ok")):
        log = tmp_path / f"{mode:o}.log"
        log.touch(mode=mode)
        log.chmod(mode)
        assert [one.outcome for one in files.modes([log])] == [outcome]
    assert files.cells_of({"fist", FORMULA}).outcome == "OPEN"
    assert files.cells_of({"fist", f"'{FORMULA}", "+cmd"}).outcome == "OPEN"
    assert files.cells_of({"fist"}).outcome == "OPEN", "the label is not there: nothing was proved"
    assert files.cells_of({"-12.5", f"'{FORMULA}"}).outcome == "ok"


def test_monitoring_that_answers_is_found(canary: Canary) -> None:
    assert servers.monitoring([canary.port]).outcome == "OPEN"
    assert servers.monitoring([]).outcome == "OPEN", "no server: nothing was proved"
    assert servers.monitoring([embedded.free_port()]).outcome == "ok"


def test_postgres_of_another_ones_user_is_found() -> None:
    outcomes = [servers.system_user(users).outcome for users in ({"nobody"}, {"root"}, set(), {"semg-postgres"})]
    assert outcomes == ["OPEN", "OPEN", "OPEN", "ok"]


def test_secret_in_a_log_is_found(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "0123456789abcdef")
    assert [one.outcome for one in files.queries(target, tmp_path)] == ["OPEN"], "no log: nothing was proved"
    (tmp_path / "api.log").write_text("GET /login?token=0123456789abcdef")
    assert [one.outcome for one in files.queries(target, tmp_path)] == ["OPEN"]
    (tmp_path / "api.log").write_text("GET /login")
    assert [one.outcome for one in files.queries(target, tmp_path)] == ["ok"]


@pytest.mark.servers
def test_rights_of_an_owner_are_found(settings: Settings) -> None:
    owner, password = settings.postgres_owner
    mine = settings.model_copy(update={"postgres_user": owner, "postgres_password": settings.postgres_owner_password})
    assert password
    pool = Pool(mine, size=1, name="open")
    try:
        found = {one.asked: one.outcome for one in servers.roles(mine, pool)}
    finally:
        pool.close()
    for statement in ("CREATE TABLE taken (x int)", "DROP TABLE audit_entries", "TRUNCATE profiles"):
        assert found[f"services' role: {statement}"] == "OPEN", found


@pytest.mark.servers
def test_log_that_was_changed_is_found_and_a_check_that_finds_nothing_is_too(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pool.transaction() as tx:
        accounts.insert_account(tx, "ada", "")
    for number in range(3):
        with pool.transaction() as tx:
            audit.record(tx, audit.Actor("ada"), "profile.changed", number + 1)
    assert [one.outcome for one in logins.chain(settings, pool)] == ["ok", "ok", "ok"]
    assert next(logins.chain(settings, pool)).outcome == "OPEN", "it is changed by now"
    monkeypatch.setattr(audit_chain, "verify", lambda tx: ChainVerdict(3, 1, 3))
    assert list(logins.chain(settings, pool))[2].outcome == "OPEN"


def of(*found: Finding, ends: Exception | None = None) -> SimpleNamespace:
    """A group that finds this."""

    def attack(target: Target) -> Iterator[Finding]:
        yield from found
        if ends is not None:
            raise ends

    return SimpleNamespace(TITLE="a group", attack=attack)


GOOD, BAD = judged(True, "a door", "shut"), judged(False, "a door", "ajar")


@pytest.mark.parametrize(
    ("group", "code", "said"),
    [
        (of(GOOD), CLEAR, "All clear: 1 checks."),
        (of(GOOD, BAD), OPEN, "1 of 2 stood open."),
        (of(GOOD, ends=NotTried("no browser")), UNTRIED, "x: no browser"),
        (of(BAD, ends=NotTried("no browser")), OPEN, "x: no browser"),
        (of(GOOD, ends=ConnectionResetError("gone")), UNTRIED, "ConnectionResetError: gone"),
        (of(GOOD, ends=LookupError("nobody listens")), UNTRIED, "nobody listens"),
    ],
    ids=["clear", "open", "untried", "both", "broken off", "missing"],
)
def test_exit_code_says_what_was_found(
    target: Target, monkeypatch: pytest.MonkeyPatch, group: ModuleType, code: int, said: str
) -> None:
    monkeypatch.setitem(GROUPS, "x", group)
    lines: list[str] = []
    assert run(target, ["x"], lines.append) == code
    assert said in "\n".join(lines)


def test_system_that_is_not_there_is_not_all_clear(canary: Canary) -> None:
    url = f"http://127.0.0.1:{embedded.free_port()}"
    lines: list[str] = []
    target = Target(url=url, api_url=url, canary=canary)
    assert run(target, ["gateway"], lines.append) == UNTRIED
    assert "was not attacked" in lines[0]


def test_attack_ends_when_it_has_asked_enough(server: OpenServer, canary: Canary) -> None:
    for limits in (Limits(requests=7), Limits(seconds=0.0)):
        target = Target(url=server.url, api_url=server.url, canary=canary, login="ada", limits=limits)
        for name in ("gateway", "origins", "internet"):
            found = list(findings(GROUPS[name], target))
            assert found[-1].outcome == "untried", name
            assert "more than" in found[-1].answered


def test_systems_of_others_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert [attack.is_loopback(url) for url in ("http://127.0.0.1:1", "https://localhost", "http://[::1]:2")] == [
        True
    ] * 3
    for url in ("https://192.0.2.7", "http://127.0.0.1.evil.invalid", "file:///etc/passwd", "127.0.0.1", "http://"):
        assert not attack.is_loopback(url)
        with pytest.raises(SystemExit) as ended:
            attack.main(["--url", url])
        assert ended.value.code == 2
        assert "not on this machine's loopback" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        attack.main(["--only", "everything"])


def test_line_shows_no_control_characters_and_has_an_end() -> None:
    line = str(judged(False, "GET \x1b[2J\n/x", "y" * 500))
    assert line.startswith("  OPEN    GET ·[2J /x: yyy")
    assert len(line) < 250
    assert line.isprintable()
