"""What a request of the inference worker costs with one HTTP client and another.

    python testing/benchmarks/predictor_client.py [--posts 2000] [--windows 1,20]

Posts the same bodies (windows of 8 channels and 50 samples) over one kept connection each, the clients in turn within
one run, to a server of its own under the API's uvicorn, which answers as many rows of probabilities. Prints JSON: CPU
of this process and the median and 99th percentile of wall clock for each request, in microseconds. aiohttp is tried
where it is installed; it is no dependency.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpcore
import httpx
import numpy as np
import uvicorn
import uvloop

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from semg.inference.predictor_client import PredictorClient, PredictorError  # noqa: E402 - after the path is set
from semg.wire.windows import CONTENT_TYPE, AnswerTable, encode_alike, encode_answer_table  # noqa: E402

HEADERS = {"Authorization": f"Bearer {'x' * 43}", "Content-Type": CONTENT_TYPE}
ROUNDS = 20
TIMEOUT_S = 10.0
Post = Callable[[bytes], Awaitable[bytes]]


async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    """Answer with as many rows of probabilities as the path says."""
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    n = int(scope["path"].rsplit("/", 1)[1])
    ones = np.ones(n, np.int64)
    answer = encode_answer_table(AnswerTable(ones, ones, 0 * ones, 6 * ones, np.full((n, 6), 1 / 6, np.float32)))
    head = [(b"content-length", str(len(answer)).encode()), (b"content-type", CONTENT_TYPE.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


async def clients(url: str, stack: AsyncExitStack) -> dict[str, Post]:
    """Return a way to post for each client."""
    own = PredictorClient(url, HEADERS, TIMEOUT_S)
    stack.callback(own.close)
    plain = await stack.enter_async_context(httpx.AsyncClient(headers=HEADERS, timeout=TIMEOUT_S, trust_env=False))
    pool = await stack.enter_async_context(httpcore.AsyncConnectionPool(max_connections=1))
    core_headers = {**HEADERS, "Host": httpx.URL(url).netloc.decode()}

    async def with_httpx(body: bytes) -> bytes:
        return (await plain.post(url, content=body)).raise_for_status().content

    async def with_httpcore(body: bytes) -> bytes:
        answer = await pool.request("POST", url, headers=core_headers, content=body)
        return answer.content

    made: dict[str, Post] = {"own": own.post, "httpx": with_httpx, "httpcore": with_httpcore}
    if importlib.util.find_spec("aiohttp"):
        import aiohttp

        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                headers=HEADERS,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=1),
            )
        )

        async def with_aiohttp(body: bytes) -> bytes:
            async with session.post(url, data=body) as answer:
                answer.raise_for_status()
                return await answer.read()

        made["aiohttp"] = with_aiohttp
    return made


async def measure(port: int, n_windows: int, n_posts: int) -> dict[str, dict[str, float]]:
    """Return the costs of each client for requests of so many windows."""
    windows = np.random.default_rng(0).normal(size=(n_windows, 8, 50)).astype(np.float32)
    ones = np.ones(n_windows, np.int64)
    body = encode_alike([(np.arange(n_windows), ones, ones, windows)])
    async with AsyncExitStack() as stack:
        made = await clients(f"http://127.0.0.1:{port}/{n_windows}", stack)
        cpu_s = dict.fromkeys(made, 0.0)
        walls_s: dict[str, list[float]] = {name: [] for name in made}
        answers = {name: await post(body) for name, post in made.items()}  # connects
        assert len(set(answers.values())) == 1
        for _ in range(ROUNDS):
            for name, post in made.items():
                cpu = time.process_time()
                for _ in range(n_posts // ROUNDS):
                    began = time.perf_counter()
                    await post(body)
                    walls_s[name].append(time.perf_counter() - began)
                cpu_s[name] += time.process_time() - cpu
    return {
        name: {
            "cpu_us": round(1e6 * cpu_s[name] / len(walls)),
            "p50_us": round(1e6 * float(np.quantile(walls, 0.5))),
            "p99_us": round(1e6 * float(np.quantile(walls, 0.99))),
        }
        for name, walls in walls_s.items()
    }


async def main(sizes: list[int], n_posts: int, port: int) -> None:
    """Measure each size of request."""
    for _ in range(100):
        try:
            await PredictorClient(f"http://127.0.0.1:{port}/1", HEADERS, TIMEOUT_S).post(b"")
            break
        except PredictorError:
            await asyncio.sleep(0.1)
    print(json.dumps({n: await measure(port, n, n_posts) for n in sizes}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=2000)
    parser.add_argument("--windows", default="1,20", help="windows in a request")
    parser.add_argument("--port", type=int, default=18765)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        uvicorn.run(app, host="127.0.0.1", port=chosen.port, log_level="error", access_log=False)
    else:
        server = subprocess.Popen([sys.executable, __file__, "--serve", "--port", str(chosen.port)])
        try:
            uvloop.run(main([int(part) for part in chosen.windows.split(",")], chosen.posts, chosen.port))
        finally:
            server.terminate()
            server.wait()
