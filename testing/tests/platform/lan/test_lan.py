"""``start --lan``: the certificate, the address, and what the services are told of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from cryptography import x509

from semg.errors import PlatformError
from semg.platform import __main__ as platform_main
from semg.platform.lan import certificate, lan_address
from semg.platform.servers import embedded
from semg.platform.supervision import services
from semg.platform.supervision.launcher import Launcher
from semg.platform.supervision.unit import url_answers
from semg.settings import Settings
from testing.tests.platform.conftest import Installation

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


def names_in(cert: Path) -> set[str]:
    found = x509.load_pem_x509_certificate(cert.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_certificate_and_key_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    cert, key = certificate.ensure(tmp_path / "tls", ["192.168.1.5", "lab"], NOW)
    assert names_in(cert) == {"192.168.1.5", "lab"}
    assert [path.stat().st_mode & 0o777 for path in (cert, key, cert.parent)] == [0o600, 0o600, 0o700]


def test_certificate_stays_until_a_name_is_missing_or_its_end_is_near(tmp_path: Path) -> None:
    cert, _ = certificate.ensure(tmp_path, ["192.168.1.5", "lab"], NOW)
    first = certificate.fingerprint(cert)
    certificate.ensure(tmp_path, ["192.168.1.5"], NOW + timedelta(days=300))
    assert certificate.fingerprint(cert) == first
    certificate.ensure(tmp_path, ["192.168.1.9", "lab"], NOW)
    second = certificate.fingerprint(cert)
    assert second != first
    certificate.ensure(tmp_path, ["192.168.1.9", "lab"], NOW + timedelta(days=380))
    assert certificate.fingerprint(cert) != second


def test_damaged_certificate_is_made_anew(tmp_path: Path) -> None:
    cert, key = certificate.ensure(tmp_path, ["lab"], NOW)
    key.write_text("no key")
    certificate.ensure(tmp_path, ["lab"], NOW)
    assert "PRIVATE KEY" in key.read_text()
    cert.write_bytes(b"")
    assert certificate.fingerprint(certificate.ensure(tmp_path, ["lab"], NOW)[0])


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(PlatformError, match="certificate cannot be written"):
        certificate.ensure(tmp_path / "tls", ["lab"], NOW)


def settings_of(tmp_path: Path, **values: object) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, lan_host="127.0.0.1", lan_port=9443, **values)


def test_public_addresses_follow_the_lan_address_unless_they_are_set(tmp_path: Path) -> None:
    made, told = lan_address.with_lan(settings_of(tmp_path))
    assert told == {
        "LAN": "true",
        "PUBLIC_APP_URL": "https://127.0.0.1:9443",
        "PUBLIC_API_URL": "https://127.0.0.1:9443/api",
    }
    assert (made.app_url, made.api_url) == (told["PUBLIC_APP_URL"], told["PUBLIC_API_URL"])
    named, _ = lan_address.with_lan(settings_of(tmp_path, public_app_url="https://emg.lab.example"))
    assert (named.app_url, named.api_url) == ("https://emg.lab.example", "https://emg.lab.example/api")


def test_services_themselves_stay_on_plain_loopback_behind_the_gateway(tmp_path: Path) -> None:
    made, _ = lan_address.with_lan(settings_of(tmp_path, tls_cert="own.pem", tls_key="own.key"))
    assert made.internal_api_url == "http://127.0.0.1:8000"
    assert [str(path) for path in made.lan_certificate] == ["own.pem", "own.key"]
    assert not (tmp_path / "tls").exists()
    table = {service.name: service.argv for service in services.table(made)}
    assert "gateway" in table
    assert not any("ssl" in part for argv in table.values() for part in argv)
    assert "gateway" not in {service.name for service in services.table(Settings(_env_file=None))}


def test_own_proxys_address_is_told_to_app_and_api(tmp_path: Path) -> None:
    proxied = Settings(_env_file=None, public_app_url="https://emg.lab", public_api_url="https://emg.lab/predictor")
    table = {service.name: service.argv for service in services.table(proxied)}
    assert {"--browser.serverAddress=emg.lab", "--browser.serverPort=443"} <= set(table["streamlit"])
    assert table["api"][-2:] == ("--root-path", "/predictor")


@pytest.mark.servers
def test_start_with_lan_prints_the_address_and_services_know_it(installation: Installation) -> None:
    port = embedded.free_port()
    installation.values |= {"LAN_HOST": "127.0.0.1", "LAN_PORT": str(port)}
    installation.write()
    assert installation.run("start").returncode == 0
    refused = installation.run("start", "--lan")
    assert refused.returncode == 1
    assert "end it with ./stop_all.sh, then start with --lan" in refused.stderr
    assert installation.run("stop").returncode == 0
    started = installation.run("start", "--lan")
    assert started.returncode == 0, started.stderr
    assert f"App     https://127.0.0.1:{port}\n" in started.stdout
    assert f"API     https://127.0.0.1:{port}/api/docs" in started.stdout
    cert = installation.data_dir / "tls" / "lan.pem"
    assert certificate.fingerprint(cert) in started.stdout
    environment = psutil.Process(installation.pid("one")).environ()
    assert (environment["LAN"], environment["PUBLIC_APP_URL"]) == ("true", f"https://127.0.0.1:{port}")
    again = installation.run("start", "--lan")
    assert again.returncode == 0
    assert certificate.fingerprint(cert) in again.stdout


@pytest.mark.servers
def test_lan_true_of_the_environment_starts_the_gateway_or_is_refused(installation: Installation) -> None:
    port = embedded.free_port()
    installation.values |= {"LAN_HOST": "127.0.0.1", "LAN_PORT": str(port)}
    installation.write()
    assert installation.run("start").returncode == 0
    refused = installation.run("start", LAN="true")
    assert refused.returncode == 1
    assert "end it with ./stop_all.sh, then start with LAN=true" in refused.stderr
    assert installation.run("stop").returncode == 0

    address = f"https://127.0.0.1:{port}"
    named = Settings(_env_file=None, **lan_values(installation))
    installation.table += [asdict(one) for one in services.table(named) if one.name == "gateway"]
    installation.write()
    started = installation.run("start", LAN="true")
    assert started.returncode == 0, started.stderr
    assert f"App     {address}\n" in started.stdout
    assert installation.run("start", LAN="true").returncode == 0
    status = installation.run("start", "--status", LAN="true")
    assert status.returncode == 0
    assert "gateway" in status.stdout
    for name in ("one", "two"):
        environment = psutil.Process(installation.pid(name)).environ()
        assert (environment["LAN"], environment["PUBLIC_APP_URL"]) == ("true", address)

    psutil.Process(installation.state().pid).kill()
    again = installation.run("start", LAN="true")
    assert again.returncode == 0, again.stderr
    environment = psutil.Process(installation.pid("one")).environ()
    assert (environment["LAN"], environment["PUBLIC_API_URL"]) == ("true", f"{address}/api")
    assert url_answers(f"{address}/_gateway/health")


def lan_values(installation: Installation) -> dict[str, str]:
    return {name.lower(): value for name, value in installation.values.items()} | {"lan": "true"}


def test_services_of_a_supervisor_that_nobody_told_see_the_lan_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Settings] = []

    class Silent:
        def __init__(self, settings: Settings, *others: object) -> None:
            seen.append(settings)

        def run(self) -> int:
            return 0

    monkeypatch.setattr(platform_main, "Supervisor", Silent)
    monkeypatch.setattr(platform_main.log, "configure", lambda *given: None)
    monkeypatch.setattr(platform_main, "load_settings", lambda: settings_of(tmp_path, lan=True))
    assert platform_main.main(["supervise"]) == 0
    assert seen[0].app_url == "https://127.0.0.1:9443"
    assert (tmp_path / "tls" / "lan.pem").exists()
    launcher = Launcher(seen[0].model_copy(update={"log_dir": tmp_path / "logs"}), "x", ThreadPoolExecutor(1))
    environment = launcher._environment("one")
    assert (environment["LAN"], environment["PUBLIC_APP_URL"]) == ("true", "https://127.0.0.1:9443")
