"""Every decoder with random bytes, with altered good ones, and with what fuzzing by coverage has found."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.settings import PROJECT_DIR

SEEDS = PROJECT_DIR / "testing" / "fuzz" / "seeds"
MAX_SEEDS_BYTES = 1_000_000


def seeds_of(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((SEEDS / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_kept_seeds_are_survived(name: str) -> None:
    found = seeds_of(name)
    assert found
    for data in found:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_altered_seeds_are_survived(name: str) -> None:
    change = st.tuples(st.integers(0, 4096), st.integers(0, 3), st.binary(min_size=1, max_size=8))

    @settings(max_examples=120)
    @given(st.sampled_from(seeds_of(name)), st.lists(change, max_size=4))
    def survives(seed: bytes, changes: list[tuple[int, int, bytes]]) -> None:
        data = seed
        for place, cut, bytes_ in changes:
            at = place % (len(data) + 1)
            data = data[:at] + bytes_ + data[at + cut * len(bytes_) :]
        TARGETS[name](data)

    survives()


@pytest.mark.parametrize("name", TARGETS)
def test_random_bytes_are_survived(name: str) -> None:
    settings(max_examples=120)(given(st.binary(max_size=300))(TARGETS[name]))()


def test_seeds_stay_small() -> None:
    sizes = [path.stat().st_size for path in Path(SEEDS).rglob("*") if path.is_file()]
    assert sum(sizes) < MAX_SEEDS_BYTES
