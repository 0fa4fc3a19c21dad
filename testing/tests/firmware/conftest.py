"""Builds the committed sketch for the host and runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from semg.settings import PROJECT_DIR

ARDUINO = PROJECT_DIR / "arduino"

Build = Callable[..., Path]


def skip_or_fail(reason: str) -> None:
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


def compile_command(compiler: str, board: str, output: Path, *options: str) -> list[str]:
    sources = sorted(str(path) for path in (ARDUINO / "host").glob("*.cpp"))
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
    return [
        *(compiler, "-std=c++17", "-O1", "-pthread", *warnings, f"-D{board}", *options, f"-I{ARDUINO / 'host'}"),
        *("-x", "c++", str(ARDUINO / "arduinocode.ino"), *sources, "-o", str(output)),
    ]


@pytest.fixture(scope="session")
def compiler() -> str:
    """Return the compiler's name."""
    if shutil.which("g++") is None:
        skip_or_fail("g++ is not installed, so the sketch cannot be compiled for the host")
    return "g++"


@pytest.fixture(scope="session")
def build(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function that compiles the sketch for a board, each variant once."""
    folder = tmp_path_factory.mktemp("firmware")
    made: dict[tuple[str, ...], Path] = {}

    def compile_sketch(board: str = "ARDUINO_ARCH_ESP32", *options: str) -> Path:
        key = (board, *options)
        if key not in made:
            output = folder / f"sketch{len(made)}"
            done = subprocess.run(compile_command(compiler, board, output, *options), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            made[key] = output
        return made[key]

    return compile_sketch


def supported(options: tuple[str, ...], tmp_path: Path) -> tuple[str, ...]:
    probe = ["g++", *options, "-x", "c++", "-", "-o", str(tmp_path / "probe")]
    if subprocess.run(probe, input=b"int main() {}", capture_output=True).returncode != 0:
        skip_or_fail("g++ has no sanitizer runtime (libasan, libubsan, libtsan) here")
    return options


@pytest.fixture
def sanitizers(tmp_path: Path) -> tuple[str, ...]:
    """The options that make undefined behaviour and bad memory accesses end the program."""
    return supported(("-fsanitize=address,undefined", "-fno-sanitize-recover=all"), tmp_path)


@pytest.fixture
def thread_sanitizer(tmp_path: Path) -> tuple[str, ...]:
    """The options that make a program fail in which two threads use the same memory without order."""
    return supported(("-fsanitize=thread",), tmp_path)


@pytest.fixture
def run_virtual(tmp_path: Path) -> Callable[..., tuple[list[str], str]]:
    """Return a function that runs a built sketch on the virtual clock: its datagrams, and its serial output."""

    def run(binary: Path, run_ms: int, **environment: str | int) -> tuple[list[str], str]:
        lines = tmp_path / "datagrams.txt"
        lines.unlink(missing_ok=True)
        environment.setdefault("HOST_NVM_FILE", str(tmp_path / "nvm"))
        variables = {
            "HOST_VIRTUAL_CLOCK": "1",
            "HOST_REMOTE_IP": "127.0.0.1",
            "HOST_RUN_MS": str(run_ms),
            "HOST_UDP_FILE": str(lines),
            **{name: str(value) for name, value in environment.items()},
        }
        done = subprocess.run([str(binary)], env=variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return (lines.read_text().splitlines() if lines.exists() else []), done.stdout

    return run
