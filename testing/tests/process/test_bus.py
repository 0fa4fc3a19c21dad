"""The journal's stream on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from semg.errors import BusError
from semg.platform.servers import embedded, nats
from semg.process import bus
from semg.settings import Settings
from semg.wire import messages

pytestmark = pytest.mark.servers


async def test_journal_that_fills_the_servers_limit_is_found_again(tmp_path: Path) -> None:
    port, limit = embedded.free_port(), 64 << 20
    nats.write_config(tmp_path / "nats.conf", tmp_path / "js", port, "semg", "secret", limit, sync_always=False)
    settings = Settings(
        _env_file=None, nats_server=f"127.0.0.1:{port}", nats_password="secret", journal_max_bytes=limit
    )
    for turn in (1, 2):
        server = nats.start(tmp_path / "nats.conf", port, tmp_path / "nats.log")
        client = await bus.connect(settings, "test", forever=False)
        js = await bus.ensure_journal(client, settings)
        await js.publish(messages.journal_subject(0), b"x")
        assert (await js.stream_info(messages.JOURNAL_STREAM)).state.messages == turn
        await client.close()
        server.stop()


async def test_unreachable_bus_names_the_settings() -> None:
    with pytest.raises(BusError, match="NATS_SERVER"):
        await bus.connect(Settings(_env_file=None, nats_server="127.0.0.1:1"), "test", forever=False)
