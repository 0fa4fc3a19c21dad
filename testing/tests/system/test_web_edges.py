"""How the system meets browsers: loopback by default, TLS of its own, and the documented reverse proxy."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from semg.platform.lan import certificate, gateway_config
from semg.platform.servers import embedded
from semg.platform.supervision import services
from semg.process.lifecycle import verification
from semg.security import tokens
from semg.settings import PROJECT_DIR, Settings, load_settings
from semg.store import accounts, profiles
from semg.store.pool import Pool
from testing.kits.gateway_kit import System, Upstream, say, serving
from testing.kits.new_logins import new_login
from testing.running_system import running
from testing.tests.conftest import Servers, skip_or_fail
from testing.tests.platform.lan.test_gateway_targets import HIDDEN, TARGETS, UNNEEDED, UPGRADE, Other, request

pytestmark = pytest.mark.servers
SERVER_NAME = "emg.lab.example"


def listening(process: psutil.Process) -> set[str]:
    """Return the addresses that a process and its children listen on."""
    found = set()
    for one in (process, *process.children(recursive=True)):
        found |= {c.laddr.ip for c in one.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    return found


def test_only_udp_listens_beyond_this_machine_by_default() -> None:
    settings = load_settings(None)
    assert (settings.api_host, settings.streamlit_host, settings.udp_host) == ("127.0.0.1", "127.0.0.1", "0.0.0.0")
    commands = {service.name: " ".join(service.argv) for service in services.table(settings)}
    assert "--host 127.0.0.1" in commands["api"]
    assert "--server.address=127.0.0.1" in commands["streamlit"]
    assert "gateway" not in commands


def test_api_with_a_certificate_speaks_tls_only_and_listens_on_loopback(servers: Servers, tmp_path: Path) -> None:
    cert, key = certificate.ensure(tmp_path / "tls", ["127.0.0.1", "localhost"])
    settings = servers.settings.model_copy(update={"tls_cert": str(cert), "tls_key": str(key)})
    assert settings.internal_api_url.startswith("https://")
    with running(settings, tmp_path, ("api",)):
        verify = verification(settings)
        assert isinstance(verify, ssl.SSLContext)
        assert httpx.get(f"{settings.internal_api_url}/healthz", verify=verify).json() == {"status": "ok"}
        with pytest.raises(httpx.ConnectError, match="(?i)certificate"):
            httpx.get(f"{settings.internal_api_url}/healthz")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{settings.api_port}/healthz")
        assert listening(psutil.Process()) & {"0.0.0.0", "::"} == set()
        assert "127.0.0.1" in listening(psutil.Process())


def documented_configuration(folder: Path, settings: Settings, port: int, cert: Path, key: Path) -> Path:
    """Write the configuration of docs/operations.md with this test's ports and files, for a process without root."""
    text = (PROJECT_DIR / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"\n    map \$request \$semg_refused.*?\n    }\n\n", text, re.DOTALL)
    assert found is not None
    server = found[0]
    for before, after in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/emg.pem", str(cert)),
        ("/etc/ssl/emg.key", str(key)),
        ("/var/log/nginx/semg.log", str(folder / "access.log")),
        ("/var/log/nginx/semg-errors.log", str(folder / "errors.log")),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{settings.api_port}"),
        ("http://127.0.0.1:8501", f"http://127.0.0.1:{settings.streamlit_port}"),
    ):
        assert server.count(before) == (2 if before.startswith("http://") else 1), before
        server = server.replace(before, after)
    own = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{own}{server}}}\n"
    )
    return path


@contextmanager
def nginx(folder: Path, configuration: Path, port: int) -> Iterator[None]:
    program = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
    if program is None:
        skip_or_fail("nginx is not there: apt-get install nginx-light")
    assert program is not None
    process = subprocess.Popen([program, "-c", str(configuration), "-e", str(folder / "nginx.log")])
    try:
        deadline = time.monotonic() + 30
        while embedded.port_is_free("127.0.0.1", port):
            assert process.poll() is None, (folder / "nginx.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(20)


async def first_line(context: ssl.SSLContext, port: int, asked: str, length: int) -> bytes:
    """Announce a body, send none of it, and give the first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=SERVER_NAME)
    writer.write(f"{asked} HTTP/1.1\r\nHost: {SERVER_NAME}:{port}\r\nContent-Length: {length}\r\n\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), 20)
    writer.transport.abort()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return line


async def test_documented_reverse_proxy_serves_app_api_and_websockets(
    servers: Servers, pool: Pool, tmp_path: Path
) -> None:
    port = embedded.free_port()
    public = f"https://{SERVER_NAME}:{port}"
    settings = servers.settings.model_copy(
        update={"public_app_url": public, "public_api_url": f"{public}/api", "api_requests_per_s": 4.0}
    )
    cert, key = certificate.ensure(tmp_path / "tls", [SERVER_NAME])
    tmp_path.chmod(0o755)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200)
        account_id = accounts.insert_account(tx, "ada", "")
    login = new_login(pool, account_id)
    cookie = f"__Host-semg_login={login.token}"
    context = ssl.create_default_context(cafile=str(cert))
    configuration = documented_configuration(tmp_path, settings, port, cert, key)
    with running(settings, tmp_path, ("api", "streamlit")), nginx(tmp_path, configuration, port):
        extensions = {"sni_hostname": SERVER_NAME}
        here = {"Host": f"{SERVER_NAME}:{port}"}
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=context, headers=here) as client:

            async def get(path: str, **headers: str) -> httpx.Response:
                return await client.get(path, headers=headers, extensions=extensions)

            assert (await get("/api/healthz")).json() == {"status": "ok"}
            service = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
            assert (await get("/api/metrics", **service)).status_code == 404
            for path in UNNEEDED:
                assert (await get(path, **service)).status_code == 404, path
            assert (await get("/")).headers["location"] == "/login?next=%2F"
            page = await get("/", Cookie=cookie)
            assert "streamlit" in page.text.lower()
            for name in ("x-content-type-options", "x-frame-options", "content-security-policy", "referrer-policy"):
                assert name in page.headers
            assert page.headers["strict-transport-security"]
            # What a browser asks for at once when it opens pages is let through; far more is not, and for a while only.
            opening = await asyncio.gather(*(get("/_stcore/health") for _ in range(100)))
            assert {one.status_code for one in opening} == {200}
            upload = "/_stcore/upload_file/x/y"
            assert b" 413 " in await first_line(context, port, f"PUT {upload}", 66 << 20)
            assert b" 413 " in await first_line(context, port, "POST /api/predict", 17 << 20)
            refused = [await client.put(upload, content=b"x", extensions=extensions) for _ in range(25)]
            assert (refused[0].status_code, refused[-1].status_code) == (403, 429)
        asked = {"ssl": context, "host": "127.0.0.1", "port": port, "server_hostname": SERVER_NAME}
        address = f"wss://{SERVER_NAME}:{port}"
        secret = settings.secret_key.get_secret_value()
        token = tokens.make_token(secret, tokens.LIVE, str(user_id), 60, login=login.login)
        protocols = [tokens.SUBPROTOCOL, tokens.TOKEN_PROTOCOL_PREFIX + token]
        live = f"{address}/api/ws/live/{user_id}"
        async with connect(live, origin=public, subprotocols=protocols, **asked) as socket:
            assert socket.subprotocol == tokens.SUBPROTOCOL
            assert await socket.ping()
        async with connect(live, origin="https://evil.example", subprotocols=protocols, **asked) as socket:
            await socket.wait_closed()
            assert socket.close_code == 4401
        app = {"subprotocols": ["streamlit", "x", f"semg.binding.{login.binding}"], **asked}
        page_socket, shown = f"{address}/_stcore/stream", {"Cookie": cookie}
        async with connect(page_socket, origin=public, additional_headers=shown, **app) as socket:
            assert await socket.ping()
        for origin, headers in (("https://evil.example", shown), (public, {})):
            with pytest.raises(InvalidStatus):
                async with connect(page_socket, origin=origin, additional_headers=headers, **app):
                    pass
        # The proxy tells the API who asks, and nobody can pretend to be many.
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=context, headers=here) as client:
            statuses: list[int] = []
            while 429 not in statuses and len(statuses) < 300:  # what is allowed again meanwhile depends on the machine
                given = await client.get(
                    "/api/docs", headers={"X-Forwarded-For": f"10.0.0.{len(statuses)}"}, extensions=extensions
                )
                statuses.append(given.status_code)
        assert statuses[0] == 200
        assert statuses[-1] == 429


@contextmanager
def documented_nginx(folder: Path, app: Upstream, api: Upstream) -> Iterator[System]:
    port = embedded.free_port()
    settings = Settings(_env_file=None, streamlit_port=app.port, api_port=api.port, data_dir=folder)
    cert, key = certificate.ensure(folder / "tls", [SERVER_NAME, "127.0.0.1"])
    folder.chmod(0o755)
    with nginx(folder, documented_configuration(folder, settings, port, cert, key), port):
        context = ssl.create_default_context(cafile=str(cert))
        yield System(app, api, port, context, folder / "access.log", settings)


async def test_documented_reverse_proxy_refuses_what_the_gateway_refuses(tmp_path: Path) -> None:
    app, api = Upstream("app"), Upstream("api")
    async with serving(app, app.port), serving(api, api.port), Other() as other:
        with documented_nginx(tmp_path, app, api) as system:
            for target in TARGETS:
                line = target.replace(b"PORT", str(other.port).encode())
                for said in (request(line), request(line, UPGRADE, b"close, Upgrade")):
                    answer = await say(system, said)
                    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 405 ", b"<html>")), (line, answer)
                    assert b"secret" not in answer
                    assert (system.seen, other.connections) == ([], 0), line
            for path in UNNEEDED:
                assert (await say(system, request(b"GET " + path.encode()))).startswith(b"HTTP/1.1 404 "), path
            for said in HIDDEN:
                before = len(system.seen)
                await say(system, said, until_silent=True)
                assert len(system.seen) <= before + 1, said
                assert not any("smuggled" in one for one in system.seen), said
            assert b" 400 " in (await say(system, request(b"PATCH /api/predict"))).split(b"\r\n")[0]
            api.seen.clear()
            for line in (b"PATCH /api/v1/sessions/5", b"POST /api/v1/profiles/21/recordings?name=x"):
                assert b" 200 " in (await say(system, request(line))).split(b"\r\n")[0], line
            assert api.seen == ["PATCH /v1/sessions/5", "POST /v1/profiles/21/recordings"]
            app.seen.clear()
            pages = [f"/{name}" for name in gateway_config.page_names()]
            needed = ["/", *pages, "/login", "/gate/x", "/oauth2callback", "/static/js/a.b.js", "/_stcore/host-config"]
            for path in needed:
                assert b" 200 " in (await say(system, request(b"GET " + path.encode()))).split(b"\r\n")[0], path
            assert app.seen == [f"GET {path}" for path in needed]
            upgraded = await say(system, request(b"GET /login", UPGRADE, b"Upgrade"), until_silent=True)
            assert upgraded.startswith(b"HTTP/1.1 200 "), "passed on as what it is without the upgrade"


async def test_documented_log_holds_no_token_and_no_session(tmp_path: Path) -> None:
    app, api = Upstream("app"), Upstream("api")
    with documented_nginx(tmp_path, app, api) as system:
        async with serving(app, app.port), serving(api, api.port):
            for line in (
                b"GET /api/videos/7?token=s3cr3t", b"PUT /_stcore/upload_file/s3cr3t/f", b"GET /media/s3cr3t.png",
                b"GET /?a=s3cr3t", b"GET /static/%73?s3cr3t",
            ):  # fmt: skip
                await say(system, request(line, b"Content-Length: 0\r\n" if line[:1] == b"P" else b""))
        assert b" 502 " in await say(system, request(b"GET /api/videos/8?token=s3cr3t"))
    logged = (tmp_path / "access.log").read_text()
    assert '"GET /api/videos/8" 502' in logged or '"GET /videos/8" 502' in logged
    assert '"PUT /_stcore/upload_file/..." 200' in logged
    for name in ("access.log", "errors.log", "nginx.log"):
        assert "s3cr3t" not in ((tmp_path / name).read_text() if (tmp_path / name).exists() else ""), name
