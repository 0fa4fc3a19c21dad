"""The locks: what requirements.txt names, whole, with hashes, and no way around them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import lock
import pytest

from semg.settings import PROJECT_DIR

FILES = [*(one.path for one in lock.LOCKS), "requirements.txt", "testing/requirements.txt", "testing/torch-cpu.sha256"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "testing").mkdir()
    for name in FILES:
        shutil.copy(PROJECT_DIR / name, tmp_path / name)
    return tmp_path


def change(path: Path, pattern: str, by: str) -> None:
    text = path.read_text()
    assert re.search(pattern, text, re.MULTILINE)
    path.write_text(re.sub(pattern, by, text, count=1, flags=re.MULTILINE))


def test_locks_agree_with_the_requirements() -> None:
    assert lock.check() == []


def test_locks_name_no_index_and_no_address() -> None:
    for one in lock.LOCKS:
        text = (PROJECT_DIR / one.path).read_text()
        assert "://" not in text
        assert not re.search(r"^\s*-(?!-hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)


def test_packages_of_this_environment_are_the_locked_ones() -> None:
    from importlib import metadata

    from packaging.markers import Marker

    locked = {
        pin.name: pin.version
        for one in (lock.MAIN, lock.TESTS)
        for pin in lock.read((PROJECT_DIR / one.path).read_text())
        if not pin.marker or Marker(pin.marker).evaluate()
    }
    found = {lock.normalise(one.metadata["Name"]): one.version for one in metadata.distributions()}
    assert {name: found[name] for name in locked if name in found} == {
        name: version for name, version in locked.items() if name in found
    }
    assert len(locked.keys() & found.keys()) > 80


@pytest.mark.parametrize(
    ("name", "pattern", "by", "said"),
    [
        ("requirements.txt", r"^numpy==.*$", "numpy==1.0.0", "lack numpy 1.0.0"),
        ("requirements.txt", r"\Z", "\nnew-package==1.0\n", "lack new-package"),
        ("testing/requirements.txt", r"^pytest==.*$", "pytest==1.0", "lack pytest 1.0"),
        ("requirements.lock", r"^orjson==(\S+) (?:\\\n    --hash=\S+ ?)+", r"orjson==\1", "orjson has no hash"),
        ("requirements.lock", r"^orjson==", "--extra-index-url https://elsewhere.example\norjson==", "no place there"),
        ("testing/requirements.lock", r"^attrs==\S+", "attrs==1.0", "in another lock"),
        ("requirements-torch.lock", r"^triton==", "orjson==3.13.0 --hash=sha256:" + "0" * 64 + "\ntriton==", "belongs"),
        ("requirements-torch-cpu.lock", r"sha256:.{8}", "sha256:00000000", "is not what"),
    ],
)
def test_what_does_not_agree_is_told(copy: Path, name: str, pattern: str, by: str, said: str) -> None:
    assert lock.check(copy) == []
    change(copy / name, pattern, by)
    assert [problem for problem in lock.check(copy) if said in problem], lock.check(copy)


def test_torch_of_an_unknown_version_asks_for_its_builds(copy: Path) -> None:
    change(copy / "requirements-torch.lock", r"^torch==\S+", "torch==99.0")
    with pytest.raises(ValueError, match=r"no build of torch 99\.0"):
        lock.check(copy)
