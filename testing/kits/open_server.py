"""A server that leaves everything open that ``testing/attacks`` looks for: it proves that the checks can fail."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

ANOTHER = re.compile(r"((?:127\.0\.0\.1|localhost):\d+)(/[^ ]*)?")
PAGE = '<script src="//cdn.example/app.js"></script><link rel="stylesheet" href="https://fonts.example/a.css">'
MEDIA = f"/media/{'0' * 40}.csv"
HELD_S = 1.3


class OpenServer:
    """An app, an API and a gateway in one, with every fault.

    Attributes
    ----------
    asks_outside
        Whether a foreign origin holds everything up for a while, as a call to the internet does.
    """

    def __init__(self) -> None:
        self.asks_outside = False
        self._busy = threading.Lock()
        self._sessions = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 20

            def handle(self) -> None:
                with suppress(ConnectionError, TimeoutError):  # whoever has seen enough hangs up
                    super().handle()

            def do_GET(self) -> None:
                if ANOTHER.search(self.path) and not self.path.startswith("/login"):
                    outer.relay(self)
                elif "websocket" in self.headers.get("Upgrade", "").lower():
                    outer.socket(self)
                else:
                    outer.answer(self)

            do_POST = do_PUT = do_OPTIONS = do_CONNECT = do_PRI = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[OpenServer]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        yield self
        self._server.shutdown()
        thread.join(20)
        self._server.server_close()

    def relay(self, handler: BaseHTTPRequestHandler) -> None:
        """Fetch whatever is asked for, wherever it is."""
        found = ANOTHER.search(handler.path)
        assert found is not None
        send(handler, 200, httpx.get(f"http://{found[1]}{found[2] or '/'}", trust_env=False).content)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        if path == "/_stcore/health":
            with self._busy:
                send(handler, 200, b"ok")
        elif handler.command == "POST" and path == "/login":
            headers = {"Set-Cookie": "semg_login=x; Domain=evil.example", "Content-Type": "application/json"}
            send(handler, 200, json.dumps({"binding": "b"}).encode(), headers)
        elif "next=" in path:
            send(handler, 303, b"", {"Location": path.partition("next=")[2]})
        else:
            send(handler, 200, PAGE.encode() + b"x" * 300)

    def socket(self, handler: BaseHTTPRequestHandler) -> None:
        """Open a page for everybody, and resume whatever session is named."""
        if self.asks_outside and "evil" in handler.headers.get("Origin", ""):
            with self._busy:
                time.sleep(HELD_S)
        offered = handler.headers.get("Sec-WebSocket-Protocol")
        protocol = ServerProtocol(subprotocols=["streamlit"] if offered else None)  # type: ignore[list-item]
        handler.connection.settimeout(20)
        head = "".join(f"{name}: {value}\r\n" for name, value in handler.headers.items())
        protocol.receive_data(f"GET {handler.path} HTTP/1.1\r\n{head}\r\n".encode())
        (asked,) = protocol.events_received()
        assert isinstance(asked, Request)
        protocol.send_response(protocol.accept(asked))
        named = [part.strip() for part in (offered or "").split(",")][2:3]
        self._sessions += 1
        session = next((one for one in named if not one.startswith("semg.")), f"session-{self._sessions}")
        while True:
            handler.connection.sendall(b"".join(protocol.data_to_send()))
            data = handler.connection.recv(1 << 16)
            protocol.receive_data(data) if data else protocol.receive_eof()
            for event in protocol.events_received():
                if getattr(event, "opcode", None) is Opcode.BINARY:
                    for message in self._told(BackMsg.FromString(event.data), session):
                        protocol.send_binary(message.SerializeToString())
            if not data or protocol.close_expected():
                break
        handler.connection.sendall(b"".join(protocol.data_to_send()))
        handler.close_connection = True

    def _told(self, asked: BackMsg, session: str) -> Iterator[ForwardMsg]:
        told = ForwardMsg()
        if asked.WhichOneof("type") == "file_urls_request":
            one = told.file_urls_response.file_urls.add()
            one.file_id, one.upload_url = "f", f"/_stcore/upload_file/{session}/f"
            yield told
            return
        told.new_session.initialize.session_id = session
        yield told
        for index, (kind, label) in enumerate((("link_button", "Download"), ("button", "Log out"))):
            told = ForwardMsg()
            told.metadata.delta_path.extend([0, index])
            element = getattr(told.delta.new_element, kind)
            element.label = label
            if kind == "link_button":
                element.url, element.help = f"{self.url}/files/session-1.csv.gz?token=a.b.c", MEDIA
            yield told
        told = ForwardMsg()
        told.script_finished = ForwardMsg.FINISHED_SUCCESSFULLY
        yield told


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
