"""Makes the locks anew: every package that requirements.txt needs, with its version and the hashes of its files.

    python testing/lock.py            writes the locks; needs uv (pip install uv) and a package index
    python testing/lock.py --check    only tells what does not agree; needs nothing

They fit Linux and macOS and every Python that the project runs on. Of torch there are two builds, each in a lock of
its own: PyTorch's for CPUs (``testing/torch-cpu.sha256``, as PyTorch's CPU index lists them), and that of the package
index, which on Linux is the CUDA build with several GB of libraries. No lock names an index: pip asks the one that it
is set up with.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = "3.11"
OF_TORCH = re.compile(r"torch|triton|(nvidia|cuda)-.+")
OURS = ("pip",)
"""Packages that are in every environment: a lock that replaced pip while it runs would be one risk more."""
CPU_BUILDS = ROOT / "testing" / "torch-cpu.sha256"
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]*))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
HEADER = "# Made by testing/lock.py from {source}: every package with the hashes of its files.\n"


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of requirements: a package at one version, where the marker holds."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock and the requirements that it is made from."""

    path: str
    source: str


MAIN = Lock("requirements.lock", "requirements.txt")
TORCH = Lock("requirements-torch.lock", "requirements.txt")
TORCH_CPU = Lock("requirements-torch-cpu.lock", "requirements.txt")
TESTS = Lock("testing/requirements.lock", "testing/requirements.txt")
LOCKS = (MAIN, TORCH, TORCH_CPU, TESTS)


def normalise(name: str) -> str:
    """Return a package's name as every index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(text: str) -> list[Pin]:
    """Return the pins of a lock or of requirements, in order; comments and options are left out.

    Raises
    ------
    ValueError
        A line pins nothing.
    """
    pins = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        words = line.split(" #")[0].strip()
        if not words or words.startswith(("#", "-")):
            continue
        found = _NAME.match(words)
        if found is None:
            raise ValueError(f"expected name==version, got {words[:80]!r}")
        marker = (found[3] or "").split("--hash")[0].strip()
        pins.append(Pin(normalise(found[1]), found[2], marker, tuple(_HASH.findall(words))))
    return pins


def check(root: Path = ROOT) -> list[str]:
    """Return what does not agree between requirements and locks, in sentences; nothing when all does."""
    pins = {lock.path: read((root / lock.path).read_text(encoding="utf-8")) for lock in LOCKS}
    problems: list[str] = []
    versions: dict[tuple[str, str], str] = {}
    for path, found in pins.items():
        options = [line for line in (root / path).read_text(encoding="utf-8").splitlines() if line.startswith("-")]
        problems += [f"{path}: an option, {line.split()[0]}, has no place there" for line in options]
        for pin in found:
            if not pin.hashes:
                problems.append(f"{path}: {pin.name} has no hash")
            known = versions.setdefault((pin.name, pin.marker), pin.version)
            if known != pin.version:
                problems.append(f"{path}: {pin.name} {pin.version}, but {known} in another lock")
            if bool(OF_TORCH.fullmatch(pin.name)) != (path in (TORCH.path, TORCH_CPU.path)):
                problems.append(f"{path}: {pin.name} belongs into another lock")
    for source, paths in ((MAIN.source, (MAIN.path, TORCH.path)), (TESTS.source, (TESTS.path,))):
        locked = {(pin.name, pin.version) for path in paths for pin in pins[path]}
        problems += [
            f"{' and '.join(paths)} lack {pin.name} {pin.version} of {source}: python testing/lock.py makes them anew"
            for pin in read((root / source).read_text(encoding="utf-8"))
            if (pin.name, pin.version) not in locked
        ]
    (torch,) = [pin for pin in pins[TORCH.path] if pin.name == "torch"]
    if [(pin.version, pin.hashes) for pin in pins[TORCH_CPU.path]] != [
        (f"{torch.version}+cpu", tuple(_cpu_hashes(torch.version, root)))
    ]:
        problems.append(f"{TORCH_CPU.path} is not what {CPU_BUILDS.name} says of torch {torch.version}")
    return problems


def write(root: Path = ROOT) -> None:
    """Resolve the requirements and write the locks.

    Raises
    ------
    subprocess.CalledProcessError, FileNotFoundError
        uv could not resolve them, or is not there.
    ValueError
        The builds of torch for CPUs are not known.
    """
    entries = _entries(_resolve((root / MAIN.source).read_text(encoding="utf-8"), ""))
    torch = {key: entry for key, entry in entries.items() if OF_TORCH.fullmatch(key.split("==")[0])}
    kept = {key: entry for key, entry in entries.items() if key not in torch}
    (version,) = [key.split("==")[1] for key in torch if key.startswith("torch==")]
    hashes = [f"    --hash=sha256:{digest}" for digest in _cpu_hashes(version, root)]
    constraints = "".join(key + "\n" for key in kept)
    tests = _entries(_resolve((root / TESTS.source).read_text(encoding="utf-8"), constraints))
    _put(root, MAIN, kept.values())
    _put(root, TORCH, torch.values())
    _put(root, TORCH_CPU, [" \\\n".join([f"torch=={version}+cpu ; sys_platform == 'linux'", *hashes]) + "\n"])
    _put(root, TESTS, tests.values())


def _cpu_hashes(version: str, root: Path) -> list[str]:
    """Return the hashes of torch's builds for CPUs.

    Raises
    ------
    ValueError
        None is known of this version.
    """
    lines = [line.split() for line in (root / CPU_BUILDS.relative_to(ROOT)).read_text(encoding="utf-8").splitlines()]
    found = [digest for digest, name in lines if name.startswith(f"torch-{version}+cpu-")]
    if not found:
        raise ValueError(
            f"{CPU_BUILDS.name} has no build of torch {version}: enter the names and SHA-256 that PyTorch's CPU index "
            f"lists for torch-{version}+cpu on Linux"
        )
    return found


def _resolve(requirements: str, constraints: str) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.txt").write_text(re.sub(r"(?m)^-e .*$", "", requirements), encoding="utf-8")
        (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
        subprocess.run(
            ["uv", "pip", "compile", "--quiet", "--no-config", "--universal", "--generate-hashes", "--no-header",
             "--no-annotate", "--python-version", OLDEST_PYTHON, "--constraints", "constraints.txt",
             *(f"--no-emit-package={name}" for name in OURS), "--output-file", "out.lock", "in.txt"],
            cwd=folder, check=True,
        )  # fmt: skip
        return (folder / "out.lock").read_text(encoding="utf-8")


def _entries(lock: str) -> dict[str, str]:
    """Return a lock's entries by what stands before the hashes."""
    parts = re.findall(r"(?m)^[A-Za-z0-9].*(?:\n    .*)*\n", lock)
    return {part.split(" \\\n")[0]: part for part in parts}


def _put(root: Path, lock: Lock, entries: Iterable[str]) -> None:
    (root / lock.path).write_text(HEADER.format(source=lock.source) + "".join(entries), encoding="utf-8")


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only tell what does not agree")
    if not parser.parse_args().check:
        write()
    problems = check()
    for problem in problems:
        print(problem)
    if not problems:
        print("The locks agree with the requirements; every package has its hashes.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
