"""pip against an index that stalls: it is named while pip goes on, and an interruption loses no download."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from semg.platform.packages import pip_run
from semg.platform.packages.pip_output import PipOutput
from semg.platform.packages.progress import Progress

NAMES = ("first", "second")
TIMEOUT_S = 60.0


def wheel(name: str) -> bytes:
    made, info = io.BytesIO(), f"{name}-1.0.dist-info"
    with zipfile.ZipFile(made, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return made.getvalue()


class Index(ThreadingHTTPServer):
    """A package index whose file of ``second`` does not come until it is let go."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.let_go, self.is_waited_for = threading.Event(), threading.Event()
        self.sent: Counter[str] = Counter()
        self.files = {f"{name}-1.0-py3-none-any.whl": wheel(name) for name in NAMES}


class Answer(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        name = self.path.strip("/").rsplit("/", 1)[-1]
        if name in self.server.files:
            if name.startswith("second"):
                self.server.is_waited_for.set()
                self.server.let_go.wait(TIMEOUT_S)
            body, kind = self.server.files[name], "application/octet-stream"
        else:
            file = f"{name}-1.0-py3-none-any.whl"
            body, kind = f'<a href="/files/{file}">{file}</a>'.encode(), "text/html"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=3600" if name in self.server.files else "no-store")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # pip was interrupted
            self.wfile.write(body)
            self.server.sent[name] += 1

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[Index]:
    server = Index()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.let_go.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def command(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """pip's command line for the index, with a cache of its own."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    host = f"127.0.0.1:{index.server_address[1]}"
    return [
        sys.executable, "-m", "pip", "install", "--progress-bar", "off", "--no-deps",
        "--index-url", f"http://{host}/simple", "--trusted-host", host,
        "--target", str(tmp_path / "installed"), *NAMES,
    ]  # fmt: skip


def test_index_that_stalls_is_named_while_pip_goes_on(index: Index, command: list[str], tmp_path: Path) -> None:
    class Out(io.StringIO):
        def write(self, text: str) -> int:
            if "No answer" in text:
                index.let_go.set()
            return super().write(text)

    out, output = Out(), PipOutput(len(NAMES))
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    with (tmp_path / "pip.log").open("ab", buffering=0) as log:
        progress = Progress("packages", None, out)
        assert pip_run.run(command, tmp_path, log, output, progress, arriving=arriving, quiet_s=1.0) == 0
    (said,) = [line for line in out.getvalue().splitlines() if "No answer" in line]
    assert f"No answer from 127.0.0.1:{index.server_address[1]} for 1 s: " in said
    assert "it takes the connection and sends nothing. Still trying." in said
    assert "packages: 2 packages" in out.getvalue()
    assert (tmp_path / "installed" / "second.py").exists()
    written = (tmp_path / "pip.log").read_text()
    assert re.search(r"Downloading \S*first-1.0-py3-none-any.whl", written)
    assert "Successfully installed first-1.0 second-1.0" in written


RUN = """
import sys
from pathlib import Path
from semg.platform.packages import pip_run
from semg.platform.packages.pip_output import PipOutput
from semg.platform.packages.progress import Progress
folder, progress = Path(sys.argv[1]), Progress("packages", None, sys.stdout)
with (folder / "pip.log").open("ab", buffering=0) as log:
    try:
        code = pip_run.run(sys.argv[2:], folder, log, PipOutput(2), progress, arriving=folder)
    except KeyboardInterrupt:
        code = 130
sys.exit(code)
"""


def test_interrupted_installation_goes_on_with_what_it_has(index: Index, command: list[str], tmp_path: Path) -> None:
    start = [sys.executable, "-c", RUN, str(tmp_path), *command]
    # Whoever runs the tests in the background ignores Ctrl-C, and so would what they start.
    interrupted = subprocess.Popen(
        start,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert index.is_waited_for.wait(TIMEOUT_S)
    os.killpg(interrupted.pid, signal.SIGINT)  # as Ctrl-C in a terminal
    interrupted.communicate(timeout=TIMEOUT_S)
    assert interrupted.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(interrupted.pid, 0)
    assert not (tmp_path / "installed" / "first.py").exists()
    index.let_go.set()
    assert subprocess.run(start, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0
    assert (tmp_path / "installed" / "second.py").exists()
    assert index.sent["first-1.0-py3-none-any.whl"] == 1, "it came from the cache"
