"""Determine the address of the client that a request comes from, also behind a reverse proxy.

``X-Forwarded-For`` is a header like any other: any client may set it. It counts only when the connection
itself comes from a proxy that the settings name (``Settings.trusted_networks``), and only from its right end: each
proxy adds the address that it saw, so everything left of the first untrusted address was written by that client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

Network = IPv4Network | IPv6Network
UNKNOWN = "unknown"
"""The caller of a server that listens on a Unix socket, which has no address."""
MAX_HEADER_BYTES = 4096
_HERE = ("127.0.0.1", 0)
_LOOPBACKS = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
"""Addresses from which uvicorn accepts the header by default."""
MAX_HOPS = 16
"""Number of right-most entries that are examined; no chain of proxies is longer."""


def client_address(scope: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """Return the address of the client that a request or WebSocket comes from.

    Parameters
    ----------
    scope
        The ASGI scope, with ``client`` and ``headers`` as the server made them: run uvicorn with
        ``--no-proxy-headers``.
    trusted
        Networks of the proxies whose ``X-Forwarded-For`` is believed; none: the address of the connection counts.

    Returns
    -------
    str
        The right-most address that is no trusted proxy; when all are, the left-most one. What is no address ends the
        search: the proxy that passed it on is then the client.
    """
    client = scope.get("client")
    peer = str(client[0]) if client else UNKNOWN
    found = _parse(peer)
    if found is None:
        return UNKNOWN
    for entry in _forwarded(scope.get("headers") or ()):
        if not is_trusted(found, trusted):
            break
        further = _parse(entry)
        if further is None:
            break
        found = further
    return str(found)


def is_forwarded_too_long(scope: Mapping[str, Any]) -> bool:
    """Return whether ``X-Forwarded-For`` is longer than any chain of proxies makes it: such a request is refused.

    Parsing it would delay all requests, and parsing a part of it could find another client than parsing all of it.
    """
    lines = [value for name, value in scope.get("headers") or () if name.lower() == b"x-forwarded-for"]
    return sum(map(len, lines)) > MAX_HEADER_BYTES or b",".join(lines).count(b",") >= MAX_HOPS


def as_connected(scope: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return who connected to a web server that has applied ``X-Forwarded-For`` of this machine's own connections.

    uvicorn does so by default, which cannot be changed where Streamlit starts it: it then takes the
    right-most entry that is not this machine. A client without a port, one that is no address, and one that is exactly
    this entry, its port too, was taken from there; the connection came from this machine. (From elsewhere such a header
    is not believed. Who writes its own address and port there is counted as this machine, whose right-most entry that
    is no proxy is then that same address.)
    """
    client = scope.get("client")
    if client is None:
        return None
    lines = [value for name, value in scope.get("headers") or () if name.lower() == b"x-forwarded-for"]
    connected = (str(client[0]), int(client[1]))
    if not lines:
        return connected
    try:
        found = _parse(str(ip_address(connected[0])))  # strictly: a connection's address has no port and no brackets
    except ValueError:
        return _HERE
    if connected[1] == 0:
        return _HERE
    entries = (entry.strip() for entry in reversed(b",".join(lines).decode("latin-1").split(",")))
    believed = next((entry for entry in entries if _parse(entry) not in _LOOPBACKS), "")
    return _HERE if (_parse(believed), _port(believed)) == (found, connected[1]) else connected


def rate_key(address: str) -> str:
    """Return the key for counting an address's requests: the address, or for IPv6 its network of 64 bits.

    One customer of a provider has such a network, with more addresses in it than could ever be counted.
    """
    found = _parse(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> 64 << 64, 64)).network_address)
    return address if found is None else str(found)


def is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    """Return whether an address is that of a trusted proxy."""
    return any(address in network for network in trusted)


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the entries of all ``X-Forwarded-For`` headers, the last one first."""
    lines = [value for name, value in headers if name.lower() == b"x-forwarded-for"]
    entries = b",".join(lines).decode("latin-1").rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    return [entry.strip() for entry in reversed(entries)]


def _port(text: str) -> int | None:
    """Return the port behind an address, as in ``192.0.2.1:80`` or ``[2001:db8::1]:80``."""
    before, _, port = text.rpartition(":")
    if not (before.endswith("]") or (before and ":" not in before)):
        return None
    try:
        return int(port)
    except ValueError:
        return None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text holds, without port, brackets and zone; None: it holds none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
