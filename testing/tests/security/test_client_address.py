"""Where a request comes from, and that a client cannot write it itself."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from semg.security.client_address import UNKNOWN, as_connected, client_address, is_forwarded_too_long, rate_key
from semg.settings import Settings

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
PROXIES = [*LOOPBACK, ip_network("10.1.0.0/16")]


def scope(peer: str | None, *forwarded: str) -> dict[str, object]:
    return {
        "client": None if peer is None else (peer, 1234),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        ("192.0.2.7", ["198.51.100.1"], LOOPBACK, "192.0.2.7"),
        ("127.0.0.1", ["198.51.100.1"], [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9", "198.51.100.1"], LOOPBACK, "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.1, 10.1.2.3"], PROXIES, "198.51.100.1"),
        ("127.0.0.1", ["127.0.0.5"], LOOPBACK, "127.0.0.5"),
        ("127.0.0.1", [], LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", [""], LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9, nonsense"], LOOPBACK, "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9, unknown, 10.1.2.3"], PROXIES, "10.1.2.3"),
        ("127.0.0.1", ["198.51.100.1:4711"], LOOPBACK, "198.51.100.1"),
        ("::1", ["[2001:db8::1]:4711"], LOOPBACK, "2001:db8::1"),
        ("::ffff:127.0.0.1", ["2001:DB8:0::1"], LOOPBACK, "2001:db8::1"),
        ("fe80::1%eth0", ["198.51.100.1"], LOOPBACK, "fe80::1"),
        (None, ["198.51.100.1"], LOOPBACK, UNKNOWN),
        ("127.0.0.1", [", ".join(f"203.0.113.{n}" for n in range(200))], LOOPBACK, "203.0.113.199"),
    ],
)
def test_client_is_the_right_most_address_that_is_no_trusted_proxy(
    peer: str | None, forwarded: list[str], trusted: list, client: str
) -> None:
    assert client_address(scope(peer, *forwarded), trusted) == client


@given(st.lists(st.text(st.characters(max_codepoint=255)), max_size=30))
def test_nothing_that_a_client_writes_before_its_proxy_changes_its_address(written: list[str]) -> None:
    forged = ",".join([*written, " 198.51.100.1"]).encode("latin-1")
    asked = {"client": ("127.0.0.1", 1), "headers": [(b"X-Forwarded-For", forged)]}
    assert client_address(asked, LOOPBACK) == "198.51.100.1"


@given(st.text(st.characters(max_codepoint=255)))
def test_whatever_the_header_holds_an_address_comes_back(written: str) -> None:
    asked = {"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", written.encode("latin-1"))]}
    ip_address(client_address(asked, LOOPBACK))


@pytest.mark.parametrize(
    ("values", "trusts_loopback"),
    [
        ({}, False),
        ({"lan": True}, True),
        ({"public_app_url": "https://emg.lab.example"}, True),
        ({"public_api_url": "https://emg.lab.example/api"}, True),
        ({"public_app_url": "http://192.168.1.5:8501"}, False),
        ({"public_app_url": "http://192.168.1.5:8501", "public_api_url": "http://192.168.1.5:8000"}, False),
        ({"public_api_url": "http://192.168.1.5:8000/api"}, True),
        ({"lan": True, "trusted_proxies": "none"}, False),
        ({"trusted_proxies": "127.0.0.1"}, True),
        ({"lan": True, "trusted_proxies": "10.1.0.0/16, 10.2.0.1"}, False),
    ],
)
def test_loopback_is_trusted_only_when_a_proxy_is_configured(values: dict[str, object], trusts_loopback: bool) -> None:
    trusted = Settings(_env_file=None, **values).trusted_networks
    assert (client_address(scope("127.0.0.1", "198.51.100.1"), trusted) == "198.51.100.1") is trusts_loopback


def test_network_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings(_env_file=None, trusted_proxies="everybody")


@pytest.mark.parametrize(
    ("address", "key"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
     ("2001:db8:1:2:ffff::1%eth0", "2001:db8:1:2::"), ("unknown", "unknown")],
)  # fmt: skip
def test_network_of_one_customer_is_counted_as_one(address: str, key: str) -> None:
    assert rate_key(address) == key


@pytest.mark.parametrize(
    "header",
    ["203.0.113.9", "203.0.113.9:5555", "[2001:db8::7]:4444", "[2001:db8::7]", "2001:db8::7", "unknown", "", " ",
     "203.0.113.9, 127.0.0.1", "127.0.0.1, 127.0.0.1", "203.0.113.9:x", "[203.0.113.9]:80", "[::1]:5", "a:1",
     "203.0.113.9:1:2", "[2001:db8::7", "[2001:db8::7]x", "x, 203.0.113.9:7 ,127.0.0.1", "2001:db8::7%eth0",
     "::ffff:203.0.113.9", "[::ffff:203.0.113.9]:1", "0x7f.1", "203.0.113.009",
     "[203.0.113.5:77]:5", "[203.0.113.5:77]", "[[203.0.113.6]]", "[[203.0.113.6]]:1", "[203.0.113.5]:77]:5"],
)  # fmt: skip
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "198.51.100.4"])
async def test_what_uvicorn_believes_of_this_machine_is_not_believed(peer: str, header: str) -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    headers = [(b"x-forwarded-for", header.encode())]
    scope = {"type": "http", "client": (peer, 1234), "headers": headers, "scheme": "http"}
    await ProxyHeadersMiddleware(inner)(scope, None, None)  # type: ignore[arg-type]
    here = client_address({**seen[0], "client": as_connected(seen[0])}, [])
    assert here in ((peer,) if peer == "198.51.100.4" else ("127.0.0.1", "::1"))


@pytest.mark.parametrize(
    "header",
    ["198.51.100.4, 203.0.113.9", "198.51.100.4:1234, 203.0.113.9", "203.0.113.9, 198.51.100.4",
     "203.0.113.9, 198.51.100.4:1234", "203.0.113.9, 198.51.100.4:1234, 127.0.0.1", "198.51.100.4, 127.0.0.1",
     "203.0.113.9, 198.51.100.4, 10.1.2.3", "203.0.113.9, 198.51.100.4:1234, 10.1.2.3", "10.1.2.3, 203.0.113.9"],
)  # fmt: skip
async def test_whoever_connects_directly_cannot_choose_its_address_where_this_machine_is_a_proxy(header: str) -> None:
    """Also with its own address in the header, in any order, with its own port."""
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    headers = [(b"x-forwarded-for", header.encode())]
    asked = {"type": "http", "client": ("198.51.100.4", 1234), "headers": headers, "scheme": "http"}
    await ProxyHeadersMiddleware(inner)(asked, None, None)  # type: ignore[arg-type]
    assert client_address({**seen[0], "client": as_connected(seen[0])}, PROXIES) == "198.51.100.4"


_HOSTS = st.sampled_from(["127.0.0.1", "::1", "198.51.100.4", "203.0.113.9", "[2001:db8::7]", "2001:db8::7", "x", ""])
_PORTS = st.sampled_from(["", ":1234", ":5", ":x"])


@given(
    peer=st.sampled_from(["127.0.0.1", "::1", "198.51.100.4"]),
    entries=st.lists(st.builds(str.__add__, _HOSTS, _PORTS), max_size=5),
)
async def test_what_the_app_sees_behind_uvicorn_is_what_the_api_sees(peer: str, entries: list[str]) -> None:
    """The API's server is told to leave the header alone; the app's cannot be."""
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    headers = [(b"x-forwarded-for", ", ".join(entries).encode())]
    asked = {"type": "http", "client": (peer, 1234), "headers": headers, "scheme": "http"}
    await ProxyHeadersMiddleware(inner)(dict(asked), None, None)  # type: ignore[arg-type]
    by_app = client_address({**seen[0], "client": as_connected(seen[0])}, LOOPBACK)
    by_api = client_address(asked, LOOPBACK)
    assert by_app == by_api or {by_app, by_api} == {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("header", "is_too_long"),
    [(b"x," * 2100 + b"203.0.113.9", True), (b"203.0.113.9" + b" " * 4100, True),
     (b"198.51.100.4:1" + b",::1" * 16, True), (b"203.0.113.9" + b",::1" * 15, False), (b"", False)],
)  # fmt: skip
def test_header_that_is_longer_than_any_chain_is_told(header: bytes, is_too_long: bool) -> None:
    assert is_forwarded_too_long({"headers": [(b"X-Forwarded-For", header)]}) == is_too_long
    assert is_forwarded_too_long({"headers": [(b"x-forwarded-for", header), (b"x-forwarded-for", b"")]}) == (
        is_too_long or header.count(b",") == 15
    )
