"""Decoders of what came from outside: in a process of their own, without secrets, and ended when they take too much."""

from __future__ import annotations

import errno
import io
import json
import os
import platform
import random
import resource
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import psutil
import pytest
from PIL import Image

from semg.capture import prompt_decoder, prompt_media
from semg.capture.prompt_media import check_prompt
from semg.errors import ConflictError, DecoderError, InvalidValueError
from semg.process import confined, sandbox

pytestmark = pytest.mark.slow
MAY = replace(prompt_media.MAY, cpu_s=2, wall_s=20.0)
ON_LINUX = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in sandbox._ARCHITECTURES, reason="there is no filter here"
)


def program(folder: Path, code: str) -> Path:
    """Return a program that confines itself as the decoder does, and then runs some code."""
    path = folder / "program.py"
    begin = f"""
        import importlib.util, json, os, sys, time
        spec = importlib.util.spec_from_file_location("decoder", {str(prompt_media.DECODER)!r})
        decoder = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(decoder)
        order = json.loads(sys.argv[1])
        import ctypes, signal, socket, subprocess
        here = os.getcwd()
        decoder.confine(order["may"])
        decoder.close_the_door(decoder.load_sandbox())
    """
    path.write_text(textwrap.dedent(begin) + textwrap.dedent(code))
    return path


def test_decoder_knows_no_secret_and_can_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "k" * 48)
    monkeypatch.setenv("POSTGRES_PASSWORD", "p" * 20)
    secret = tmp_path / ".env"
    secret.write_text("SECRET_KEY=k")
    with secret.open() as held:
        os.set_inheritable(held.fileno(), True)
        code = f"""
            failed = []
            for what in (
                lambda: open({str(secret)!r}).close(),
                lambda: socket.socket().close(),
                lambda: os.listdir("."),
                lambda: os.read({held.fileno()}, 9),
                lambda: os.dup(0),
                lambda: subprocess.run(["/bin/true"], check=True),
                lambda: decoder.resource.setrlimit(decoder.resource.RLIMIT_CPU, (99, 99)),
            ):
                try:
                    what()
                except (OSError, ValueError) as exc:
                    failed.append(type(exc).__name__)
            answer = {{"failed": failed, "environment": sorted(os.environ), "here": here,
                       "paths": sys.path, "input": sys.stdin.read()}}
            print(json.dumps(answer))
        """
        answer = confined.run(program(tmp_path, code), b"content", {}, MAY)
    refused = "PermissionError" if sys.platform == "linux" else "OSError"
    assert answer["failed"] == [*[refused] * 3, "OSError", *[refused] * 2, "ValueError"]
    assert set(answer["environment"]) <= {"LC_CTYPE"}, "which Python sets for itself"
    assert answer["input"] == "content"
    assert Path(answer["here"]).name.startswith("confined-")
    assert not Path(answer["here"]).exists()
    assert not any(str(prompt_media.DECODER.parents[2]) == path for path in answer["paths"])


# Each is without effect on who runs the tests where it succeeds.
_ATTACKS = """
    libc = ctypes.CDLL(None, use_errno=True)
    def call(name, *arguments):
        if getattr(libc, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)
    def number(n, *arguments):
        call("syscall", n, *arguments)
    def fork(of):
        child = of()
        if child == 0:
            os._exit(0)
        if child < 0:
            raise OSError(ctypes.get_errno(), "fork")
    def connect():
        with socket.socket() as one:
            one.connect(("127.0.0.1", PORT))
    secret, parent = SECRET, os.getppid()
    attacks = {
        "env": lambda: os.open(secret, os.O_RDONLY),
        "openat2": lambda: number(437, -100, secret.encode(), bytes(24), 24),
        "environ": lambda: os.open(f"/proc/{parent}/environ", os.O_RDONLY),
        "memory": lambda: os.open(f"/proc/{parent}/mem", os.O_RDWR),
        "own": lambda: os.open("/proc/self/environ", os.O_RDONLY),
        "write": lambda: os.open(here + "/x", os.O_WRONLY | os.O_CREAT),
        "list": lambda: os.listdir("/"),
        "stat": lambda: os.stat(secret),
        "connect": connect,
        "pair": lambda: socket.socketpair(),
        "netlink": lambda: socket.socket(16, socket.SOCK_RAW),
        "pipe": lambda: os.pipe(),
        "memfd": lambda: os.memfd_create("x"),
        "fork": lambda: fork(os.fork),
        "vfork": lambda: fork(lambda: libc.vfork()),
        "clone3": lambda: number(435, bytes(88), 88),
        "spawn": lambda: subprocess.run(["/bin/true"], check=True),
        "kill": lambda: os.kill(parent, 0),
        "tgkill": lambda: number(TGKILL, parent, parent, 0),
        "pidfd": lambda: number(434, parent, 0),
        "ptrace": lambda: call("ptrace", 0, 0, 0, 0),
        "read memory": lambda: call("process_vm_readv", parent, bytes(16), 1, bytes(16), 1, 0),
        "unshare": lambda: call("unshare", 0x10000000),
        "mount": lambda: call("mount", b"x", b"/nowhere", b"tmpfs", 0, 0),
        "io_uring": lambda: number(425, 1, bytes(120)),
        "machine code": lambda: call("mprotect", page, 4096, 7),
        "limits": lambda: call("prlimit", parent, 7, 0, bytes(16)),
        "root": lambda: os.setuid(0),
        "exec": lambda: os.execv("/bin/true", ["true"]),
    }
    libc.valloc.restype = ctypes.c_void_p
    page = ctypes.c_void_p(libc.valloc(4096))
    os.close(0)
    failed = {}
    for name, attack in attacks.items():
        try:
            attack()
        except OSError as exc:
            failed[name] = exc.errno
    print(json.dumps({"failed": failed, "tried": list(attacks)}))
"""


@ON_LINUX
def test_code_of_an_attacker_in_a_decoder_can_reach_nothing(tmp_path: Path) -> None:
    secret = tmp_path / ".env"
    secret.write_text("SECRET_KEY=k")
    secret.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = _ATTACKS.replace("PORT", str(listening.getsockname()[1])).replace("SECRET", repr(str(secret)))
        code = code.replace("TGKILL", "131" if platform.machine() == "aarch64" else "234")
        answer = confined.run(program(tmp_path, code), b"content", {}, MAY)
        listening.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert answer["failed"] == dict.fromkeys(answer["tried"], errno.EPERM)


@ON_LINUX
def test_decoder_is_nobody_and_has_no_capability(tmp_path: Path) -> None:
    order = json.dumps({"may": asdict(MAY)})
    command = [sys.executable, "-I", "-B", str(program(tmp_path, "print('in', flush=True)\nsys.stdin.read()")), order]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        process.communicate(b"")
    assert process.returncode == 0
    assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"][0], 16)) == (["1"], ["2"], 0)
    if os.geteuid() == 0:
        assert (status["Uid"], status["Gid"], status["Groups"]) == (["65534"] * 4, ["65534"] * 4, [])


def test_nothing_is_decoded_by_a_process_that_cannot_be_confined(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "process"
    folder.mkdir()
    (tmp_path / "capture").mkdir()
    script = Path(shutil.copy(prompt_media.DECODER, tmp_path / "capture"))
    refusing = Path(sandbox.__file__).read_text().replace(
        "def _give_up_root() -> None:\n", "def _give_up_root() -> None:\n    raise OSError(22, 'no')\n"
    ).replace("if os.geteuid() == 0:", "if True:")  # fmt: skip
    (folder / "sandbox.py").write_text(refusing)
    with pytest.raises(DecoderError, match="cannot open files safely"):
        confined.run(script, progressive(), prompt_media.order_for("image/jpeg"), MAY)
    assert "[Errno 22] no" in caplog.text


@ON_LINUX
@pytest.mark.parametrize("machine", sandbox._ARCHITECTURES)
def test_filter_allows_what_is_listed_and_nothing_else(machine: str) -> None:
    architecture = sandbox._ARCHITECTURES[machine]
    program = sandbox.filter_for(architecture, 77)
    assert len(program) < 4096, "what the kernel takes"

    def judge(number: int, *arguments: int, audit: int = architecture.audit) -> int:
        """Interpret the filter as the kernel does."""
        seen = struct.pack("<IIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
        held, at = 0, 0
        while True:
            code, yes, no, constant = program[at]
            at += 1
            if code == 0x20:
                (held,) = struct.unpack_from("<I", seen, constant)
            elif code == 0x06:
                return constant
            else:
                at += yes if (held == constant if code == 0x15 else held & constant) else no

    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000
    special = {name: numbers[architecture.column] for name, numbers in sandbox._CONDITIONAL.items()}
    listed = {numbers[architecture.column] for numbers in sandbox._SYSTEM_CALLS.values()}
    for number in range(1000):
        expected = allow if number in listed or number in (special["mmap"], special["mprotect"]) else refuse
        assert judge(number) == expected
        assert judge(number | 0x40000000) == refuse, "a call of x32"
        assert judge(number, audit=0x40000003) == kill, "a call of 32 bits"
    for name in ("mmap", "mprotect"):
        assert [judge(special[name], 0, 4096, kind) for kind in (0, 3, 4, 5, 7)] == [allow] * 2 + [refuse] * 3
    assert [judge(special["tgkill"], pid) for pid in (77, 1, 78)] == [allow, refuse, refuse]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("while True: pass", "takes more than 2 s"),
        ("time.sleep(999)", "takes more than"),
        ("signal.raise_signal(11)", "crashed"),
        ("os.abort()", "crashed"),
        ("sys.exit(3)", "crashed"),
        ("held = bytearray(3 << 30)", "crashed"),
        ("sys.stdout.write('x' * (1 << 20))", "crashed"),
        ("print('[]')", "crashed"),
        ("pass", "crashed"),
    ],
    ids=["busy", "hangs", "fault", "abort", "status", "memory", "talks", "another answer", "silent"],
)
def test_decoder_that_fails_is_a_refusal(tmp_path: Path, code: str, said: str) -> None:
    may = replace(MAY, wall_s=3.0) if "sleep" in code else MAY
    with pytest.raises(DecoderError, match=said):
        confined.run(program(tmp_path, code), b"", {}, may)


def test_refusal_names_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prompt_media, "DECODER", program(tmp_path, "os.abort()"))
    with pytest.raises(InvalidValueError, match="save the file again, smaller: .*its decoder crashed"):
        check_prompt(b"\x89PNG\r\n\x1a\n" + bytes(100))


def test_what_a_decoder_started_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "forks.py"
    path.write_text("import os, time\nprint(os.fork(), flush=True)\ntime.sleep(999)\n")
    with pytest.raises(DecoderError):
        confined.run(path, b"", {}, replace(MAY, wall_s=1.0))
    deadline = time.monotonic() + 20
    while any(str(path) in (one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_few_run_at_once() -> None:
    turns = threading.BoundedSemaphore(1)
    with confined.turn(turns), pytest.raises(ConflictError, match="try again"), confined.turn(turns, 0.01):
        raise AssertionError("another one was let in")
    with confined.turn(turns, 0.01):
        pass


def test_decoder_starts_lean() -> None:
    code = f"""
        import sys
        sys.argv = ["x", '{{"kind": "PNG", "is_picture": true}}']
        import importlib.util
        spec = importlib.util.spec_from_file_location("decoder", {str(prompt_media.DECODER)!r})
        decoder = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(decoder)
        for kind, is_picture in (("PNG", True), ("mp4", False), ("webm", False)):
            decoder._load_libraries(kind, is_picture)
        print(sorted({{"semg", "numpy", "pandas", "torch", "streamlit", "psycopg2"}} & set(sys.modules)))
    """
    command = [sys.executable, "-I", "-B", "-c", textwrap.dedent(code)]
    found = subprocess.run(command, capture_output=True, check=True, env={})
    assert found.stdout == b"[]\n"


def progressive(scans: int = 0) -> bytes:
    """Return a progressive JPEG, with one of its scans so many times more."""
    out = io.BytesIO()
    Image.effect_noise((64, 48), 90).save(out, "JPEG", progressive=True)
    content = out.getvalue()
    last = content.rfind(b"\xff\xda")
    return content[:-2] + content[last:-2] * scans + content[-2:]


def test_scans_are_counted_by_their_markers() -> None:
    n = prompt_decoder.count_scans(progressive())
    assert 5 <= n <= 20
    assert prompt_decoder.count_scans(progressive(40)) == n + 40
    inside = b"\xff\xe1" + struct.pack(">H", 2 + 60) + b"\xff\xda" * 30
    assert prompt_decoder.count_scans(b"\xff\xd8" + inside + progressive()[2:]) == n, "a thumbnail's do not count"
    assert prompt_decoder.count_scans(progressive() + b"\xff\xda" * 500) == n, "nothing behind the end is decoded"
    for length in range(40):
        prompt_decoder.count_scans(b"\xff\xd8\xff\xda" + bytes(length) + b"\xff")
    assert prompt_decoder.count_scans(b"\xff" * 1000) == 0


def test_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_prompt(progressive(20)) == "image/jpeg"

    def decoded(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(Image, "open", decoded)
    order = prompt_media.order_for("image/jpeg")
    with pytest.raises(prompt_decoder.Refused, match="at most 100 scans"):
        prompt_decoder.check_picture(progressive(5000), order)
    with pytest.raises(InvalidValueError, match="at most 100 scans"):
        check_prompt(progressive(5000))


def frames(n: int) -> bytes:
    """Return a GIF of many frames of one pixel."""
    frame = (
        b"\x21\xf9\x04\x00\x01\x00\x00\x00" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    )
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    return head + frame * n + b"\x3b"


def test_gif_of_endless_frames_is_refused() -> None:
    assert check_prompt(frames(900)) == "image/gif"
    for n in (1001, 340_000):
        assert len(frames(n)) < 8 << 20
        with pytest.raises(InvalidValueError, match="1000 frames|takes more than 10 s"):
            check_prompt(frames(n))


def giant(width: int, height: int) -> bytes:
    """Return an MP4 whose track and samples claim a size that its picture does not have."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        track = container.add_stream("mpeg4", rate=10)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for packet in (*track.encode(av.VideoFrame(64, 48, "yuv420p")), *track.encode(None)):
            container.mux(packet)
    content = bytearray(out.getvalue())
    at = content.index(b"stsd") + 16
    content[at : at + 4] = b"avc1"
    content[at + 28 : at + 32] = struct.pack(">HH", width, height)
    return bytes(content)


def test_video_of_giant_size_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="prompt"):
        check_prompt(giant(65_535, 65_535))


SAVED: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {"progressive": True, "quality": 60},
    "WEBP": {"quality": 30, "method": 0},
}


@pytest.mark.parametrize("kind", SAVED)
def test_largest_picture_that_is_allowed_fits_into_the_memory(kind: str) -> None:
    out = io.BytesIO()
    noise = Image.frombytes("RGBA", (600, 400), random.Random(0).randbytes(600 * 400 * 4))
    picture = noise.resize((6000, 4000), Image.Resampling.NEAREST if kind == "PNG" else Image.Resampling.BICUBIC)
    picture.convert("RGBA" if kind == "PNG" else "RGB").save(out, kind, **SAVED[kind])
    assert len(out.getvalue()) < 8 << 20, "or else the example proves nothing"
    assert check_prompt(out.getvalue()) == f"image/{kind.lower()}"


def test_limits_are_set_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, value: done.append(f"limit {kind}"))
    monkeypatch.setattr(sandbox, "enter", lambda: done.append("sandbox"))
    monkeypatch.setattr(prompt_decoder, "load_sandbox", lambda: sandbox)
    monkeypatch.setattr(prompt_decoder, "check_picture", lambda content, order: done.append("decoded"))

    class Input(io.BytesIO):
        def read(self, *_: object) -> bytes:
            done.append("read")
            return b"x"

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Input()))
    order = {**prompt_media.order_for("image/png"), "may": asdict(MAY)}
    monkeypatch.setattr(sys, "argv", ["x", json.dumps(order)])
    assert prompt_decoder.main() == 0
    limits = [getattr(resource, f"RLIMIT_{name}") for name in ("CORE", "CPU", "FSIZE", "AS", "NOFILE", "NPROC")]
    assert done == [*(f"limit {kind}" for kind in limits), "sandbox", "read", "decoded"]
