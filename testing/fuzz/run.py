"""Fuzz decoders by coverage.

    python testing/fuzz/run.py [--targets text_datagram,…] [--runs 100000] [--seconds 60] [--keep]

Each target runs in a process of its own with atheris (``pip install -r testing/fuzz/fuzz-requirements.txt``), begins
with
the seeds in ``testing/fuzz/seeds/<target>``, and ends after so many runs or seconds, whichever comes first. Exit code 1
and the input's file for a crash, a hang of 10 s, or more than 2 GB of memory. Prints JSON: runs and memory of each.
With ``--keep``, the fewest and smallest found inputs that reach what the seeds do not become seeds.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing")]
SEEDS = Path(__file__).parent / "seeds"
MEMORY_MB, HANG_S, MAX_BYTES = 2048, 10, 4096


def fuzz_here(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, until the fuzzer ends it.

    Parameters
    ----------
    arguments
        The fuzzer's, after the command by which it starts itself again when it merges.
    """
    import atheris

    with atheris.instrument_imports(include=["semg", "fuzz", "jwt"]):
        from fuzz.targets import TARGETS
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


def fuzz(name: str, folder: Path, runs: int, seconds: int) -> dict[str, object]:
    """Fuzz one target in a process of its own, and give what it told."""
    corpus = folder / name
    corpus.mkdir()
    (SEEDS / name).mkdir(exist_ok=True, parents=True)
    told = _run(
        name,
        folder,
        (f"-runs={runs}", f"-max_total_time={seconds}", "-print_final_stats=1", str(corpus), str(SEEDS / name)),
    )
    found = dict(re.findall(r"stat::(\w+):\s+(\d+)", told.stderr))
    summary = {
        "runs": int(found.get("number_of_executed_units", 0)),
        "memory_mb": int(found.get("peak_rss_mb", 0)),
        "found_inputs": len(list(corpus.iterdir())),
    }
    return summary if told.returncode == 0 else {**summary, "failed": told.stderr[-3000:]}


def keep(name: str, folder: Path) -> None:
    """Add to a target's seeds the fewest and smallest of what was found that reach what the seeds do not."""
    told = _run(name, folder, ("-merge=1", str(SEEDS / name), str(folder / name)))
    if told.returncode:
        raise SystemExit(f"{name}: the seeds stay as they are, merging failed:\n{told.stderr[-3000:]}")


def _run(name: str, folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    limits = (f"-rss_limit_mb={MEMORY_MB}", f"-timeout={HANG_S}", f"-max_len={MAX_BYTES}")
    again = folder / f"{name}.sh"
    again.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, __file__, "--here", name])} "$0" "$@"\n')
    again.chmod(0o700)
    command = [again, f"-artifact_prefix={folder}/", *limits, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")  # noqa: S603 - own


def main() -> int:
    """Fuzz what the command line asks for."""
    if sys.argv[1:2] == ["--here"]:
        fuzz_here(sys.argv[2], sys.argv[3:])
        return 0
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", default=",".join(TARGETS), help="comma separated")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="add the smallest inputs that reach more to the seeds")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="semg-fuzz-"))
    report = {}
    for name in options.targets.split(","):
        report[name] = fuzz(name, folder, options.runs, options.seconds)
        if options.keep and "failed" not in report[name]:
            keep(name, folder)
        print(json.dumps({name: report[name]}), flush=True)
    failed = any("failed" in one for one in report.values())
    if failed:
        print(f"The inputs are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
