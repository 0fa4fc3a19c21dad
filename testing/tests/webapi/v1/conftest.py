"""One API for all tests of ``/v1``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from semg.platform.servers import postgres
from testing.kits.rest_kit import Rest, rest_running
from testing.tests.conftest import own_servers, own_settings
from webapi.v1 import import_process


@pytest.fixture(scope="package")
def rest(postgres_server: postgres.PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """The running API."""
    folder = tmp_path_factory.mktemp("rest")
    with (
        own_settings(postgres_server, folder) as settings,
        own_servers(postgres_server, settings, folder) as servers,
        rest_running(servers.settings) as made,
    ):
        yield made


@pytest.fixture(scope="package")
def person(rest: Rest) -> int:
    """A profile that is read, and not changed."""
    return rest.profile()


@pytest.fixture(scope="package")
def admin(rest: Rest) -> str:
    """A token of an admin, for everything."""
    return rest.token("admin")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are taken in by the API's own process: to start another takes a second."""
    monkeypatch.setattr(import_process, "take_apart", import_process.take)
