"""Prints the decisions of a profile as they come: an example for programs of your own.

    python testing/listen.py 21 [ws://127.0.0.1:8000]

The server and the token (``SEMG_API_TOKEN``) are those of this installation's `.env`, or of the environment. What else
a message says: docs/wire.md, WebSocket.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import asyncio
import json

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidHandshake, InvalidStatus, InvalidURI

from semg.settings import get_settings


def _is_busy(exc: Exception) -> bool:
    return isinstance(exc, InvalidStatus) and exc.response.status_code >= 500


async def listen(userid: int, server: str, token: str) -> None:
    """Print the label and the confidence of every decision; connect again when the server was away.

    No proxy of the environment is asked: the platform is in one's own network.
    """
    url, told = f"{server}/ws/live/{userid}?samples=false", False

    def try_again(exc: Exception) -> Exception | None:
        """Say once that nobody answers, and go on; give up when somebody else answers."""
        nonlocal told
        was_cut = isinstance(exc.__cause__, EOFError)
        if isinstance(exc, InvalidStatus) and exc.response.status_code == 403:
            sys.exit("token or origin refused")
        if isinstance(exc, InvalidHandshake | InvalidURI) and not was_cut and not _is_busy(exc):
            sys.exit(
                f"listen: {server} is not the platform's API ({exc}). Give its address, for example ws://127.0.0.1:8000."
            )
        if not told:
            told = True
            print(
                f"listen: {server} does not answer ({exc}). Start the platform (./start_all.sh), or give its "
                "address, for example ws://127.0.0.1:8000; retrying until it answers.",
                file=sys.stderr,
                flush=True,
            )
        return None

    headers = {"Authorization": f"Bearer {token}"}
    async for socket in connect(url, additional_headers=headers, proxy=None, process_exception=try_again):
        told = False
        try:
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "decision":  # no label: the classifier was not sure enough
                    print(message["label"] or "unsure", message["confidence"], flush=True)
        except ConnectionClosedError as closed:
            if closed.rcvd and closed.rcvd.code >= 4000:  # not let in, or no such profile
                sys.exit(closed.rcvd.reason)


def main() -> None:
    """Listen to what the command line names."""
    settings = get_settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("userid", type=int, help="number of the profile")
    parser.add_argument("server", nargs="?", default=settings.internal_api_url.replace("http", "ws", 1).rstrip("/"))
    options = parser.parse_args()
    asyncio.run(listen(options.userid, options.server, settings.semg_api_token.get_secret_value()))


if __name__ == "__main__":
    main()
