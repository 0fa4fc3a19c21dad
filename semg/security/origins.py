"""Under which origins the app is served: scheme, host and port, all three compared exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from semg.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ANYWHERE = ("", "0.0.0.0", "::")
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """One address of the app.

    Attributes
    ----------
    netloc
        Host and port as a browser sends them in ``Host``: lower case, without the scheme's usual port.
    """

    scheme: str
    netloc: str

    @property
    def origin(self) -> str:
        """What a browser sends in ``Origin`` from pages of this address."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by HTTPS."""
        return self.scheme == "https"

    @property
    def host_name(self) -> str:
        """The host without its port."""
        return urlsplit(self.origin).hostname or ""


def addresses_of(settings: Settings) -> tuple[Address, ...]:
    """Return the addresses of the app: ``PUBLIC_APP_URL``, and where it listens itself."""
    return _addresses(settings.public_app_url, settings.scheme, settings.streamlit_host, settings.streamlit_port)


def find_address(settings: Settings, host: str) -> Address | None:
    """Return the address that a ``Host`` header names, or None."""
    wanted = host.strip().lower()
    for address in addresses_of(settings):
        if wanted in (address.netloc, f"{address.netloc}:{_USUAL_PORTS[address.scheme]}"):
            return address
    return None


def origins_of(settings: Settings) -> frozenset[str]:
    """Return the origins that pages of the app have."""
    return frozenset(address.origin for address in addresses_of(settings))


@lru_cache(maxsize=64)
def _addresses(public_url: str, scheme: str, host: str, port: int) -> tuple[Address, ...]:
    names: tuple[str, ...] = _LOOPBACK
    if host not in (*_ANYWHERE, *_LOOPBACK, "::1"):
        names = (f"[{host}]" if ":" in host else host,)
    urls = [public_url] if public_url else []
    urls += [f"{scheme}://{name}:{port}" for name in names]
    return tuple(dict.fromkeys(_address(url) for url in urls))


def _address(url: str) -> Address:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    shown = "" if port is None or port == _USUAL_PORTS.get(parts.scheme) else f":{port}"
    return Address(parts.scheme, f"{host}{shown}")
