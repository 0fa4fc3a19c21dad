"""Create the certificate of the LAN address at the start."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from semg.errors import PlatformError

VALID_DAYS = 397
"""Browsers refuse certificates that are valid for longer."""
RENEW_DAYS = 30


def ensure(folder: Path, names: list[str], now: datetime | None = None) -> tuple[Path, Path]:
    """Return the paths of a certificate for some names and addresses, and of its key; recreated when it has to be.

    A browser that has accepted it does not ask again while it stays the same: it is renewed only when a name is
    missing or its end is near.

    Raises
    ------
    PlatformError
        The files cannot be written.
    """
    now = datetime.now(UTC) if now is None else now
    cert, key = folder / "lan.pem", folder / "lan.key"
    if not _is_good(cert, key, names, now):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made_cert, made_key = _make(names, now)
            _write(key, made_key)
            _write(cert, made_cert)
        except OSError as exc:
            raise PlatformError(f"the certificate cannot be written to {folder}: {exc.strerror}") from exc
    return cert, key


def fingerprint(cert: Path) -> str:
    """Return the SHA-256 of a certificate as browsers show it."""
    digest = x509.load_pem_x509_certificate(cert.read_bytes()).fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def names_here(address: str) -> list[str]:
    """Return the names and addresses of this machine for a browser, its LAN address first."""
    host = socket.gethostname()
    found = [address, host, f"{host.split('.')[0]}.local", "localhost", "127.0.0.1"]
    return list(dict.fromkeys(name for name in found if name))


def _is_good(cert: Path, key: Path, names: list[str], now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        subject = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    if private.public_key() != found.public_key():
        return False
    return set(_alternatives(names)) <= set(subject) and found.not_valid_after_utc - now > timedelta(days=RENEW_DAYS)


def _make(names: list[str], now: datetime) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


def _alternatives(names: list[str]) -> list[x509.GeneralName]:
    made: list[x509.GeneralName] = []
    for name in names:
        try:
            made.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            made.append(x509.DNSName(name))
    return made


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)
