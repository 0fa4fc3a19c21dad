"""Fuzz decoders by coverage.

    python testing/fuzz/run.py [--targets text_datagram,…] [--runs 100000] [--seconds 60]

Each target runs in a process of its own with atheris (``pip install -r testing/fuzz/requirements.txt``), begins with
the seeds in ``testing/fuzz/seeds/<target>``, and ends after so many runs or seconds, whichever comes first. Exit code 1
and the input's file for a crash, a hang of 10 s, or more than 2 GB of memory. Prints JSON: runs and memory of each.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing")]
SEEDS = Path(__file__).parent / "seeds"
MEMORY_MB, HANG_S = 2048, 10


def fuzz_here(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, until the fuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["semg", "fuzz"]):
        from fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def fuzz(name: str, folder: Path, runs: int, seconds: int) -> dict[str, object]:
    """Fuzz one target in a process of its own, and give what it told."""
    corpus = folder / name
    corpus.mkdir()
    (SEEDS / name).mkdir(exist_ok=True, parents=True)
    options = [
        f"-runs={runs}", f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={HANG_S}",
        f"-artifact_prefix={folder}/", "-print_final_stats=1", "-max_len=4096", str(corpus), str(SEEDS / name),
    ]  # fmt: skip
    told = _run(name, options)
    found = dict(re.findall(r"stat::(\w+):\s+(\d+)", told.stderr))
    summary = {
        "runs": int(found.get("number_of_executed_units", 0)),
        "memory_mb": int(found.get("peak_rss_mb", 0)),
        "found_inputs": len(list(corpus.iterdir())),
    }
    return summary if told.returncode == 0 else {**summary, "failed": told.stderr[-3000:]}


def _run(name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, __file__, "--here", name, *arguments]
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
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="semg-fuzz-"))
    report = {}
    for name in options.targets.split(","):
        report[name] = fuzz(name, folder, options.runs, options.seconds)
        print(json.dumps({name: report[name]}), flush=True)
    failed = any("failed" in one for one in report.values())
    if failed:
        print(f"The inputs are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
