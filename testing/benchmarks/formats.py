"""What files of each format cost: size, time and memory to write and to read, as a table.

    python testing/benchmarks/formats.py
    python testing/benchmarks/formats.py --minutes 60

Recordings of 8 channels at 1,000 Hz with whole numbers of 12 bits, as a converter gives them; each format in a process
of its own, so that its peak of memory is its own. LibEMG holds labelled samples: here all are.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np

from semg.formats import bids, registry
from semg.formats.neutral import About, Label, NeutralRecording, Portion
from semg.formats.registry import Found

RATE_HZ, CHANNELS, PORTION_S = 1000, 8, 120
KINDS = ("bdf", "bids", "xdf", "parquet", "hdf5", "libemg")
START_US = 1_767_614_400_000_000


def recording(minutes: float) -> NeutralRecording:
    """Return a recording that makes its samples when they are asked for, with a label every five seconds."""
    n = round(60 * minutes * RATE_HZ)

    def portions() -> Iterator[Portion]:
        rng = np.random.default_rng(0)
        for first in range(0, n, PORTION_S * RATE_HZ):
            index = np.arange(first, min(n, first + PORTION_S * RATE_HZ))
            noise = rng.standard_normal((len(index), CHANNELS))
            samples = np.clip(np.rint(2048 + 200 * noise), 0, 4095).astype(np.float32)
            yield Portion(START_US + 1000 * index, samples, index == 0, np.zeros(len(index), bool))

    labels = tuple(
        Label(gesture=("rest", "fist")[k % 2], number=k, start_us=START_US + 5_000_000 * k,
              end_us=START_US + 5_000_000 * (k + 1))
        for k in range(round(60 * minutes / 5))
    )  # fmt: skip
    about = About(
        channels=tuple(f"a{k}" for k in range(CHANNELS)), rate_hz=float(RATE_HZ), name="Benchmark", person="1",
        value_min=0.0, value_max=4095.0,
    )  # fmt: skip
    return NeutralRecording(about, labels, portions)


def measure(kind: str, folder: Path, minutes: float, step: str, out: Connection) -> None:
    """Write or read one format, and send how long it took and how much memory it had more than before."""
    made, target = recording(minutes), folder / kind
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    if step == "write" and kind == "bids":
        dataset = bids.Dataset(target, "Benchmark")
        dataset.add(made, "1")
        dataset.close()
    elif step == "write":
        registry.write(kind, made, target)  # type: ignore[arg-type]
    else:
        for read in registry.read(Found(target, kind)):  # type: ignore[arg-type]
            assert sum(len(portion.times_us) for portion in read.portions()) > 0
    took_s = time.monotonic() - started
    out.send((took_s, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    context = multiprocessing.get_context("spawn")
    print(f"{'format':<8} {'MB':>7} {'out s':>7} {'out MB':>7} {'in s':>7} {'in MB':>7}   of {minutes:g} minutes")
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            figures = []
            for step in ("write", "read"):
                ours, theirs = context.Pipe()
                process = context.Process(target=measure, args=(kind, Path(name), minutes, step, theirs))
                process.start()
                figures += ours.recv()
                process.join()
            target = Path(name) / kind
            files = [target] if target.is_file() else [one for one in target.rglob("*") if one.is_file()]
            size = sum(one.stat().st_size for one in files) / 1e6
            print(f"{kind:<8} {size:>7.1f} " + " ".join(f"{one:>7.2f}" if k % 2 == 0 else f"{one:>7.0f}"
                                                           for k, one in enumerate(figures)))  # fmt: skip


if __name__ == "__main__":
    main()
