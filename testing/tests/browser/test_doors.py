"""The app in a real browser beside a page of another port of the same host; passkeys; a fresh proof of who it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from semg.settings import Settings
from semg.store import accounts, audit, logins
from semg.store.pool import Pool, execute
from testing.kits.journey import LOGIN, PASSWORD, log_in, open_page
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]

EVIL = """<!DOCTYPE html><title>another port</title><iframe src="APP/" id="frame"></iframe><script>
  const told = {};
  const ended = (socket) => new Promise((done) => {
    socket.onopen = () => done("open");
    socket.onclose = () => done("refused");
  });
  const stream = "APP/_stcore/stream".replace("http", "ws");
  window.attack = async () => ({
    socket: await ended(new WebSocket(stream, ["streamlit", "x"])),
    guessed: await ended(new WebSocket(stream, ["streamlit", "x", "semg.binding.none"])),
    read: await fetch("APP/login/state", {credentials: "include"}).then((r) => r.type, () => "refused"),
    sent: await fetch("APP/login", {method: "POST", credentials: "include", body: "{}",
      headers: {"Content-Type": "application/json"}}).then((r) => r.type, () => "refused"),
    cookie: document.cookie,
    stored: localStorage.getItem("semg-binding"),
  });
</script>"""


@dataclass
class OtherPort:
    """A web server on another port of the app's host, as any program of this machine may be."""

    url: str
    cookies: list[str] = field(default_factory=list)


@pytest.fixture
def other_port(live_settings: Settings) -> Iterator[OtherPort]:
    made = OtherPort("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the library's name
            made.cookies.append(self.headers.get("Cookie", ""))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(EVIL.replace("APP", live_settings.app_url).encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join(20)
    server.server_close()


def test_page_of_another_port_gets_the_cookie_and_nothing_by_it(
    page: Page, live_settings: Settings, other_port: OtherPort, tmp_path: Path
) -> None:
    with running(live_settings, tmp_path, ("streamlit",)):
        log_in(page, live_settings)
        assert page.evaluate("document.cookie").count("semg_login") == 0, "no script reads the login"
        page.goto(other_port.url)
        told = page.evaluate("window.attack()")
        assert (told["socket"], told["guessed"]) == ("refused", "refused")
        assert (told["read"], told["sent"]) == ("refused", "refused")
        assert told["stored"] is None
        assert "semg_login" not in told["cookie"]
        assert page.frame_locator("#frame").get_by_text("sEMG").count() == 0
        stolen = next(one for one in other_port.cookies if "semg_login" in one)  # browsers do send it to every port
        url = f"{live_settings.app_url.replace('http', 'ws')}/_stcore/stream"
        for protocols in (["streamlit", "x"], ["streamlit", "x", "semg.binding.none"]):
            with pytest.raises(InvalidStatus, match="403"):
                connect(
                    url,
                    origin=live_settings.app_url,
                    subprotocols=protocols,
                    additional_headers={"Cookie": stolen},
                )
        with httpx.Client(base_url=live_settings.app_url, headers={"Cookie": stolen}) as client:
            assert client.get("/login/state").status_code == 401
            refused = client.post("/login/factors/list", json={}, headers={"Origin": live_settings.app_url})
            assert refused.status_code == 401
        page.goto(live_settings.app_url)
        expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()


def at_localhost(settings: Settings) -> Settings:
    """Return the app by the name of this machine: browsers make no passkeys for a number."""
    return settings.model_copy(update={"public_app_url": f"http://localhost:{settings.streamlit_port}"})


def test_passkey_logs_in_without_a_password(page: Page, live_settings: Settings, pool: Pool, tmp_path: Path) -> None:
    settings = at_localhost(live_settings)
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
               "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
    device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    with running(settings, tmp_path, ("streamlit",)):
        log_in(page, settings)
        page.goto(f"{settings.app_url}/login/factors")
        page.get_by_label("Name of the new passkey").fill("Laptop")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("Laptop, for localhost")).to_be_visible()
        page.goto(settings.app_url)
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("button", name="Log in with a passkey").click()
        expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
        with pool.transaction() as tx:
            account = accounts.find_account(tx, LOGIN)
            assert account is not None
            (login,) = logins.list_logins(tx, account.account_id)
            assert login.method == "passkey"
            assert "factor.added" in {one.action for one in audit.list_entries(tx)}
            execute(tx, "UPDATE logins SET confirmed_at = now() - interval '1 day'")
        page.goto(f"{settings.app_url}/login/confirm?next=/")
        page.get_by_role("button", name="Confirm with a passkey").click()
        expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
        with pool.transaction() as tx:
            assert logins.is_confirmed(tx, login.login_id, 60)

        page.goto(settings.app_url)
        page.get_by_role("button", name="Log out").click()
        devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
        page.get_by_role("button", name="Log in with a passkey").click()
        expect(page.get_by_text("The passkey was not used")).to_be_visible()


def test_old_login_proves_who_it_is_before_it_makes_a_token(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    with running(live_settings, tmp_path, ("streamlit",)):
        log_in(page, live_settings)
        with pool.transaction() as tx:
            execute(tx, "UPDATE logins SET confirmed_at = now() - interval '1 day'")
        open_page(page, "Profiles")
        page.get_by_role("tab", name="My account").click()
        page.get_by_role("link", name="Confirm your identity").first.click()
        page.get_by_label("Password").fill("wrong password")
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_text("The login or password is wrong")).to_be_visible()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("tab", name="My account").click()
        page.get_by_label("Name of the new token").fill("Robot hand")
        page.get_by_role("button", name="Create token").click()
        expect(page.get_by_text("It is shown only once")).to_be_visible()


def test_address_of_a_client_is_not_what_the_client_says(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    """No proxy is set up: neither the gate nor the web server before it believes ``X-Forwarded-For``."""
    page.set_extra_http_headers({"X-Forwarded-For": "192.0.2.99"})
    with running(live_settings, tmp_path, ("streamlit",)):
        log_in(page, live_settings)
        with httpx.Client(base_url=live_settings.app_url, headers={"Origin": live_settings.app_url}) as client:
            told = [
                client.post(
                    "/login",
                    json={"login": f"nobody {number}", "password": "wrong"},
                    headers={"X-Forwarded-For": f"198.51.100.{number}{port}"},
                ).json()["detail"]
                for number, port in enumerate(["", ":5555"] * 13)
            ]
    assert "too many failed attempts from your address" in told[-1]
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
        assert account is not None
        assert {one.address for one in logins.list_logins(tx, account.account_id)} == {"127.0.0.1"}
