"""What Streamlit's ``st.login`` reads: a secrets file made of the settings."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from semg.platform.identity import write_atomically
from semg.settings import Settings


def secrets_file(settings: Settings) -> Path:
    """Give the file's place."""
    return settings.data_dir / "streamlit" / "secrets.toml"


def write_secrets(settings: Settings) -> None:
    """Write the file, readable by this user only; without a provider there is none."""
    path = secrets_file(settings)
    if not settings.oidc_metadata_url:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of the key that signs logins a cookie of another program is not signed with the key itself.
    cookie = hmac.digest(settings.secret_key.get_secret_value().encode(), b"semg streamlit cookie", hashlib.sha256)
    values = {
        "redirect_uri": f"{settings.app_url.rstrip('/')}/oauth2callback",
        "cookie_secret": cookie.hex(),
        "client_id": settings.oidc_client_id,
        "client_secret": settings.oidc_client_secret.get_secret_value(),
        "server_metadata_url": settings.oidc_metadata_url,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]  # a JSON string is a TOML string
    write_atomically(path, "\n".join(["[auth]", *lines]) + "\n")
