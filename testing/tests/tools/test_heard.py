"""A simulator learns from the database what udpserver makes of its datagrams."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from heard import what_udpserver_says

from semg.ingest.streams.sources import MAX_SOURCES
from semg.store import services
from semg.store.pool import Pool
from testing.tests.conftest import Servers

pytestmark = pytest.mark.servers


def heard(servers: Servers, pool: Pool, *sources: dict[str, Any]) -> str:
    """Return what a simulator that sends from port 4711 is told, when udpserver has heard these sources."""
    with pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "a:1", 1, datetime.now(UTC), {"sources": list(sources)})
    return what_udpserver_says(servers.settings, 4711)


def test_refusal_is_said_with_the_number_and_what_is_taken_is_not(servers: Servers, pool: Pool) -> None:
    mine = {"address": "127.0.0.1:4711", "user_id": 21}
    other = {"address": "127.0.0.1:4712", "user_id": 22, "state": "json"}
    assert heard(servers, pool, mine | {"state": "ok"}, other) == ""
    said = heard(servers, pool, mine | {"state": "v1_not_allowed"}, other)
    assert said.startswith("udpserver refuses the datagrams for userid 21: ")


def test_who_is_not_heard_at_all_is_told_so(servers: Servers, pool: Pool) -> None:
    assert "has received nothing from this simulator" in heard(servers, pool)
    said = heard(servers, pool, {"address": "127.0.0.1:14711", "state": "ok"})
    assert f"UDP_PORT {servers.settings.udp_port}" in said
    full = [{"address": f"10.0.0.1:{port}", "state": "ok"} for port in range(MAX_SOURCES)]
    assert heard(servers, pool, *full) == "", "a full table says nothing of who is not in it"


def test_without_a_running_udpserver_it_says_how_to_start_one(servers: Servers, pool: Pool) -> None:
    assert "udpserver is not running in this installation" in what_udpserver_says(servers.settings, 4711)


def test_where_there_is_no_database_nothing_is_said(servers: Servers) -> None:
    assert what_udpserver_says(servers.settings.model_copy(update={"postgres_port": 1}), 4711) == ""
