"""The options of the simulators' command lines that make them boards with keys (v2)."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from semg.errors import WireError
from semg.simulation.board_encoder import BoardEncoder, in_blocks
from semg.simulation.sample_sources import SimulationError, Source
from semg.wire.udp2 import KEY_BYTES, Key

_U32 = 1 << 32


def add_board_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the format of the datagrams."""
    parser.add_argument("--protocol", choices=["v1", "v2"], default="v1", help="text, or binary with a board's tag")
    parser.add_argument("--board-id", type=int, help="v2: number of the (first) board, as Profiles shows it")
    parser.add_argument("--key-hex", help="v2: the boards' key, 64 hexadecimal digits")
    parser.add_argument("--keys-file", type=Path, metavar="FILE", help='v2: JSON, {"board number": "key in hex", …}')
    parser.add_argument("--samples-per-datagram", type=int, help="v2: default: those of 20 ms")
    parser.add_argument("--boot-id", type=int, help="v2: must grow with every start; default: seconds since 1970")


def board_encoder(options: argparse.Namespace, boards: int) -> BoardEncoder:
    """Return the encoder that the command line asks for: ``boards`` boards with consecutive numbers.

    Raises
    ------
    SimulationError
        A number or a key is missing or wrong.
    """
    if options.board_id is None or not 0 < options.board_id <= (1 << 63) - boards:
        raise SimulationError("--protocol v2 needs --board-id, the number that Profiles shows for the board")
    if (options.key_hex is None) == (options.keys_file is None):
        raise SimulationError("--protocol v2 needs either --key-hex or --keys-file")
    boot_id = int(time.time()) % _U32 if options.boot_id is None else options.boot_id
    if not 0 <= boot_id < _U32:
        raise SimulationError(f"--boot-id must lie between 0 and {_U32 - 1}, got {boot_id}")
    ids = range(options.board_id, options.board_id + boards)
    texts = dict.fromkeys(ids, options.key_hex) if options.keys_file is None else _read_keys(options.keys_file, ids)
    return BoardEncoder({board_id: _secret(board_id, text) for board_id, text in texts.items()}, boot_id)


def board_sources(sources: Sequence[Source], options: argparse.Namespace, rate_hz: float) -> dict[int, Source]:
    """Return for each board, from ``--board-id`` on, its source in blocks."""
    return {
        options.board_id + index: in_blocks(source, rate_hz, options.samples_per_datagram)
        for index, source in enumerate(sources)
    }


def _read_keys(path: Path, ids: range) -> dict[int, str]:
    try:
        read = json.loads(path.read_text())
        return {board_id: read[str(board_id)] for board_id in ids}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, TypeError) as exc:
        raise SimulationError(f'{path} is no JSON of the form {{"board number": "key in hex"}}: {exc}') from exc
    except KeyError as exc:
        raise SimulationError(f"{path} has no key for board {exc.args[0]}") from exc


def _secret(board_id: int, text: object) -> bytes:
    try:
        secret = bytes.fromhex(str(text))
        Key(secret)
    except (ValueError, WireError) as exc:
        raise SimulationError(f"the key of board {board_id} must be {2 * KEY_BYTES} hexadecimal digits") from exc
    return secret
