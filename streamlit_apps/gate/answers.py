"""How the handlers of the gate's pages answer: hardened, never stored, and refusals as sentences."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from gate import documents
from gate.requests import refusal
from semg.errors import LoginError, SemgError, StoreUnavailableError

logger = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


def answered(handler: Handler) -> Handler:
    """Turn the refusals of a handler into answers that the page shows."""

    async def handle(request: Request) -> Response:
        try:
            response = await handler(request)
        except StoreUnavailableError:
            raise
        except LoginError as exc:
            response = refusal(401, str(exc))
        except SemgError as exc:
            text = str(exc)
            response = refusal(422, text[:1].upper() + text[1:] + ("" if text.endswith(".") else "."))
        except (ValueError, TimeoutError) as exc:
            logger.info("a login page's request was refused: %s", exc)
            response = refusal(400, "This was not sent by the login page. Reload it.")
        response.headers["Cache-Control"] = "no-store"
        documents.harden(response.headers, documents.FORM_POLICY)
        return response

    return handle
