"""The sketch for a board, complete: everything filled in here but the Wi-Fi, which the browser puts in.

The name and the password of the Wi-Fi stay in the browser: it escapes them, makes the archive, and downloads it. What
is filled in here goes to the page with the component's data; nothing lies in the memory of Streamlit's downloads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import streamlit as st

from semg.domain import Device
from semg.errors import InvalidValueError
from semg.security.board_keys import sketch_lines
from semg.settings import PROJECT_DIR

ARDUINO, NAME = PROJECT_DIR / "arduino", "arduinocode.ino"
PINS = 6
"""Inputs that the sketch knows on the boards with the most."""
MIN_RATE_HZ, MAX_RATE_HZ = 50, 1000
MAX_NUMBER = 2**31 - 1
"""The largest ``int`` of the boards."""
SSID, PASSWORD = "YOUR_WIFI_NAME", "YOUR_WIFI_PASSWORD"  # noqa: S105 - the sketch's own words, which are replaced
_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_sketch",
    html='<div class="semg-sketch"></div>',
    css=(_FOLDER / "sketch.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "sketch.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a board sends: the server's IPv4 address and its UDP port."""

    address: str
    port: int


def fill(target: Target, device: Device, board: tuple[int, bytes] | None) -> str:
    """Return the sketch's main file with the server, the device and who sends filled in.

    Parameters
    ----------
    device
        Of the profile: its number, channels and rate.
    board
        Number and key, for signed binary datagrams; None: text datagrams with the profile's number.

    Raises
    ------
    InvalidValueError
        The address is no IPv4 address, or the sketch cannot sample at the device's rate, or send its number.
    """
    try:
        address = str(IPv4Address(target.address.strip()))
    except ValueError as exc:
        raise InvalidValueError(
            "address", "give the server's address as four numbers, such as 192.168.1.20: the board looks up no names"
        ) from exc
    rate_hz = round(device.rate_hz)
    if rate_hz != device.rate_hz or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InvalidValueError(
            "rate_hz",
            f"set a whole rate of {MIN_RATE_HZ} to {MAX_RATE_HZ} samples/s on the Profiles page for the sketch",
        )
    if board is None and not 0 <= device.user_id <= MAX_NUMBER:
        raise InvalidValueError("user_id", "use a board with a key: the profile's number is too large for the sketch")
    lines = [
        "// Filled in by the page Connect",
        *([] if board is None else sketch_lines(*board).splitlines()),
        f"#define SAMPLE_RATE_HZ {rate_hz}",
        f"#define CHANNELS {min(device.n_channels, PINS)}",
        *(["#define CLIP_BELOW 0"] if device.sensor == "envelope" else []),
    ]
    return _replaced(
        (ARDUINO / NAME).read_text(encoding="utf-8"),
        {
            "int USER_ID = 21;": f"int USER_ID = {device.user_id if board is None else 0};",
            '"XX.XX.XX.XX"': f'"{address}"',
            "const uint16_t remotePort = 8081;": f"const uint16_t remotePort = {int(target.port)};",
            "#ifndef BOARD_ID\n": "\n".join([*lines, "#ifndef BOARD_ID", ""]),
        },
    )


def headers(main: str) -> dict[str, str]:
    """Return the files that a sketch includes from its own folder, by name, with what those include."""
    found: dict[str, str] = {}
    waiting = [main]
    while waiting:
        for name in re.findall(r'^#include "([\w.]+)"$', waiting.pop(), re.MULTILINE):
            if name not in found:
                found[name] = (ARDUINO / name).read_text(encoding="utf-8")
                waiting.append(found[name])
    return found


def download(main: str) -> bool:
    """Draw the fields of the Wi-Fi and the button that downloads the sketch; return whether it was downloaded now."""
    files = {NAME: main, **headers(main)}
    sent = _component(
        key="semg-sketch",  # always the same: what was typed stays when a key is made meanwhile
        data={"folder": Path(NAME).stem, "main": NAME, "files": files, "ssid": SSID, "password": PASSWORD},
        on_downloaded_change=lambda: None,
    )
    return bool(sent.downloaded)


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for before, after in changes.items():
        if text.count(before) != 1:
            raise RuntimeError(f"{NAME}: expected one {before!r} to fill in, found {text.count(before)}")
        text = text.replace(before, after)
    return text
