"""LAN address: settings that ``--lan`` adds to every service."""

from __future__ import annotations

import socket

import psutil

from semg.errors import PlatformError
from semg.platform.lan import certificate
from semg.settings import API_PREFIX, Settings

_ANYWHERE = ("", "0.0.0.0", "::")
_OUTSIDE = ("203.0.113.1", 9)
"""An address for documentation (RFC 5737): asking for the way there sends nothing."""


def with_lan(settings: Settings) -> tuple[Settings, dict[str, str]]:
    """Return the settings of a platform that serves the LAN, and the additions to its services' environment.

    The certificate is made, unless ``TLS_CERT`` names one. ``PUBLIC_APP_URL`` and ``PUBLIC_API_URL`` stay as they are
    when they are set: a name that a router knows, for instance.

    Raises
    ------
    PlatformError
        This machine has no address in a network.
    """
    address = address_here() if settings.lan_host in _ANYWHERE else settings.lan_host
    app_url = settings.public_app_url or f"https://{_in_url(address)}:{settings.lan_port}"
    api_url = settings.public_api_url or app_url.rstrip("/") + API_PREFIX
    if not settings.tls_cert:
        certificate.ensure(settings.lan_certificate[0].parent, certificate.names_here(address))
    changed = settings.model_copy(update={"lan": True, "public_app_url": app_url, "public_api_url": api_url})
    return changed, environment(changed)


def environment(settings: Settings) -> dict[str, str]:
    """Return what a service's environment needs to see the same addresses as these settings."""
    if not settings.lan:
        return {}
    return {"LAN": "true", "PUBLIC_APP_URL": settings.public_app_url, "PUBLIC_API_URL": settings.public_api_url}


def address_here() -> str:
    """Return this machine's address in its network.

    Raises
    ------
    PlatformError
        It has none.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_OUTSIDE)
            return str(probe.getsockname()[0])
    except OSError:
        pass  # no way out of this network, or no network
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET and not one.address.startswith("127."):
                return str(one.address)
    raise PlatformError("this machine has no address in a network: connect it, or set LAN_HOST in .env")


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
