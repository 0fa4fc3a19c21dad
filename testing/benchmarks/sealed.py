"""What encryption at rest costs: writing, reading and ranges of an encrypted file, beside a plain one.

``python sealed.py --megabytes 200``
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.security.encrypted_files import Vault  # noqa: E402 - after the path is set

PIECE = 64 << 10


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU time of a piece of work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--ranges", type=int, default=2000)
    options = parser.parse_args()
    vault, pieces = Vault("k" * 48), options.megabytes * (1 << 20) // PIECE
    content = random.Random(0).randbytes(PIECE)
    with tempfile.TemporaryDirectory() as folder:
        sealed, plain = Path(folder) / "sealed", Path(folder) / "plain"

        def write_sealed() -> None:
            with vault.create(sealed, "benchmark") as file:
                for _ in range(pieces):
                    file.write(content)

        def write_plain() -> None:
            with plain.open("wb") as file:
                for _ in range(pieces):
                    file.write(content)

        def read() -> None:
            with vault.open(sealed, "benchmark") as file:
                while file.read(PIECE):
                    pass

        def ranges() -> None:
            draw = random.Random(1)
            with vault.open(sealed, "benchmark") as file:
                for _ in range(options.ranges):
                    file.seek(draw.randrange(file.size - PIECE))
                    file.read(PIECE)

        size_gb = pieces * PIECE / 1e9
        for name, work in (("write, encrypted", write_sealed), ("write, plain", write_plain), ("read", read)):
            spent = cpu_s(work)
            print(f"{name:18} {spent / size_gb:6.2f} CPU s per GB")
        print(f"a range of 64 KiB  {1e6 * cpu_s(ranges) / options.ranges:6.0f} µs CPU")
        print(f"larger on disk     {100 * (sealed.stat().st_size / plain.stat().st_size - 1):6.2f} %")


if __name__ == "__main__":
    main()
