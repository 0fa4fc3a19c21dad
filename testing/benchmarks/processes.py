"""What the processes of a private system used."""

from __future__ import annotations

import psutil

NAMES = {
    "uvicorn": "api",
    "nat_inference.py": "nat_inference",
    "job_runner.py": "job_runner",
    "udpserver.py": "udpserver",
    "simulator.py": "simulator",
    "store_process": "store",
    "nats-server": "nats",
    "postgres": "postgres",
}
"""What a command line has in it, and what the process is called."""


def usage() -> dict[str, tuple[float, float]]:
    """Return CPU seconds and resident MB, by name, of the processes below this one that are of the system.

    Pages that processes share, as PostgreSQL's do, are divided among them (proportional set size).
    """
    found: dict[str, tuple[float, float]] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline()) or process.name()
            times, memory = process.cpu_times(), process.memory_full_info().pss / 2**20
        except psutil.Error:
            continue
        name = next((name for part, name in NAMES.items() if part in command), None)
        if name is not None:
            cpu, resident = found.get(name, (0.0, 0.0))
            found[name] = (cpu + times.user + times.system, resident + memory)
    return found
