"""Damaged files of every format end in a sentence, whatever was changed in them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from semg.errors import RecordingError
from semg.formats import registry
from semg.formats.neutral import ReadLimits, ReadOptions
from semg.formats.registry import Found, InKind
from testing.kits.neutral_kit import outside, simple

OPTIONS = ReadOptions(rate_hz=200.0, limits=ReadLimits(rows=10**6, values=10**7, labels=10_000))


def whole(kind: InKind, path: Path) -> bytes:
    if kind == "ninapro":
        labels = np.arange(60)[:, None] // 20
        content = {"emg": np.zeros((60, 3), np.float32), "restimulus": labels, "rerepetition": labels, "exercise": 1}
        savemat(path, content, do_compression=False)
    else:
        registry.write(kind, simple(n=60), path)  # type: ignore[arg-type]
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["bdf", "xdf", "parquet", "hdf5", "ninapro"])
def test_damage_ends_in_a_sentence(tmp_path: Path, kind: InKind) -> None:
    outside("h5py") if kind == "hdf5" else None
    path = tmp_path / "r"
    content = whole(kind, tmp_path / "r.mat" if kind == "ninapro" else path)
    path = tmp_path / "r.mat" if kind == "ninapro" else path

    @settings(max_examples=60)
    @given(
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
        st.booleans(),
    )
    def damaged(changes: list[tuple[float, int]], is_cut: bool) -> None:
        changed = bytearray(content)
        for where, value in changes:
            changed[int(where * len(changed))] = value
        path.write_bytes(changed[: int(changes[0][0] * len(changed))] if is_cut else changed)
        with contextlib.suppress(RecordingError):
            for got in registry.read(Found(path, kind), OPTIONS):
                list(got.portions())

    damaged()
