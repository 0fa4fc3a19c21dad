"""What udpserver says of a simulator's datagrams, where its database can be asked."""

from __future__ import annotations

from semg.errors import SemgError
from semg.ingest.stream_health import refusal
from semg.ingest.streams.sources import MAX_SOURCES
from semg.settings import Settings
from semg.store import services
from semg.store.pool import Pool

FRESH_S = 10.0


def what_udpserver_says(settings: Settings, port: int) -> str:
    """Return why what is sent from a port of this machine is refused, or that it is not heard.

    Empty when it is taken, or when nobody can be asked: not on the machine that the platform runs on.
    """
    try:
        pool = Pool(settings, size=1, name="simulator")
        try:
            with pool.transaction() as tx:
                found = services.list_services(tx, FRESH_S)
        finally:
            pool.close()
    except SemgError:
        return ""  # not the machine that the platform runs on
    servers = [one for one in found if one.service == "udpserver"]
    if not servers:
        return "udpserver is not running in this installation: start it with ./start_all.sh, if you mean to send to it"
    sources = [one for each in servers for one in each.metrics.get("sources", [])]
    mine = [one for one in sources if str(one.get("address", "")).endswith(f":{port}")]
    if not mine and len(sources) < MAX_SOURCES:
        return (
            f"udpserver of this installation (UDP_PORT {settings.udp_port}) has received nothing from this simulator: "
            "check --host and --port, if you mean to send to it"
        )
    mine = [one for one in mine if one.get("state") != "ok"]
    if not mine:
        return ""
    number = mine[0].get("user_id")
    whom = "" if number is None else f" for userid {number}"
    return f"udpserver refuses the datagrams{whom}: {refusal(str(mine[0].get('state')))}"
