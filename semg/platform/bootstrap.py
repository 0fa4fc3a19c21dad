"""Makes ``.venv`` and installs the requirements into it, when that is needed.

Run by ``start_all.sh`` and ``testing/run_tests.sh`` with the system's Python: only the standard library is used.
A stamp in ``.venv`` tells which requirements are installed; it is written last, so that an installation that was
cut short is completed by the next start.

Beside ``X.txt`` lies ``X.lock`` (``testing/lock.py``): every package that it needs, with the hashes of its files. That
one is installed, and pip takes no file with another hash, so that an index, a mirror or a proxy that was taken over
brings in no other code. torch has locks of its own, ``semg.platform.packages.torch_build`` chooses between them.
Without a lock, ``X.txt`` itself is installed, without hashes.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from semg.platform.packages import pip_run, torch_build  # noqa: E402
from semg.platform.packages.pip_output import PipOutput, has_raw  # noqa: E402
from semg.platform.packages.progress import Progress  # noqa: E402

NETWORK_WORDS = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "Connection refused",
    "ProxyError",
    "No matching distribution found",
)
LOCKED = ("--no-deps", "--require-hashes", "-r")
ABOUT_MB = {"requirements.lock": 346}
"""Sizes of the lock's files for x86_64 Linux with CPython 3.11, summed over the log of an installation."""


class BootstrapError(Exception):
    """The environment could not be created; the message is for the person who started it."""


def main() -> int:
    """Prepare the environment and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--also", type=Path, action="append", default=[], help="a further requirements file")
    options = parser.parse_args()
    log = ROOT / "logs" / "pip.log"
    try:
        log.parent.mkdir(mode=0o700, exist_ok=True)
        with _lock(ROOT):
            prepare(ROOT, ROOT / ".venv", [ROOT / "requirements.txt", *options.also], log)
    except BootstrapError as exc:
        sys.stderr.write(f"Not started: {exc}\n")
        return 1
    except OSError as exc:
        sys.stderr.write(f"Not started: {_sentence(exc)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. The next start goes on: what is downloaded is kept in pip's cache.\n")
        return 130
    return 0


class _lock:  # noqa: N801
    """Hold a lock on a folder, so that starts at the same time do not install into each other's files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stdout.write("Another start installs .venv; waiting for it …\n")
            sys.stdout.flush()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *details: object) -> None:
        os.close(self._descriptor)


def prepare(root: Path, venv: Path, requirements: list[Path], log: Path) -> None:
    """Create the environment and install each requirements file whose content is not installed yet.

    Raises
    ------
    BootstrapError
        Something could not be made or installed.
    """
    missing = [(path, stamp) for path, stamp in _stamps(venv, requirements) if not stamp.exists()]
    works = _works(venv)
    if works and not missing:
        return
    _say(f"Installing into {venv}: a few minutes at the first start (details in {log}) …")
    with _open_log(log) as out:
        out.truncate(0)
    if not works:
        _make(venv, log)
        missing = _stamps(venv, requirements)
    for left in venv.glob("tmp-*"):  # of a start that was killed
        shutil.rmtree(left, ignore_errors=True)
    for path, stamp in missing:
        _install(root, venv, path, log)
        for old in venv.glob(f".installed-{path.parent.name}-{path.stem}-*"):
            old.unlink()
        stamp.touch()


def _stamps(venv: Path, requirements: list[Path]) -> list[tuple[Path, Path]]:
    """Return each requirements file with the stamp of its current content in this environment."""
    return [
        (path, venv / f".installed-{path.resolve().parent.name}-{path.stem}-{_digest(venv, path)}")
        for path in (path.resolve() for path in requirements)
    ]


def _digest(venv: Path, path: Path) -> str:
    # The stamp includes the path: scripts and the editable install hold absolute paths, which a moved checkout breaks.
    texts = [file.read_bytes() for file in (path, *_locks(path)) if file.exists()]
    return hashlib.sha256(b"".join([*texts, str(venv).encode()])).hexdigest()[:16]


def _locks(path: Path) -> tuple[Path, ...]:
    """Return the locks of a requirements file: all but torch, torch for CPUs, and torch as the package index has it."""
    return path.with_suffix(".lock"), *(path.with_name(f"{path.stem}-{one}.lock") for one in ("torch-cpu", "torch"))


def _works(venv: Path) -> bool:
    """Return whether the environment has a working Python at this path, with pip."""
    python = venv / "bin" / "python"
    if not os.access(python, os.X_OK):
        return False
    code = "import sys, pip; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    try:
        return subprocess.run([python, "-I", "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make(venv: Path, log: Path) -> None:
    """Create the environment, replacing one from an interrupted start or of a removed Python."""
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if _run(command, venv.parent, log) != 0:
        raise BootstrapError(f"{venv} cannot be made: {_reason(log)}")


def _install(root: Path, venv: Path, path: Path, log: Path) -> None:
    lock, torch_cpu, torch = _locks(path)
    pip = _Pip(root, venv, log)
    if not lock.exists():
        pip.install(path, "-r", str(path))
        return
    pip.install(lock, *LOCKED, str(lock))
    if torch.exists():
        _install_torch(pip, {"torch-cpu": torch_cpu, "torch": torch})
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-e "):  # a folder has no hash; what builds it is in the lock
            pip.install(path, "--no-deps", "--no-build-isolation", "-e", line.split()[1], label="the project")


def _install_torch(pip: _Pip, locks: dict[torch_build.Build, Path]) -> None:
    """Install the build of torch that is chosen, or the one that there is; say which, and why."""
    requirement = torch_build.locked(locks["torch-cpu"].read_text(encoding="utf-8"))
    if pip.has(requirement) and pip.finds(locks["torch-cpu"], None):
        return  # taken at an earlier start; the ordinary build's libraries are not wanted beside it
    choice = torch_build.choose(
        torch_build.this_machine(),
        torch_build.own_sources(pip.command),
        lambda: torch_build.lists(pip.command, torch_build.CPU_INDEX, requirement),
    )
    _say(f"  {choice.sentence}")
    *likely, last = choice.builds
    about_mb = torch_build.MB if _is_measured() else {}
    for build in likely:
        if pip.finds(locks[build], about_mb.get(build)):
            return
        _say("  PyTorch: there is no CPU build; the ordinary one is taken.")
    index = () if choice.index is None else ("--index-url", choice.index)
    pip.install(locks[last], *index, *LOCKED, str(locks[last]), label="PyTorch", about_mb=about_mb.get(last))


class _Pip:
    """The environment's pip, with its progress shown and its output in a log."""

    def __init__(self, root: Path, venv: Path, log: Path) -> None:
        self._root, self._venv, self._log = root, venv, log
        self.command = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        code = "import pip; print(pip.__version__)"
        asked = subprocess.run([self.command[0], "-I", "-c", code], capture_output=True, text=True, check=False)
        self._bar = "raw" if has_raw(asked.stdout) else "off"

    def has(self, requirement: str) -> bool:
        """Return whether a package is installed in the version that a lock pins."""
        name, _, version = requirement.partition("==")
        code = f"from importlib.metadata import version; print(version({name!r}))"
        asked = subprocess.run([self.command[0], "-I", "-c", code], capture_output=True, text=True, check=False)
        return asked.stdout.strip() == version

    def install(self, path: Path, *arguments: str, label: str = "packages", about_mb: float | None = None) -> None:
        """Install what the arguments name, for a requirements file or a lock.

        Raises
        ------
        BootstrapError
            It could not be installed.
        """
        if self._run(path, self._log, arguments, label, about_mb) != 0:
            raise BootstrapError(f"{path.relative_to(self._root)} cannot be installed: {_reason(self._log)}")

    def finds(self, lock: Path, about_mb: float | None) -> bool:
        """Install torch's lock if pip finds it; what pip says when it does not is no reason of a later failure."""
        log = self._log.with_name("pip-torch-cpu.log")
        return self._run(lock, log, (*LOCKED, str(lock)), "PyTorch", about_mb) == 0

    def _run(self, path: Path, log: Path, arguments: tuple[str, ...], label: str, about_mb: float | None) -> int:
        known_mb = about_mb or (ABOUT_MB.get(os.path.relpath(path, self._root)) if _is_measured() else None)
        total = (
            1 if "-e" in arguments else len(re.findall(r"^[A-Za-z0-9]", path.read_text(encoding="utf-8"), re.MULTILINE))
        )
        if about_mb is None and known_mb:
            _say(f"  {label}: {total}, up to about {known_mb} MB to download.")
        with tempfile.TemporaryDirectory(prefix="tmp-", dir=self._venv) as arriving, _open_log(log) as out:
            return pip_run.run(
                [*self.command, "install", "--progress-bar", self._bar, *arguments],
                self._root, out, PipOutput(total), Progress(label, known_mb, sys.stdout), arriving=Path(arriving),
            )  # fmt: skip


def _is_measured() -> bool:
    """Return whether the sizes of downloads were measured for such a machine."""
    machine = torch_build.this_machine()
    return (machine.system, machine.processor) == ("linux", "x86_64")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _run(command: list[str], cwd: Path, log: Path) -> int:
    with _open_log(log) as out:
        return subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        ).returncode


def _open_log(log: Path) -> io.FileIO:
    """Open the log for appending, readable by its owner only: an index's address may hold a password."""
    out = io.FileIO(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    os.fchmod(out.fileno(), 0o600)
    return out


def _reason(log: Path) -> str:
    """Return the cause that a log shows, in one sentence."""
    text = log.read_text(encoding="utf-8", errors="replace")
    if "No space left on device" in text or "Disk quota exceeded" in text:
        free_mb = shutil.disk_usage(ROOT).free >> 20
        return f"the disk is full ({free_mb} MB left; about 3000 are needed); free some space and start again"
    if "DO NOT MATCH THE HASHES" in text:
        named = re.findall(r"^ {4}([\w.-]+)\S* from ", text, re.MULTILINE)
        return (
            f"{', '.join(named) or 'a package'} is not the file that the lock names: the package index (PIP_INDEX_URL) "
            f"has another build, or it was changed on the way; use an index that has the original; details in {log}"
        )
    if any(word in text for word in NETWORK_WORDS):
        return (
            "the package index does not answer or lacks a package; check the network (PIP_INDEX_URL names another "
            f"index) and start again; details in {log}"
        )
    errors = [line.strip() for line in text.splitlines() if "error" in line.lower()]
    return f"{errors[-1] if errors else 'pip gave no reason'}; details in {log}"


def _sentence(exc: OSError) -> str:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full; free some space below {ROOT} and start again"
    return f"{exc.filename or ROOT}: {exc.strerror}; the folder of the project must be writable for this user"


if __name__ == "__main__":
    sys.exit(main())
