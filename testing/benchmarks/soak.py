"""Many profiles stream for long; what the services hold must not grow.

    python testing/benchmarks/soak.py [--profiles 50] [--minutes 60] [--out FILE.json]

Starts an installation of its own under the real supervisor, with a model for every profile, a tenth of them boards
with signed datagrams, and somebody who looks at the app's numbers now and then. Memory, threads, open files and
connections of each service are compared between the first tenth of the time and the end: none may grow by more than
5 %. Every sample is compared with the journal at the end. Prints JSON; exit code 1 when something grew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing")]

from breaking import scenario  # noqa: E402 - after the path is set
from breaking.growth import Growth, Held, measured  # noqa: E402
from breaking.system import System, running  # noqa: E402

LOOK_EVERY_S = 5.0


def held_by(system: System) -> Held:
    """Return what the services and the embedded servers of a system hold."""
    supervisor = psutil.Process(system.state.pid)
    return measured(processes=supervisor.children(recursive=True))


def ask(system: System) -> None:
    """Ask for the API's numbers, as a monitoring does."""
    settings = system.settings
    headers = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
    asked = urllib.request.Request(f"{settings.internal_api_url}/metrics", headers=headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the API is on this machine
    with direct.open(asked, timeout=10) as answer:
        answer.read()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Stream for the whole time, and give what grew."""
    n_boards = options.profiles // 10
    with tempfile.TemporaryDirectory(prefix="semg-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (
            running(System(folder, journal_max_bytes=options.journal_mb << 20)) as system,
            scenario.streaming(system, options.profiles - n_boards, n_boards, options.rate_hz, options.hop_ms) as run_,
        ):
            growth = Growth(lambda: held_by(system))
            started, seconds = time.monotonic(), 60 * options.minutes
            series = []
            while (elapsed := time.monotonic() - started) < seconds:
                growth.look(elapsed / seconds)
                ask(system)
                if not series or elapsed - series[-1]["s"] > seconds / 12:
                    memory = {one: round(held["memory_mb"], 1) for one, held in held_by(system).items()}
                    series.append({"s": round(elapsed), **memory})
                time.sleep(LOOK_EVERY_S)
            judged = growth.judge()
            decided = sum(map(len, run_.decisions.heard.values()))
            run_.fleet.stop()
            run_.settle(300)
            return {
                "profiles": options.profiles,
                "minutes": options.minutes,
                "growth": judged,
                "memory_mb": series,
                "decisions": decided,
                "restarts": {unit.name: unit.restarts for unit in system.state.units},
                **run_.judge(),
            }


def main() -> int:
    """Run what the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate-hz", type=float, default=200.0)
    parser.add_argument("--hop-ms", type=float, default=100.0)
    parser.add_argument("--journal-mb", type=int, default=4096)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report = run(options)
    text = json.dumps(report, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 1 if report["growth"]["grown"] else 0


if __name__ == "__main__":
    sys.exit(main())
