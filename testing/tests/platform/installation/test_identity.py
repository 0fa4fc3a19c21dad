"""Which processes are ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from semg.platform.installation import identity

Spawn = Callable[..., psutil.Process]
SLEEP = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start programs that carry an installation's id; they are ended after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(installation: str, service: str, code: str = SLEEP) -> psutil.Process:
        marks = {identity.INSTALLATION_VARIABLE: installation, identity.SERVICE_VARIABLE: service}
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **marks}, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return psutil.Process(process.pid)

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_only_processes_with_the_same_id_are_found(spawn: Spawn) -> None:
    mine, other = spawn("installation-1", "api"), spawn("installation-2", "api")
    second = spawn("installation-1", "udpserver")
    assert set(identity.processes("installation-1")) == {mine, second}
    assert identity.processes("installation-1", "udpserver") == [second]
    assert identity.is_alive(other)


def test_process_that_ignores_the_polite_signal_is_ended(spawn: Spawn) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP
    process = spawn("installation-3", "api", deaf)
    assert identity.end([process], grace_s=0.2) == []
    assert not identity.is_alive(process)


def test_ended_process_that_nobody_collected_is_not_alive(spawn: Spawn) -> None:
    process = spawn("installation-4", "api")
    process.kill()  # its parent, this test, collects it only later
    assert identity.wait_gone([process], 5) == []
    assert process.status() == psutil.STATUS_ZOMBIE


def test_copied_folder_is_another_installation_and_a_moved_one_the_same(tmp_path: Path) -> None:
    first, copy, moved = tmp_path / "first", tmp_path / "copy", tmp_path / "moved"
    first.mkdir()
    made = identity.make_installation(first)
    assert identity.make_installation(first) == made
    shutil.copytree(first, copy)
    assert identity.find_installation(copy) is None
    assert identity.make_installation(copy) != made
    first.rename(moved)
    assert identity.find_installation(moved) == made


def test_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path, spawn: Spawn) -> None:
    code = f"""
from pathlib import Path
from semg.platform.installation.identity import folder_lock
with folder_lock(Path({str(tmp_path)!r}), wait=True):
    import time; print('up', flush=True); time.sleep(600)
"""
    holder = spawn("installation-5", "api", code)
    with identity.folder_lock(tmp_path, wait=False) as held:
        assert not held
    holder.kill()
    with identity.folder_lock(tmp_path, wait=True) as held:
        assert held
    assert list(tmp_path.iterdir()) == []


def test_caller_and_its_ancestors_are_never_among_the_found(spawn: Spawn) -> None:
    code = (
        "import subprocess, sys, time; print('up', flush=True);"
        "subprocess.run([sys.executable, '-c', 'import os; from semg.platform.installation.identity import processes;"
        'print(*(p.pid for p in processes("installation-6")), flush=True)\']); time.sleep(600)'
    )
    sibling = spawn("installation-6", "udpserver")
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, identity.INSTALLATION_VARIABLE: "installation-6", identity.SERVICE_VARIABLE: "shell"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert process.stdout.readline() == f"{sibling.pid}\n"
    finally:
        process.kill()
        process.communicate()
