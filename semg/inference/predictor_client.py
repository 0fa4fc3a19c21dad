"""Connect the worker to the predictor: one HTTP/1.1 connection, kept alive, one request at a time.

A request of httpx costs 0.9 ms of CPU, one of aiohttp 0.14 ms, this 0.04 ms, and a hundred are made a second
(``testing/benchmarks/predictor_client.py``). The parser is uvicorn's, httptools.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import httptools

from semg.errors import SemgError

MAX_ANSWER_BYTES = 64 << 20


class PredictorError(SemgError):
    """The predictor did not answer, or returned an error; the message says which."""


class _Connection(asyncio.Protocol):
    """Feeds received data to a parser, and completes the answer of the pending request."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.reusable = True
        self.began = False
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._fail(f"the connection ended ({exc or 'closed by the API'})")

    def data_received(self, data: bytes) -> None:
        self.began = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self.close()
            self._fail(f"the answer is no HTTP ({exc})")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_ANSWER_BYTES:
            self.close()
            self._fail(f"the answer has more than {MAX_ANSWER_BYTES} bytes")

    def on_message_complete(self) -> None:
        self.reusable = self.reusable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), bytes(self._body)))
        self._parser = httptools.HttpResponseParser(self)

    async def ask(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        """Send a request and return the status and body of the answer."""
        assert self.transport is not None
        self._answer, self.began = asyncio.get_running_loop().create_future(), False
        self._body.clear()
        self.transport.writelines([head, body])
        return await self._answer

    def close(self) -> None:
        self.reusable = False
        if self.transport is not None:
            self.transport.abort()

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(PredictorError(reason))


class PredictorClient:
    """Posts bodies to one address. One request at a time; one event loop.

    Parameters
    ----------
    url
        An ``http`` or ``https`` URL.
    headers
        Sent with every request, in addition to host and length.
    verify
        How a server's certificate is verified; for ``https`` only.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], timeout_s: float, verify: ssl.SSLContext | bool = True
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = verify if parts.scheme == "https" else None
        lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None

    async def post(self, body: bytes) -> bytes:
        """Return the body of the answer.

        Raises
        ------
        PredictorError
            No answer within the timeout, or a status other than 200.
        """
        head = self._head + str(len(body)).encode() + b"\r\n\r\n"
        try:
            async with asyncio.timeout(self._timeout_s):
                status, answer = await self._ask(head, body)
        except TimeoutError as exc:
            self.close()
            raise PredictorError(f"the API did not answer within {self._timeout_s} s") from exc
        except OSError as exc:
            self.close()
            raise PredictorError(f"the API cannot be reached ({exc})") from exc
        except BaseException:
            self.close()
            raise
        if status != 200:
            raise PredictorError(f"the API answered {status}: {answer[:200].decode(errors='replace')}")
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _ask(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        kept = self._connection
        if kept is not None and kept.reusable:
            try:
                return await kept.ask(head, body)
            except PredictorError:
                if kept.began:
                    raise
            # The server has closed an idle connection; a prediction has no side effects, so retry.
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(_Connection, self._host, self._port, ssl=self._ssl)
        self._connection = made
        return await made.ask(head, body)
