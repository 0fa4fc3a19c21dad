"""Simulated sensors: streams a recording, or a synthetic arm, over UDP in real time.

    python udpsim.py                                   one synthetic arm for USER_ID until Ctrl-C
    python udpsim.py --recording A.csv.gz --loop       a recording, again and again, millis going on
    python udpsim.py --users 50 --seconds 60           50 arms for USER_ID, USER_ID + 1, …
    python udpsim.py --loss 0.01 --jitter-ms 20        a bad network, the same for the same seed
    python udpsim.py --protocol v2 --board-id 7 --key-hex …      binary datagrams of board 7; --users: 7, 8, …
    python udpsim.py --follow                          performs what the running capture prompts, for USER_ID's device

Prints one line of JSON at the end: sent, dropped_on_purpose, seconds, rate, and how late datagrams left.
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
from contextlib import ExitStack
from functools import partial

from heard import what_udpserver_says
from sending import LOOKAHEAD_S, run_command_line
from simulated_boards import add_board_arguments, board_encoder, board_sources

from semg.process.lifecycle import announce_ready
from semg.recordings.csv_format import load_recording
from semg.settings import Settings, get_settings
from semg.signals.synthesis import SyntheticArm
from semg.simulation.following import PlanWatch, device_of, follow
from semg.simulation.sample_sources import Network, SimulationError, Source, encode_text, from_arrays, from_recording
from semg.store.pool import Pool
from semg.store.simulated_arms import Steering

BLOCK_SAMPLES = 1024
FOLLOW_AHEAD_S = 0.03
"""A wearer who follows prompts does not know the future."""


def user_ids(first: int, users: str) -> list[int]:
    """Return the profiles to send for: ``users`` is how many from ``first`` on, or a list such as ``21,34``.

    Raises
    ------
    SimulationError
        Neither a count nor a list of different numbers.
    """
    try:
        numbers = [int(entry) for entry in users.split(",") if entry.strip()]
    except ValueError as exc:
        raise SimulationError(f"--users is a count (50) or a list of profiles (21,34), got {users!r}") from exc
    if "," not in users:
        numbers = [first + index for index in range(numbers[0] if numbers else 0)]
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise SimulationError(f"--users is a count from 1 on or a list of different profiles, got {users!r}")
    return numbers


def make_sources(options: argparse.Namespace, ids: Sequence[int]) -> dict[int, Source]:
    """Return the samples of each profile, or for v2 of each board: one recording, or people seeded from ``seed``."""
    rate_hz = options.rate_hz or 200.0
    if options.recording:
        recording = load_recording(options.recording)
        rate_hz = options.rate_hz or recording.labelled.rate_hz
        settings = {"loop": options.loop, "channels": options.channels, "rate_hz": options.rate_hz}
        sources = [from_recording(recording, **settings) for _ in ids]
    else:
        sources = [
            synthetic_source(options.seed + index, options.channels or 8, rate_hz, options.sensor)
            for index in range(len(ids))
        ]
    if options.protocol == "v2":
        return board_sources(sources, options, rate_hz)
    return dict(zip(ids, sources, strict=True))


def following_sources(options: argparse.Namespace, pool: Pool, stack: ExitStack) -> dict[int, Source]:
    """Return for each profile, or board, the samples of a wearer who follows the plan that runs for it.

    Raises
    ------
    SemgError
        A profile or board is not in the database of the settings, or that is away.
    """
    is_board = options.protocol == "v2"
    numbers = [options.board_id + index for index in range(len(options.ids))] if is_board else options.ids
    devices = [device_of(pool, board_id=one) if is_board else device_of(pool, one) for one in numbers]
    watch = stack.enter_context(PlanWatch(pool, {device.user_id for device in devices}))
    steering = Steering(fatigue=options.fatigue, mistakes=options.mistakes)
    sources = [follow(watch, device, options.seed + index, steering) for index, device in enumerate(devices)]
    return dict(zip(numbers, sources, strict=True))


def synthetic_source(seed: int, channels: int, rate_hz: float, sensor: str, start_ms: int = 0) -> Source:
    """Return the endless samples of a synthetic person with a 12-bit converter."""
    arm = SyntheticArm(seed, channels, rate_hz, "envelope" if sensor == "envelope" else "raw")
    return from_arrays((part.samples for part in arm.stream(chunk_samples=BLOCK_SAMPLES)), rate_hz, start_ms)


def parse_arguments(settings: Settings, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; settings give the defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", metavar="FILE", help="CSV millis,a0,…,gesture,repetition; synthetic without")
    parser.add_argument("--user-id", type=int, default=settings.user_id, help="first profile (USER_ID, %(default)s)")
    parser.add_argument("--users", default="1", help="how many profiles from --user-id on, or a list: 21,34")
    parser.add_argument("--rate-hz", type=float, help="default: the recording's own, or 200")
    parser.add_argument("--channels", type=int, help="default: all of the recording, or 8")
    parser.add_argument("--sensor", choices=["raw", "envelope"], default="raw", help="of the synthetic arm")
    parser.add_argument("--seconds", type=float, help="stop after this long; default: the recording's end, or never")
    parser.add_argument("--loop", action="store_true", help="start the recording again at its end")
    parser.add_argument("--seed", type=int, default=0, help="the synthetic person, and what the network does")
    parser.add_argument("--loss", type=float, default=0.0, help="probability that a datagram is not sent")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="longest random delay of a datagram")
    parser.add_argument("--reorder", type=float, default=0.0, help="probability of changing places with the next")
    parser.add_argument("--follow", action="store_true", help="perform what the running capture prompts (needs .env)")
    parser.add_argument("--mistakes", type=float, default=0.02, help="follow: share of prompts performed wrongly")
    parser.add_argument("--fatigue", type=float, default=0.3, help="follow: how much the wearer tires, 0 to 1")
    parser.add_argument("--host", default=settings.dest_ip, help="where udpserver is (DEST_IP, %(default)s)")
    parser.add_argument("--port", type=int, default=settings.udp_port, help="its UDP port (UDP_PORT, %(default)s)")
    add_board_arguments(parser)
    options = parser.parse_args(arguments)
    for name, low, high in (
        ("port", 1, 65535),
        ("rate_hz", 50, 2000),
        ("channels", 1, 16),
        ("seconds", 0, 1e9),
        ("mistakes", 0, 1),
        ("fatigue", 0, 1),
    ):
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            parser.error(f"--{name.replace('_', '-')} must lie between {low} and {high:g}, got {value}")
    if options.follow and (options.recording or options.channels or options.rate_hz):
        parser.error("--follow simulates the profile's own device: leave out --recording, --channels and --rate-hz")
    if options.seed < 0 or options.user_id < 0:
        parser.error("--seed and --user-id must not be negative")
    try:
        options.ids = user_ids(options.user_id, options.users)
        options.network = Network(options.loss, options.jitter_ms, options.reorder, options.seed)
        options.encoder = board_encoder(options, len(options.ids)) if options.protocol == "v2" else encode_text
    except SimulationError as exc:
        parser.error(str(exc))
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Stream what the command line asks for."""
    settings = get_settings()
    options = parse_arguments(settings, arguments)
    announce_ready(settings)
    with ExitStack() as stack:
        make = partial(make_sources, options, options.ids)
        if options.follow:
            pool = Pool(settings, size=2, name="udpsim")
            stack.callback(pool.close)
            make = partial(following_sources, options, pool, stack)
        return run_command_line(
            "udpsim",
            make,
            options.host,
            options.port,
            named="boards" if options.protocol == "v2" else "users",
            hear=lambda port: what_udpserver_says(settings, port),
            encode=options.encoder,
            in_blocks=options.protocol == "v2",
            network=options.network,
            seconds=options.seconds,
            spread_s=0.0 if options.follow else 1.0 / (options.rate_hz or 200.0),
            lookahead_s=FOLLOW_AHEAD_S if options.follow else LOOKAHEAD_S,
        )


if __name__ == "__main__":
    sys.exit(main())
