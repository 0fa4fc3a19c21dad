"""A system whose parts are killed, held, starved and misled while 200 profiles stream; what became of the data.

    python testing/benchmarks/faults.py [--profiles 200] [--outage-s 60] [--only kills,outages,disks,clock,devices]

Each part starts an installation of its own under the real supervisor, with embedded servers that sync to disk, and
lets every profile stream (a tenth of them signed datagrams) with a model each. Afterwards every sample of the journal
is compared by value with what is stored, the stored times with the times of sending, and the labels of a capture that
ran meanwhile with its plan. The disks that run full are small ones in a mount name space of their own (root, Linux);
the clock that is set is udpserver's alone (libfaketime). Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "testing")]

from breaking import devices, scenario  # noqa: E402 - after the path is set
from breaking.system import SERVERS, SERVICES, STORE, System, find_faketime, namespaces_work, running  # noqa: E402

HOUR_S = 3600.0
SETTLE_S = 3.0


def through(system: System, options: argparse.Namespace, faults: Callable[[scenario.Scenario], None]) -> dict[str, Any]:
    """Stream through a system while faults happen, and give what they did."""
    n_boards = options.profiles // 10
    with (
        running(system),
        scenario.streaming(system, options.profiles - n_boards, n_boards, options.rate_hz, options.hop_ms) as run,
    ):
        session = scenario.begin_capture(run.fleet.pool, run.fleet.text_ids[0], options.capture_s)
        faults(run)
        time.sleep(SETTLE_S)
        run.fleet.stop()
        stored_s = run.settle(600)
        return {
            "faults": run.report,
            "caught_up_s": round(stored_s, 2),
            **run.judge(),
            **scenario.judge_labels(run.fleet, session),
            "restarts": {unit.name: unit.restarts for unit in system.state.units},
        }


def kills(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Kill every part."""

    def faults(run: scenario.Scenario) -> None:
        for name in (*SERVICES, STORE, *SERVERS):
            run.kill(name)
            time.sleep(SETTLE_S)

    return through(System(folder, journal_max_bytes=2 << 30), options, faults)


def outages(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Let the servers be away, and hang."""
    system = System(folder, journal_max_bytes=2 << 30)

    def faults(run: scenario.Scenario) -> None:
        run.break_for("down", "postgres", system.down, options.outage_s)
        run.break_for("hangs", "postgres", system.held, options.outage_s / 4)
        run.break_for("down", "nats", system.down, options.outage_s / 4)
        run.break_for("hangs", "nats", system.held, options.outage_s / 4)

    return through(system, options, faults)


def disks(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fill the database's disk, then the journal's."""
    if not namespaces_work():
        return {"skipped": "no mount name space can be made here"}
    system = System(folder, small_disks={"postgres": 700, "nats": 700}, journal_max_bytes=256 << 20)

    def faults(run: scenario.Scenario) -> None:
        for name in SERVERS:
            run.break_for("disk full", name, system.full_disk, options.outage_s / 4)
            time.sleep(SETTLE_S)

    return through(system, options, faults)


def clock(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Set udpserver's clock an hour forward, back, an hour back, and right again."""
    if find_faketime() is None:
        return {"skipped": "libfaketime is not there: apt-get install libfaketime"}
    system = System(folder, faked_clock=True, journal_max_bytes=2 << 30)

    def faults(run: scenario.Scenario) -> None:
        for step in (HOUR_S, 0.0, -HOUR_S, 0.0):
            run.step_clock(step, options.outage_s / 4)

    return through(system, options, faults)


def unruly_devices(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Let devices start anew, wrap, repeat, reorder and lose."""
    with running(System(folder)) as system:
        return devices.run(system, options.device_samples)


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "kills": kills,
    "outages": outages,
    "disks": disks,
    "clock": clock,
    "devices": unruly_devices,
}


def main() -> int:
    """Run the parts that the command line asks for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=200)
    parser.add_argument("--rate-hz", type=float, default=100.0)
    parser.add_argument("--hop-ms", type=float, default=200.0)
    parser.add_argument("--outage-s", type=float, default=60.0, help="of PostgreSQL; the others last a quarter of it")
    parser.add_argument("--capture-s", type=float, default=60.0)
    parser.add_argument("--device-samples", type=int, default=20_000)
    parser.add_argument("--only", default=",".join(PARTS), help="comma separated")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {}
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory(prefix="semg-faults-") as folder:
            Path(folder).chmod(0o755)
            found[name] = PARTS[name](Path(folder), options)
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
