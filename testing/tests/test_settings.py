"""Settings: defaults that work on one machine, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from semg.errors import SettingsError
from semg.settings import PROJECT_DIR, Settings, load_settings


def test_no_server_named_means_embedded_ones_on_loopback() -> None:
    settings = Settings(_env_file=None)
    assert settings.embedded_postgres
    assert settings.postgres_address == ("127.0.0.1", 5442)
    assert settings.nats_urls == ["nats://127.0.0.1:4232"]


def test_named_server_is_expected_at_its_usual_port() -> None:
    assert Settings(_env_file=None, postgres_host="db.lab").postgres_address == ("db.lab", 5432)
    assert Settings(_env_file=None, postgres_host="db.lab", postgres_port=6000).postgres_address == ("db.lab", 6000)
    assert Settings(_env_file=None, nats_server="a:4222, tls://b:1").nats_urls == ["nats://a:4222", "tls://b:1"]


def test_wrong_value_names_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UDP_PORT", raising=False)
    (tmp_path / "env").write_text("UDP_PORT=eighty\n")
    with pytest.raises(SettingsError, match="UDP_PORT.*eighty"):
        load_settings(tmp_path / "env")


def test_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env").write_text("UDP_PORT=1234\nDATA_DIR=elsewhere\n")
    monkeypatch.setenv("UDP_PORT", "4321")
    settings = load_settings(tmp_path / "env")
    assert settings.udp_port == 4321
    assert settings.data_dir == PROJECT_DIR / "elsewhere"


def test_secrets_do_not_show_in_a_printed_settings_object() -> None:
    assert "hunter2" not in repr(Settings(_env_file=None, postgres_password="hunter2", secret_key="hunter2"))


def test_browser_addresses_follow_certificate_and_public_names() -> None:
    assert Settings(_env_file=None, api_host="0.0.0.0").api_url == "http://127.0.0.1:8000"
    assert Settings(_env_file=None, tls_cert="c", tls_key="k").app_url == "https://127.0.0.1:8501"
    assert Settings(_env_file=None, public_app_url="https://lab.example").app_url == "https://lab.example"
