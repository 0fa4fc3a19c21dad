"""Run programs that open untrusted content, each in a separate process with few rights and little time.

An error in a decoder is then an error of that process: it has no secret in its environment, no file of ours open and an
empty folder; it gives up its rights (``semg/process/sandbox.py``), and ends itself
(``semg/capture/prompt_decoder.py``) or is ended here.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semg.errors import ConflictError, DecoderError
from semg.process.sandbox import UNCONFINED

logger = logging.getLogger(__name__)
AT_ONCE = 2
WAIT_S = 10.0
REFUSED = 3
"""The exit status of a converter that refuses its input."""
_TURNS = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """Resource limits of a process; it sets all but ``wall_s`` itself before it reads its input."""

    memory_bytes: int
    cpu_s: int
    answer_bytes: int
    wall_s: float


@contextmanager
def turn(turns: threading.Semaphore = _TURNS, wait_s: float = WAIT_S) -> Iterator[None]:
    """Limit confined processes to ``AT_ONCE`` such blocks; further ones wait.

    Raises
    ------
    ConflictError
        It waited for too long.
    """
    if not turns.acquire(timeout=wait_s):
        raise ConflictError("other files are being opened; try again in a few seconds")
    try:
        yield
    finally:
        turns.release()


def run(script: Path, content: bytes, order: Mapping[str, Any], may: Confinement) -> dict[str, Any]:
    """Run a Python script on some content, and return its answer: a JSON object.

    Parameters
    ----------
    script
        Must import nothing of the project: it is run in Python's isolated mode, without the project's path.
    order
        Its only argument, as JSON, with ``may`` in it.

    Raises
    ------
    DecoderError
        It crashed, took too much time or memory, returned something else, or could not be confined.
    ConflictError
        Too many are running.
    """
    answer, code = _answer(script, content, order, may)
    return _read(answer, code, may)


def convert(script: Path, content: bytes, order: Mapping[str, Any], may: Confinement) -> bytes:
    """Run a Python script on some content, and return its output; parameters and errors as ``run``.

    The output of a script that exits with ``REFUSED`` is the text of the ``DecoderError``.
    """
    answer, code = _answer(script, content, order, may)
    if code == REFUSED:
        raise DecoderError(answer[:500].decode("utf-8", "replace"))
    if code != 0 or len(answer) > may.answer_bytes:
        _read(b"", code, may)  # raises what the code says
    return answer


def _answer(script: Path, content: bytes, order: Mapping[str, Any], may: Confinement) -> tuple[bytes, int | None]:
    """Run a Python script on some content; return its output and exit status, None when it took too long."""
    argument = json.dumps({**order, "may": asdict(may)})
    with (
        turn(),
        tempfile.TemporaryDirectory(prefix="confined-") as nowhere,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as answer,
    ):
        given.write(content)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-B", str(script), argument],
            stdin=given,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            cwd=nowhere,
            env={},
            close_fds=True,
            start_new_session=True,
        )
        try:
            code = process.wait(may.wall_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        answer.seek(0)
        return answer.read(may.answer_bytes + 1), code


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(answer: bytes, code: int | None, may: Confinement) -> dict[str, Any]:
    if code is None or code in (-signal.SIGXCPU, -signal.SIGKILL):
        logger.warning("a decoder was ended: it took too long or too much memory")
        raise DecoderError(f"it takes more than {may.cpu_s} s or {may.memory_bytes >> 20} MB to open it")
    if code == UNCONFINED:
        logger.error("a decoder could not confine itself, and opened nothing: %s", ascii(answer[:500]))
        raise DecoderError("this server cannot open files safely; tell its administrator: the app's log has the reason")
    try:
        found = json.loads(answer) if code == 0 else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        logger.warning("a decoder crashed (status %s)", code)
        raise DecoderError("its decoder crashed")
    return found
