"""The sketch as the page Connect fills it in and the browser downloads it: compiled and run on the host."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from semg.domain import Device
from semg.errors import InvalidValueError
from semg.settings import PROJECT_DIR
from semg.wire.udp2 import Key, decode_v2, signed
from testing.tests.firmware.conftest import ARDUINO, compile_command, skip_or_fail
from ui import sketch

pytestmark = pytest.mark.firmware

ADA = Device(34, ("a0", "a1", "a2"), 500.0)
KEY = bytes(range(32))
HOSTILE = ('Café "8"', "a\\n\\", "??/x%s", "$& $1 `'", "日本 7f", "\t;\x01\x7f")
DOWNLOAD = """
import { writeFileSync } from "node:fs";
import { load } from "%(scripts)s";
const { archive } = await load("ui/sketch.js", "archive");
const { data, wifi } = JSON.parse(process.argv[2]);
for (const [index, [ssid, password]] of wifi.entries()) {
  writeFileSync(`${index}.zip`, Buffer.from(await archive(data, ssid, password).arrayBuffer()));
}
"""
SHOWN = """
#include <stdio.h>
%s
int main() { fwrite(ssid, 1, sizeof(ssid), stdout); fwrite(pass, 1, sizeof(pass), stdout); }
"""


def downloaded(folder: Path, main: str, wifi: list[tuple[str, str]]) -> list[Path]:
    """Download the sketch with each Wi-Fi by the page's own script, and unpack what it made."""
    if shutil.which("node") is None:
        skip_or_fail("node is not installed, so the page's script cannot run")
    scripts = (PROJECT_DIR / "testing" / "javascript" / "scripts.mjs").as_uri()
    (folder / "download.mjs").write_text(DOWNLOAD % {"scripts": scripts})
    data = {"folder": "arduinocode", "main": sketch.NAME, "files": {sketch.NAME: main, **sketch.headers(main)},
            "ssid": sketch.SSID, "password": sketch.PASSWORD}  # fmt: skip
    said = json.dumps({"data": data, "wifi": wifi})
    done = subprocess.run(["node", "download.mjs", said], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = []
    for index in range(len(wifi)):
        with zipfile.ZipFile(folder / f"{index}.zip") as archive:
            assert archive.testzip() is None
            archive.extractall(folder / str(index))
        made.append(folder / str(index) / "arduinocode")
    return made


def test_filled_sketch_runs_and_names_the_wifi_exactly(compiler: str, tmp_path: Path) -> None:
    main = sketch.fill(sketch.Target("192.168.7.20", 8099), ADA, (7, KEY))
    for text in ("XX.XX.XX.XX", "USER_ID = 21"):
        assert text not in main
    wifi = list(zip(HOSTILE, reversed(HOSTILE), strict=True))
    made = downloaded(tmp_path, main, wifi)
    assert {one.name for one in made[0].iterdir()} == {sketch.NAME, *(one.name for one in ARDUINO.glob("*.h"))}
    literals = []
    for folder in made:
        found = re.findall(r"^char (?:ssid|pass)\[\] = \".*\";$", (folder / sketch.NAME).read_text(), re.MULTILINE)
        assert len(found) == 2
        literals.append("\n".join(found))
    for index, (literal, (ssid, password)) in enumerate(zip(literals, wifi, strict=True)):
        program = tmp_path / f"shown{index}"
        subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-trigraphs", "-x", "c++", "-", "-o", str(program)],
                       input=SHOWN % literal, text=True, check=True)  # fmt: skip
        said = subprocess.run([str(program)], capture_output=True, check=True).stdout
        assert said == ssid.encode() + b"\0" + password.encode() + b"\0"
    binary = tmp_path / "sketch"
    command = [part.replace(str(ARDUINO / sketch.NAME), str(made[0] / sketch.NAME))
               for part in compile_command(compiler, "ARDUINO_ARCH_ESP32", binary)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = tmp_path / "datagrams"
    environment = {"HOST_VIRTUAL_CLOCK": "1", "HOST_RUN_MS": "2000", "HOST_UDP_FILE": str(lines), "HOST_UDP_HEX": "1",
                   "HOST_NVM_FILE": str(tmp_path / "nvm")}  # fmt: skip
    ran = subprocess.run([str(binary)], env=environment, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert b"connecting to " + HOSTILE[0].encode() in ran.stdout
    first = bytes.fromhex(lines.read_text().splitlines()[0])
    board, channels, rate = signed_by(first)
    assert (board, channels, rate) == (7, 3, 500.0)


def signed_by(datagram: bytes) -> tuple[int, int, float]:
    """Verify a datagram with the key, and give its board, channels and rate."""
    assert signed([Key(KEY)], [memoryview(datagram)]) == [True]
    block = decode_v2(datagram)
    return block.board_id, block.samples.shape[1], 1e9 / block.period_ns


def test_sketch_with_a_number_sends_text_for_the_profile() -> None:
    main = sketch.fill(sketch.Target("10.0.0.1", 8081), replace(ADA, sensor="envelope"), None)
    assert "int USER_ID = 34;" in main
    assert "#define CLIP_BELOW 0\n" in main
    assert "#define BOARD_ID 0" in main
    assert 'BOARD_KEY "0' not in main
    assert sketch.fill(sketch.Target("10.0.0.1", 1), replace(ADA, channels=tuple("abcdefgh")), None).count(
        f"#define CHANNELS {sketch.PINS}\n"
    )


@pytest.mark.parametrize(
    ("target", "device", "said"),
    [
        ("semg.local", ADA, "four numbers"),
        ('1.2.3.4"); evil("', ADA, "four numbers"),
        ("1.2.3.4", replace(ADA, rate_hz=199.5), "whole rate"),
        ("1.2.3.4", replace(ADA, rate_hz=2000.0), "whole rate"),
        ("1.2.3.4", replace(ADA, user_id=1 << 31), "too large"),
    ],
)
def test_what_the_sketch_cannot_do_is_refused(target: str, device: Device, said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        sketch.fill(sketch.Target(target, 8081), device, None)
