"""The generated secrets: made once, completed, never replaced, closed to others."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from semg.platform.installation import env_file
from semg.security import age_files
from semg.settings import NATS_SERVICES, PROJECT_DIR, Settings, load_settings

SERVERS = (
    "POSTGRES_PASSWORD", "POSTGRES_OWNER_PASSWORD",
    "NATS_PASSWORD", *(f"NATS_{service.upper()}_PASSWORD" for service in NATS_SERVICES),
)  # fmt: skip
SECRETS = ("SECRET_KEY", "SEMG_API_TOKEN", "BACKUP_IDENTITY", *SERVERS)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / ".env"


def lines_of(path: Path) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(pairs)  # type: ignore[arg-type]


def test_first_use_makes_every_secret_in_a_file_for_its_owner_only(path: Path) -> None:
    assert env_file.complete(path, load_settings(path)) == list(SECRETS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = lines_of(path)
    assert set(made) == set(SECRETS)
    assert len(set(made.values())) == len(SECRETS)
    assert all(len(value) >= 40 for value in made.values())
    assert load_settings(path).secret_key.get_secret_value() == made["SECRET_KEY"]


def test_second_use_changes_nothing(path: Path) -> None:
    env_file.complete(path, load_settings(path))
    before = path.read_bytes()
    assert env_file.complete(path, load_settings(path)) == []
    assert path.read_bytes() == before


def test_existing_file_is_completed_and_closed(path: Path) -> None:
    path.write_text("# mine\nAPI_PORT=9000\nSECRET_KEY=chosen-by-me\nSEMG_API_TOKEN=\nUSER_ID=7")
    path.chmod(0o644)
    made = env_file.complete(path, load_settings(path))
    assert made == ["SEMG_API_TOKEN", "BACKUP_IDENTITY", *SERVERS]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("# mine\nAPI_PORT=9000\nSECRET_KEY=chosen-by-me\nSEMG_API_TOKEN=")
    settings = load_settings(path)
    assert settings.secret_key.get_secret_value() == "chosen-by-me"
    assert len(settings.semg_api_token.get_secret_value()) >= 40
    assert settings.user_id == 7


def test_secret_of_the_environment_is_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMG_API_TOKEN", "from-outside")
    assert "SEMG_API_TOKEN" not in env_file.complete(path, load_settings(path))
    assert load_settings(path).semg_api_token.get_secret_value() == "from-outside"


def test_password_of_a_named_server_is_not_invented(path: Path) -> None:
    path.write_text("POSTGRES_HOST=db.example\nNATS_SERVER=nats://bus.example:4222\n")
    assert env_file.complete(path, load_settings(path)) == ["SECRET_KEY", "SEMG_API_TOKEN", "BACKUP_IDENTITY"]


def test_key_of_backups_is_made_unless_they_are_encrypted_for_somebody_else(path: Path) -> None:
    assert env_file.complete_backup_key(path, load_settings(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = lines_of(path)
    assert list(made) == ["BACKUP_IDENTITY"]
    (identity,) = age_files.read_identities(made["BACKUP_IDENTITY"], "the file")
    assert not env_file.complete_backup_key(path, load_settings(path))
    path.write_text(f"BACKUP_RECIPIENT={identity.to_public()}\n")
    assert not env_file.complete_backup_key(path, load_settings(path))
    assert "BACKUP_IDENTITY" not in env_file.complete(path, load_settings(path))


def test_example_lists_every_setting_with_its_default(path: Path) -> None:
    example = (PROJECT_DIR / ".env.example").read_text()
    settings = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", example, re.MULTILINE))
    set_by_the_supervisor = {"SEMG_READY_FILE", "SEMG_UDP_FD"}
    assert set(settings) == {name.upper() for name in Settings.model_fields} - set_by_the_supervisor
    path.write_text(example)
    assert load_settings(path) == load_settings(None)
    shown = {name: value for name, value in settings.items() if value}
    path.write_text("\n".join(f"{name}={value}" for name, value in shown.items()))
    assert load_settings(path) == load_settings(None)


def test_ports_of_the_environment_are_remembered_for_another_terminal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("# mine\nAPI_PORT=9000\nUSER_ID=7\n")
    with monkeypatch.context() as first:
        first.setenv("API_PORT", "9100")
        first.setenv("UDP_PORT", "9101")
        first.setenv("DATA_DIR", str(path.parent))
        assert env_file.remember_ports(path, load_settings(path)) == ["API_PORT", "UDP_PORT"]
    elsewhere = load_settings(path)
    assert (elsewhere.api_port, elsewhere.udp_port, elsewhere.user_id) == (9100, 9101, 7)
    assert elsewhere.internal_api_url.endswith(":9100")
    assert path.read_text().startswith("# mine\n")
    before = path.read_bytes()
    assert env_file.remember_ports(path, elsewhere) == []
    assert path.read_bytes() == before
    with monkeypatch.context() as later:
        later.setenv("API_PORT", "9200")
        assert env_file.remember_ports(path, load_settings(path)) == ["API_PORT"]
    assert (load_settings(path).api_port, load_settings(path).udp_port) == (9200, 9101)
