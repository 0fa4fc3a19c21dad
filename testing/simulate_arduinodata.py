"""Sends what the sketch sends: envelope sensors on a 12-bit converter, as text v1 or as a board's binary v2.

    python simulate_arduinodata.py
    python simulate_arduinodata.py --channels 1 --seconds 10 --start-millis 4294962296     wraps after 5 s
    python simulate_arduinodata.py --protocol v2 --board-id 7 --key-hex …                  blocks with a tag

Defaults are the sketch's (arduino/arduinocode.ino). Prints one line of JSON at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
from collections.abc import Sequence

from heard import what_udpserver_says
from sending import run_command_line
from simulated_boards import add_board_arguments, board_encoder, board_sources
from udpsim import synthetic_source

from semg.settings import Settings, get_settings
from semg.simulation.sample_sources import SimulationError, Source, encode_text
from semg.wire.udp import EPOCH_MS_FROM

SKETCH_RATE_HZ = 200.0
SKETCH_CHANNELS = 4


def parse_arguments(settings: Settings, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; settings and the sketch's constants give the defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user-id", type=int, default=settings.user_id, help="profile (USER_ID, %(default)s)")
    parser.add_argument("--rate-hz", "--rate", type=float, default=SKETCH_RATE_HZ, help="samples per second")
    parser.add_argument("--channels", type=int, default=SKETCH_CHANNELS, help="sensors connected (%(default)s)")
    parser.add_argument("--seconds", type=float, help="stop after this long; default: Ctrl-C")
    parser.add_argument("--host", default=settings.dest_ip, help="where udpserver is (DEST_IP, %(default)s)")
    parser.add_argument("--port", type=int, default=settings.udp_port, help="its UDP port (UDP_PORT, %(default)s)")
    parser.add_argument("--start-millis", type=int, default=0, help="the board's millis() at the first sample")
    parser.add_argument("--seed", type=int, default=0, help="the synthetic person")
    add_board_arguments(parser)
    options = parser.parse_args(arguments)
    limits = (("port", 1, 65535), ("rate_hz", 50, 1000), ("channels", 1, 16), ("start_millis", 0, EPOCH_MS_FROM - 1))
    for name, low, high in limits:
        if not low <= getattr(options, name) <= high:
            parser.error(f"--{name.replace('_', '-')} must lie between {low} and {high}, got {getattr(options, name)}")
    if options.seed < 0 or options.user_id < 0 or (options.seconds or 0) < 0:
        parser.error("--seed, --user-id and --seconds must not be negative")
    try:
        options.encoder = board_encoder(options, 1) if options.protocol == "v2" else encode_text
    except SimulationError as exc:
        parser.error(str(exc))
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Stream until the end of ``--seconds`` or Ctrl-C."""
    settings = get_settings()
    options = parse_arguments(settings, arguments)

    def make_sources() -> dict[int, Source]:
        source = synthetic_source(options.seed, options.channels, options.rate_hz, "envelope", options.start_millis)
        if options.protocol == "v2":
            return board_sources([source], options, options.rate_hz)
        return {options.user_id: source}

    return run_command_line(
        "simulate_arduinodata",
        make_sources,
        options.host,
        options.port,
        named="boards" if options.protocol == "v2" else "users",
        hear=lambda port: what_udpserver_says(settings, port),
        encode=options.encoder,
        in_blocks=options.protocol == "v2",
        seconds=options.seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
