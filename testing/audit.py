"""What ``testing/audit.sh`` runs; its exit codes stand there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata

sys.path.insert(0, str(Path(__file__).resolve().parent))
import lock
import sbom
from secret_shapes import is_searched, secrets_in

from semg.settings import PROJECT_DIR, load_settings
from semg.settings import env_file as env_file_path

CLEAR, FOUND, NOT_ASKED = 0, 1, 2
DENIED = {
    re.compile(r"\bAGPL|Affero"): "its terms reach everybody who uses the platform over a network",
    re.compile(r"(?<!L)(?<!Lesser )(?<!Library or Lesser )\bGPL|GNU General Public"): "what contains it must be GPL",
    re.compile(r"\bNC\b|non-?commercial", re.IGNORECASE): "MIT lets everybody use the platform for any purpose",
    re.compile(
        r"SSPL|BUSL|Business Source|Commons Clause", re.IGNORECASE
    ): "it limits what may be offered as a service",
    re.compile(r"proprietary", re.IGNORECASE): "it may not be passed on as MIT is",
}
"""Licences that do not go with the platform's own (MIT), with the reason. LGPL and MPL do: both are used unchanged."""
ACCEPTED = {
    **dict.fromkeys(("nvidia", "cuda"), "CUDA libraries: not passed on, installed from the index by who wants them"),
}
"""Beginnings of packages' names whose licence is denied and that are there all the same, with the reason."""


def disagreeing_locks() -> Iterator[str]:
    """Return what does not agree between requirements, locks and what is installed."""
    yield from lock.check()
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield from done.stdout.splitlines()


def unfit_licences(licences: dict[str, str] | None = None) -> Iterator[str]:
    """Return installed packages whose licence does not go with MIT, or is not said."""
    locked = {pin.name for one in lock.LOCKS for pin in lock.read((PROJECT_DIR / one.path).read_text(encoding="utf-8"))}
    if licences is None:
        installed = {lock.normalise(one.metadata["Name"]) for one in metadata.distributions()}
        licences = {name: sbom.licence_of(name) for name in sorted(locked & installed)}
    for name, licence in licences.items():
        if name.startswith(tuple(ACCEPTED)):
            continue
        if not licence:
            yield f"{name}: says no licence; look it up, and enter it in SAID_ELSEWHERE (testing/sbom.py)"
        # one of several to choose from is enough
        offered = [[why for denied, why in DENIED.items() if denied.search(one)] for one in licence.split(" OR ")]
        if all(offered):
            yield f"{name}: {licence}: {offered[0][0]}"


def unsafe_calls() -> Iterator[str]:
    """Return calls that ruff's security rules (bandit's) refuse, as pyproject.toml sets them up."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "."]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        yield f"ruff ended with {done.returncode}: {done.stderr.strip()}"
    yield from (line for line in done.stdout.splitlines() if re.search(r": S\d+ ", line))


def secrets_in_files() -> Iterator[str]:
    """Return what looks like a secret in tracked files."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    for name in filter(is_searched, listed.stdout.split("\0")):
        path = PROJECT_DIR / name
        if name and path.is_file():
            yield from (f"{name}: {found}" for found in secrets_in(path.read_text("utf-8", errors="replace")))


def secrets_in_history(folder: Path = PROJECT_DIR) -> Iterator[str]:
    """Return what looks like a secret in lines that any commit has added, on any branch."""
    command = ["git", "log", "--all", "-p", "-U0", "--no-color", "--no-ext-diff", "--no-textconv", "--format=%x00%h"]
    commit = name = ""
    seen = set()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("\0"):
                commit = line[1:].strip()
            elif line.startswith("+++ "):
                name = line[4:].strip().removeprefix("b/")
            elif line.startswith("+") and is_searched(name):
                for found in secrets_in(line[1:]):
                    if (name, found) not in seen:
                        seen.add((name, found))
                        yield f"{commit} {name}: {found}"
    if process.returncode != 0:
        yield f"git log ended with {process.returncode}: the history was not looked at"


def open_files() -> Iterator[str]:
    """Return files with secrets or people's data that others may read, and tracked files that others may change."""
    settings, env = load_settings(), env_file_path()
    private = [env, *(path for name in ("backups", "tls", "run") for path in (settings.data_dir / name).rglob("*"))]
    private += [*settings.videos.glob("*"), *settings.log_dir.glob("*.log*")]
    yield from (f"{path}: others may read it; chmod go= it" for path in private if _mode(path) & 0o077)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        mode = _mode(PROJECT_DIR / name)
        if mode & 0o002:
            yield f"{name}: everybody may change it; chmod o-w it"
        if mode & 0o111 and not (PROJECT_DIR / name).read_bytes().startswith(b"#!"):
            yield f"{name}: may be executed, but is no script; chmod a-x it"


def _mode(path: Path) -> int:
    return path.stat().st_mode if path.is_file() else 0


def known_vulnerabilities() -> tuple[list[str], str]:
    """Return what the public lists know of the locked packages, and why they could not be asked (empty: they were)."""
    pins = {
        (pin.name, pin.version)
        for one in (lock.MAIN, lock.TORCH, lock.TESTS)
        for pin in lock.read((PROJECT_DIR / one.path).read_text(encoding="utf-8"))
    }
    found, unasked = [], []
    by_turn: list[dict[str, str]] = [{}, {}]
    for name, version in sorted(pins):  # one version of a package in a list: some have two, by Python
        by_turn[name in by_turn[0]][name] = version
    for turn in filter(None, by_turn):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("".join(f"{name}=={version}\n" for name, version in turn.items()))
            file.flush()
            done = subprocess.run(
                [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off",
                 "--timeout", "15", "-r", file.name],
                capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )  # fmt: skip
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        if done.returncode != 0 and not any(re.match(r"Found \d+ known", line) for line in lines):
            return found, next((line for line in reversed(lines) if line.strip()), "pip-audit gave no reason")
        if done.returncode != 0:
            found += [line for line in done.stdout.splitlines() if re.match(r"[a-z0-9.-]+ +\d", line)]
        unasked += [line for line in lines if "could not be audited" in line]
    return found, f"of {len(unasked)} packages nothing is known, good or bad" if unasked else ""


PARTS: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
    ("locks and what is installed", disagreeing_locks),
    ("licences", unfit_licences),
    ("unsafe calls", unsafe_calls),
    ("secrets in tracked files", secrets_in_files),
    ("secrets in the history", secrets_in_history),
    ("permissions of files", open_files),
)


def main() -> int:
    """Run every part, print what it found, and return the exit code."""
    code = CLEAR
    for title, part in PARTS:
        found = list(part())
        print(f"{title:<30} {'clear' if not found else f'{len(found)} found'}")
        for line in found:
            print(f"    {line}")
        code = FOUND if found else code
    vulnerable, why = known_vulnerabilities()
    state = f"{len(vulnerable)} found" if vulnerable else "not asked" if why else "clear"
    print(f"{'known vulnerabilities':<30} {state}")
    for line in vulnerable:
        print(f"    {line}")
    if why:
        print(f"    The public lists could not be asked of everything: {why}")
    if vulnerable or code == FOUND:
        print("Something was found.")
        return FOUND
    print("All clear." if not why else "All clear, except that the public lists were not asked of everything.")
    return NOT_ASKED if why else CLEAR


if __name__ == "__main__":
    sys.exit(main())
