"""Recordings of every shape that formats are tried with, and what a round trip keeps of them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from semg.formats.labelling import index_of
from semg.formats.neutral import About, Label, NeutralRecording, Portion, even_times_us

NAMES = ("rest", "fist", "daumen hoch", "Größe ☝", "手を握る", "=1+1", "BAD_one", "a, b; c")
START_US = 1_767_614_400_123_456
RATES = (50.0, 64.0, 200.0, 333.0, 1000.0, 1111.5, 2000.0)


@st.composite
def recordings(draw: st.DrawFn, *, names: tuple[str, ...] = NAMES, with_late: bool = True) -> NeutralRecording:
    """Return recordings of 1 to 16 channels at 50 to 2,000 Hz, in portions, with gaps, labels and late samples."""
    channels = draw(st.integers(1, 16))
    rate_hz = draw(st.sampled_from(RATES))
    runs = draw(st.lists(st.tuples(st.integers(1, 90), st.integers(2, 300)), min_size=1, max_size=5))
    whole = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    index, starts, at = [], [], 0
    for n, gap in runs:
        index.append(np.arange(at, at + n))
        starts.append(np.arange(n) == 0)
        at += n + gap
    position, starts_run = np.concatenate(index), np.concatenate(starts)
    n = len(position)
    samples = rng.integers(0, 4096, (n, channels)) if whole else 2.5e-3 * rng.standard_normal((n, channels))
    late = np.zeros(n, bool)
    if with_late and len(runs) > 2 and draw(st.booleans()):
        late[len(index[0]) : len(index[0]) + len(index[1])] = True
    times_us = even_times_us(position, rate_hz, START_US)
    edges = sorted(draw(st.sets(st.integers(0, at), max_size=8)))
    labels = tuple(
        Label(
            gesture=draw(st.sampled_from(names)), number=number, excluded=excluded, reason="moved" if excluded else "",
            start_us=int(even_times_us(np.array(since), rate_hz, START_US)),
            end_us=int(even_times_us(np.array(until), rate_hz, START_US)),
        )
        for number, (since, until) in enumerate(zip(edges[::2], edges[1::2], strict=False))
        for excluded in [draw(st.booleans())]
    )  # fmt: skip
    about = About(
        channels=tuple(f"a{k}" for k in range(channels)), rate_hz=rate_hz, name="Monday 1", person="P-7KQX3M",
        sensor=draw(st.sampled_from(("raw", "envelope"))), unit="" if whole else "mV",
        value_min=0.0 if whole else None, value_max=4095.0 if whole else None,
    )  # fmt: skip
    cuts = sorted(draw(st.sets(st.integers(1, max(1, n - 1)), max_size=3)))
    parts = [Portion(*(a[s] for a in (times_us, samples.astype(np.float32), starts_run, late)))
             for s in map(slice, [0, *cuts], [*cuts, n]) if s.start < s.stop]  # fmt: skip
    return NeutralRecording(about, labels, lambda: iter(parts))


def simple(
    *,
    n: int = 500,
    channels: int = 3,
    rate_hz: float = 200.0,
    gap: int = 30,
    unit: str = "",
    names: tuple[str, ...] = NAMES,
) -> NeutralRecording:
    """Return a recording of whole numbers with one gap in its middle, and four labels, the second one excluded."""
    position = np.arange(n)
    position[n // 2 :] += gap
    times_us = even_times_us(position, rate_hz, START_US)
    edges = even_times_us(np.arange(5) * n // 4, rate_hz, START_US)
    labels = tuple(
        Label(gesture=names[k % len(names)], number=k, start_us=int(since), end_us=int(until), excluded=k == 1,
              reason="slipped" if k == 1 else "")
        for k, (since, until) in enumerate(zip(edges, edges[1:], strict=False))
    )  # fmt: skip
    samples = np.random.default_rng(0).integers(0, 4096, (n, channels)).astype(np.float32)
    starts_run = np.isin(np.arange(n), (0, n // 2))
    about = About(
        channels=tuple(f"a{k}" for k in range(channels)), rate_hz=rate_hz, name="Monday 1", person="P-7KQX3M",
        unit=unit, value_min=0.0, value_max=4095.0,
    )  # fmt: skip
    portion = Portion(times_us, samples, starts_run, np.zeros(n, bool))
    return NeutralRecording(about, labels, lambda: iter((portion,) if n else ()))


def joined(recording: NeutralRecording) -> Portion:
    """Return all samples of a recording as one portion."""
    parts = list(recording.portions())
    return Portion(
        np.concatenate([one.times_us for one in parts]),
        np.concatenate([one.samples for one in parts]),
        np.concatenate([one.starts_run for one in parts]),
        np.concatenate([one.late for one in parts]),
    )


def live(recording: NeutralRecording) -> Portion:
    """Return the samples that were part of the live signal."""
    all_of_them = joined(recording)
    kept = ~all_of_them.late
    return Portion(*(getattr(all_of_them, name)[kept] for name in ("times_us", "samples", "starts_run", "late")))


def label_rows(recording: NeutralRecording, *, with_excluded: bool = True) -> list[tuple[str, int, bool, str] | None]:
    """Return what each live sample is labelled as."""
    labels = [one for one in recording.labels if with_excluded or not one.excluded]
    said = [(one.gesture, one.number, one.excluded, one.reason) for one in labels]
    owner = index_of(live(recording).times_us, labels)
    return [said[index] if index >= 0 else None for index in owner.tolist()]


def assert_same(
    given: NeutralRecording,
    got: NeutralRecording,
    *,
    step: float = 0.0,
    time_us: float = 1.0,
    with_excluded: bool = True,
) -> None:
    """Assert that a round trip kept the live samples, their times, their gaps and their labels."""
    before, after = live(given), live(got)
    assert got.about.channels == given.about.channels
    assert got.about.rate_hz == given.about.rate_hz or abs(got.about.rate_hz / given.about.rate_hz - 1) < 1e-6
    assert after.samples.shape == before.samples.shape
    assert np.abs(after.samples - before.samples).max(initial=0) <= step
    assert np.abs(after.times_us - before.times_us).max(initial=0) <= time_us
    assert label_rows(got, with_excluded=with_excluded) == label_rows(given, with_excluded=with_excluded)
    if len(before.times_us):
        assert np.array_equal(after.starts_run[1:], before.starts_run[1:])


def outside(name: str) -> Any:
    """Return a reader of somebody else's, or skip the test where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        if os.environ.get("REQUIRE_ALL") == "1":
            raise
        pytest.skip(f"{name} is not installed: testing/requirements.lock has it")


def validated(folder: Path) -> list[dict[str, Any]]:
    """Return what the BIDS validator says of a folder; skip the test where it is not installed."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("bids-validator-deno", path=beside)
    if found is None:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail("REQUIRE_ALL=1, but bids-validator-deno is not installed")
        pytest.skip("bids-validator-deno is not installed: testing/requirements.lock has it")
    done = subprocess.run([found, str(folder), "--json"], capture_output=True, text=True, check=False)
    issues: list[dict[str, Any]] = json.loads(done.stdout)["issues"]["issues"]
    return issues
