"""Which build of PyTorch is taken: by the machine, by pip's own settings, by what the CPU index answers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from semg.platform.packages import torch_build
from semg.platform.packages.torch_build import CPU_INDEX, Machine, choose
from semg.settings import PROJECT_DIR

PC = Machine("linux", "x86_64", has_nvidia=False)


def never() -> bool:
    raise AssertionError("the CPU index was asked")


def test_cpu_build_is_taken_from_its_index_where_that_answers() -> None:
    taken = choose(PC, (), lambda: True)
    assert (taken.builds, taken.index) == (("torch-cpu",), CPU_INDEX)
    assert "CPU build (about 192 MB) from download.pytorch.org" in taken.sentence
    assert "no NVIDIA driver" in taken.sentence
    other = choose(PC, (), lambda: False)
    assert (other.builds, other.index) == (("torch",), None)
    assert "ordinary build (about 2.7 GB" in other.sentence
    assert "download.pytorch.org does not answer" in other.sentence


@pytest.mark.parametrize(
    ("machine", "sources", "builds", "said"),
    [
        (Machine("linux", "x86_64", has_nvidia=True), (), ("torch",), "NVIDIA's driver"),
        (Machine("linux", "aarch64", has_nvidia=False), (), ("torch-cpu", "torch"), "for aarch64"),
        (Machine("darwin", "arm64", has_nvidia=False), (), ("torch",), "for this system"),
        (PC, ("find-links",), ("torch-cpu", "torch"), "pip's own settings (find-links)"),
        (Machine("linux", "x86_64", has_nvidia=True), ("index-url",), ("torch-cpu", "torch"), "(index-url)"),
    ],
)
def test_index_is_not_asked_where_the_choice_does_not_depend_on_it(
    machine: Machine, sources: tuple[str, ...], builds: tuple[str, ...], said: str
) -> None:
    taken = choose(machine, sources, never)
    assert (taken.builds, taken.index) == (builds, None)
    assert said in taken.sentence
    assert taken.sentence.count("\n") == 0


@pytest.mark.parametrize(
    "trace", ["proc/driver/nvidia", "dev/nvidia0", "dev/nvidiactl", "usr/lib/wsl/lib/libcuda.so.1"]
)
def test_driver_is_found_by_its_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not torch_build.this_machine(tmp_path).has_nvidia
    (tmp_path / trace).parent.mkdir(parents=True)
    (tmp_path / trace).touch()
    assert torch_build.this_machine(tmp_path).has_nvidia


def test_sources_are_read_from_what_pip_is_set_up_with() -> None:
    config = (
        ":env:.default-timeout='180'\n:env:.find-links='/opt/wheels'\nglobal.extra-index-url='https://a.test/simple'\n"
        "install.extra-index-url='https://b.test'\nglobal.index-url=''\nglobal.cert='/etc/ssl/index-url='\n"
    )
    assert torch_build.sources_in(config) == ("find-links", "extra-index-url")
    assert torch_build.sources_in(":env:.constraint='c.txt'\n") == ("constraint",)
    assert torch_build.sources_in("global.timeout='5'\n") == ()


def test_lock_tells_which_version_the_index_has_to_list() -> None:
    locked = torch_build.locked((PROJECT_DIR / "requirements-torch-cpu.lock").read_text(encoding="utf-8"))
    assert locked.startswith("torch==")
    assert locked.endswith("+cpu")


def test_index_is_asked_by_pip_for_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "torch"
    page.mkdir()
    (page / "index.html").write_text('<a href="torch-9.0%2Bcpu-py3-none-any.whl">torch-9.0+cpu-py3-none-any.whl</a>')
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    pip = [sys.executable, "-m", "pip"]
    assert torch_build.lists(pip, tmp_path.as_uri(), "torch==9.0+cpu")
    assert not torch_build.lists(pip, tmp_path.as_uri(), "torch==9.1+cpu")
