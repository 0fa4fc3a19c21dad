"""Whatever is sent as a file is counted while it is sent, and ends: sessions, models, videos and archives alike."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from fastapi import Response
from starlette.types import Receive, Scope, Send

from webapi import under_way
from webapi.lifespan import Services

logger = logging.getLogger(__name__)


async def send_counted(services: Services, account_id: int, make: Callable[[], Awaitable[Response]]) -> Response:
    """Return an answer that is counted from now on until it has been sent, to its end or not.

    Parameters
    ----------
    account_id
        Who takes the file; 0 for a service.
    make
        Opens the file and returns what sends it. Called only when the account may have one more.

    Raises
    ------
    HTTPException
        429: this account, or all together, have too many.
    """
    services.downloads.begin(account_id)
    try:
        return CountedResponse(await make(), services, account_id)
    except BaseException:
        services.downloads.end(account_id)
        raise


class CountedResponse(Response):
    """Sends another answer, in ``MAX_SEND_S`` at most, and counts it no more then."""

    def __init__(self, answer: Response, services: Services, account_id: int) -> None:
        super().__init__(None, answer.status_code)
        self.raw_headers = answer.raw_headers
        self._answer, self._services, self._account_id = answer, services, account_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        fields = {"path": scope["path"]}
        try:
            async with asyncio.timeout(under_way.MAX_SEND_S) as limit:
                await self._answer(scope, receive, send)
        except Exception as exc:
            if isinstance(exc, TimeoutError) and limit.expired():
                self._services.metrics.files_cut.labels("slow").inc()
                logger.warning("a file was cut off: its reader is too slow", extra=fields)
                return
            self._services.metrics.files_cut.labels("error").inc()
            logger.exception("a file was not sent to its end", extra=fields)
            raise  # the connection is cut off, which tells the browser that the file is not complete
        finally:
            self._services.downloads.end(self._account_id)
