"""Prints the decisions of a profile as they come: an example for programs of your own.

SEMG_API_TOKEN=… python docs/examples/listen.py 21 [ws://127.0.0.1:8000]

The token stands in `.env`. What else a message says: docs/wire.md, WebSocket.
"""

import asyncio
import json
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError


async def listen(userid: int, server: str) -> None:
    """Print the label and the confidence of every decision; connect again when the server was away."""
    headers = {"Authorization": f"Bearer {os.environ['SEMG_API_TOKEN']}"}
    async for socket in connect(f"{server}/ws/live/{userid}?samples=false", additional_headers=headers, proxy=None):
        try:
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "decision":  # no label: the classifier was not sure enough
                    print(message["label"] or "unsure", message["confidence"], flush=True)
        except ConnectionClosedError as closed:
            if closed.rcvd and closed.rcvd.code >= 4000:  # not let in, or no such profile
                sys.exit(closed.rcvd.reason)


if __name__ == "__main__":
    asyncio.run(listen(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "ws://127.0.0.1:8000"))
