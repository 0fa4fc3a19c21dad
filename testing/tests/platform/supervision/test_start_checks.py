"""What is refused before anything starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from semg.errors import PlatformError
from semg.platform.servers import embedded
from semg.platform.supervision import start_checks
from semg.settings import Settings, load_settings


@pytest.fixture
def free(tmp_path: Path) -> Settings:
    ports = {name: embedded.free_port() for name in ("api_port", "streamlit_port", "postgres_port", "nats_port")}
    folders = {"data_dir": tmp_path / "data", "log_dir": tmp_path / "logs"}
    udp = {"udp_port": embedded.free_port(kind=socket.SOCK_DGRAM), "postgres_host": "", "nats_server": ""}
    return load_settings(None).model_copy(update=ports | folders | udp)


def test_free_ports_and_folders_pass(free: Settings) -> None:
    start_checks.check_ports(free)
    start_checks.check_folders(free)
    start_checks.check_tls(free)


def test_logs_of_an_earlier_version_are_closed_at_the_start(free: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    start_checks.check_folders(free)
    assert free.log_dir.stat().st_mode & 0o777 == 0o700
    free.log_dir.chmod(0o755)
    for name in ("api.log", "supervisor.log.1", "postgres.log", "of-another.log"):
        (free.log_dir / name).touch()
        (free.log_dir / name).chmod(0o644)
    start_checks.close_logs(free)
    open_ones = {path.name for path in free.log_dir.iterdir() if path.stat().st_mode & 0o077}
    assert open_ones == {"of-another.log"}
    assert free.log_dir.stat().st_mode & 0o777 == 0o755, "LOG_DIR may be shared"
    monkeypatch.setattr(Settings.model_fields["log_dir"], "default", free.log_dir)
    start_checks.close_logs(free)
    assert free.log_dir.stat().st_mode & 0o777 == 0o700


def test_disk_without_room_names_the_settings(free: Settings) -> None:
    with pytest.raises(PlatformError, match="disk is full.*MIN_FREE_DISK_MB.*DATA_DIR"):
        start_checks.check_folders(free.model_copy(update={"min_free_disk_mb": 1 << 40}))


def test_folder_that_cannot_be_made_names_the_setting(free: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError, match="set DATA_DIR"):
        start_checks.check_folders(free.model_copy(update={"data_dir": tmp_path / "file" / "data"}))


def test_two_settings_with_one_port_are_named(free: Settings) -> None:
    with pytest.raises(PlatformError, match="API_PORT and STREAMLIT_PORT are both"):
        start_checks.check_ports(free.model_copy(update={"streamlit_port": free.api_port}))


def test_udp_and_tcp_may_share_a_number(free: Settings) -> None:
    start_checks.check_ports(free.model_copy(update={"udp_port": free.api_port}))


def test_address_of_another_machine_names_the_host_setting(free: Settings) -> None:
    with pytest.raises(PlatformError, match="API_HOST 192.0.2.1 is no address of this machine"):
        start_checks.check_ports(free.model_copy(update={"api_host": "192.0.2.1"}))  # RFC 5737: never assigned


def test_port_on_one_address_is_taken_by_a_server_on_all(free: Settings) -> None:
    with socket.create_server(("0.0.0.0", free.api_port)), pytest.raises(PlatformError, match="set API_PORT"):
        start_checks.check_ports(free)


def test_certificate_without_key_is_refused(free: Settings, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="belong together"):
        start_checks.check_tls(free.model_copy(update={"tls_cert": "x.pem"}))
    with pytest.raises(PlatformError, match="TLS_CERT names"):
        missing = {"tls_cert": str(tmp_path / "x"), "tls_key": str(tmp_path / "y")}
        start_checks.check_tls(free.model_copy(update=missing))


def test_half_a_provider_is_refused_at_the_start(free: Settings) -> None:
    with pytest.raises(PlatformError, match="OIDC_METADATA_URL"):
        start_checks.check_provider(free.model_copy(update={"oidc_client_id": "semg"}))
