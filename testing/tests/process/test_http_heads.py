"""The head of a request is bounded in length and time, and everything else is as before."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import uvicorn

from semg.platform.servers import embedded
from semg.process import http_heads
from testing.kits.live_helpers import wait_for


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(http_heads, "HEAD_S", 0.5)
    http_heads.bound_heads()
    http_heads.bound_heads()
    number = embedded.free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, "127.0.0.1", number, http="httptools", lifespan="off", log_level="error")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield number
    server.should_exit = True
    thread.join(20)


def ended(port: int, *parts: bytes) -> tuple[int, bytes]:
    """Send until the server ends the connection; how much went out, and the answer."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), 10) as sending:
        with suppress(ConnectionError):
            for part in parts:
                sending.sendall(part)
                sent += len(part)
        answer = b""
        with suppress(ConnectionError):
            while more := sending.recv(4096):
                answer += more
    return sent, answer


@pytest.mark.parametrize("line", [b"a: " + b"x" * 1000 + b"\r\n", b"x" * 1000])
def test_endless_head_is_refused(port: int, line: bytes) -> None:
    sent, answer = ended(port, b"GET / HTTP/1.1\r\nHost: x\r\nb: ", *[line] * 20_000)
    assert sent < 20_000_000
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


def test_head_that_does_not_end_and_silence_are_let_go(port: int) -> None:
    assert ended(port, b"GET / HTTP/1.1\r\nHost: x\r\n")[1].startswith(b"HTTP/1.1 400")
    assert ended(port)[1].startswith(b"HTTP/1.1 400")
    first = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\n"
    assert b"HTTP/1.1 400" in ended(port, first)[1], "also behind a whole request"


def test_requests_bodies_and_kept_connections_are_as_before(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for body in (b"", b"x" * 3_000_000, b"y"):
            assert client.post("/", content=body, headers={"A": "x" * 30_000}).text == "ok"
    pipelined = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3
    with socket.create_connection(("127.0.0.1", port), 10) as sending:
        sending.sendall(pipelined)
        answer = b""
        while answer.count(b"\r\n\r\nok") < 3:
            answer += sending.recv(4096)


@pytest.mark.parametrize("cookie", [b'a="' + b"\\" * 5000 + b'"', b"a=" + b"x" * 9000])
def test_cookie_that_is_none_of_ours_reaches_no_service(port: int, cookie: bytes) -> None:
    assert ended(port, b"GET / HTTP/1.1\r\nHost: x\r\ncookie: " + cookie + b"\r\n\r\n")[1].startswith(b"HTTP/1.1 400")
    answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"Cookie": "a=b; c=" + "x" * 4000}, trust_env=False)
    assert answer.text == "ok"


def test_headers_behind_a_body_end_the_connection(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    sent, answer = ended(port, head, *[b"a:b\r\n" * 1000] * 5000)
    assert sent < 5_000_000
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
