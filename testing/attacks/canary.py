"""A server on a port of its own that nobody may ask: it notes whoever comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "the canary was asked"  # noqa: S105 - what an answer holds when a request got through


class Canary:
    """The server, and what it saw: one line for each request, with the cookie that came."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.page = ""
        canary = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:  # noqa: N802 - the library's name
                """Answer with the page at ``/page``, and with the secret anywhere else."""
                is_page = self.path == "/page" and canary.page
                if not is_page:
                    canary.seen.append(f"{self.command} {self.path}")
                body = (canary.page if is_page else SECRET).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if is_page else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_POST = do_PUT = do_HEAD = do_OPTIONS = do_CONNECT = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def listening(self) -> Iterator[Canary]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join(10)
            self._server.server_close()
