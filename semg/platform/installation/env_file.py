"""The generated secrets in ``.env``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from semg import environment
from semg.errors import SettingsError
from semg.platform.installation.identity import write_atomically
from semg.security.age_files import make_identity
from semg.security.keys import ring_of
from semg.settings import NATS_SERVICES, Settings

HEADER = "# Settings of this installation; .env.example lists all of them. Keep this file secret.\n"
TOKEN_BYTES = 32


def complete(path: Path, settings: Settings) -> list[str]:
    """Generate every secret that is still missing in ``.env``, and close the file to other users.

    Values in the file or the environment are not changed. A password is generated for an embedded server
    only: that of a named server is known to its owner alone.

    Parameters
    ----------
    path
        The file; made if it is not there.
    settings
        The current values of file and environment.

    Returns
    -------
    list of str
        Names of the settings that were generated.
    """
    wanted = {"SECRET_KEY": settings.secret_key, "SEMG_API_TOKEN": settings.semg_api_token}
    if not settings.backup_recipient:
        wanted["BACKUP_IDENTITY"] = settings.backup_identity
    if settings.embedded_postgres:
        wanted["POSTGRES_PASSWORD"] = settings.postgres_password
        wanted["POSTGRES_OWNER_PASSWORD"] = settings.postgres_owner_password
    if settings.embedded_nats:
        for service in ("", *(f"{name}_" for name in NATS_SERVICES)):
            wanted[f"NATS_{service}PASSWORD".upper()] = getattr(settings, f"nats_{service}password")
    names = [
        name
        for name, value in wanted.items()
        if not value.get_secret_value() and not environment.is_in_environment(name)
    ]
    _generate(path, names)
    return names


def remember_ports(path: Path, settings: Settings) -> list[str]:
    """Write the ports in the environment to ``.env``, so that a tool in another terminal finds the system.

    The last start counts; a port that is in neither keeps its default.

    Returns
    -------
    list of str
        Names of the settings that were written.
    """
    text = before = path.read_text(encoding="utf-8") if path.exists() else ""
    written = []
    for name in (f"{one}_PORT" for one in ("API", "UDP", "STREAMLIT", "POSTGRES", "NATS", "LAN")):
        value = str(getattr(settings, name.lower()))
        if environment.is_in_environment(name) and _value(text, name) != value:
            text = _with_value(_without(text or HEADER, name), name, value)
            written.append(name)
    if text != before:
        write_atomically(path, text)
    return written


def complete_backup_key(path: Path, settings: Settings) -> bool:
    """Generate the key of the backups in ``.env`` when no setting names one; return whether it was generated.

    A backup may be the first thing that is done after an update, before a start completes the file.
    """
    if settings.backup_recipient or settings.backup_identity.get_secret_value():
        return False
    _generate(path, ["BACKUP_IDENTITY"])
    return True


def _generate(path: Path, names: Iterable[str]) -> None:
    """Write a random value for each of the settings, and close the file to other users."""
    text = before = path.read_text(encoding="utf-8") if path.exists() else ""
    for name in names:
        made = make_identity() if name == "BACKUP_IDENTITY" else secrets.token_urlsafe(TOKEN_BYTES)
        text = _with_value(text or HEADER, name, made)
    if text != before:
        write_atomically(path, text)
    if path.exists() and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def rotate_key(path: Path, settings: Settings) -> None:
    """Generate a new ``SECRET_KEY`` in ``.env``; the former one is kept for reading (``SECRET_KEYS_OLD``).

    Raises
    ------
    SettingsError
        One of the two is set in the environment, or there is no key yet.
    """
    for name in ("SECRET_KEY", "SECRET_KEYS_OLD"):
        if environment.is_in_environment(name):
            raise SettingsError(
                f"{name} stands in the environment, not in {path.name}: put a new SECRET_KEY there, and the one before "
                "into SECRET_KEYS_OLD"
            )
    before = ring_of(settings)
    if not before.current:
        raise SettingsError("there is no SECRET_KEY yet: start_all.sh makes the first")
    text = _without(path.read_text(encoding="utf-8"), "SECRET_KEY", "SECRET_KEYS_OLD")
    text = _with_value(text, "SECRET_KEY", secrets.token_urlsafe(TOKEN_BYTES))
    write_atomically(path, _with_value(text, "SECRET_KEYS_OLD", ",".join(before)))


def _without(text: str, *names: str) -> str:
    """Empty the settings' lines."""
    line = re.compile(rf"^([ \t]*(?:export[ \t]+)?(?:{'|'.join(names)})[ \t]*=).*$", re.MULTILINE | re.IGNORECASE)
    return line.sub(r"\1", text)


def _value(text: str, name: str) -> str:
    """Return the value of a setting in the file; empty when it has none."""
    said = re.findall(rf"^[ \t]*(?:export[ \t]+)?{name}[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE | re.IGNORECASE)
    return said[-1].strip("'\"") if said else ""


def _with_value(text: str, name: str, value: str) -> str:
    """Fill the setting's empty line, or add a line."""
    empty = re.compile(rf"^[ \t]*(?:export[ \t]+)?{name}[ \t]*=[ \t]*(?:''|\"\")?[ \t]*$", re.MULTILINE | re.IGNORECASE)
    filled, count = empty.subn(f"{name}={value}", text, count=1)
    if count:
        return filled
    return text + ("" if text.endswith("\n") or not text else "\n") + f"{name}={value}\n"
