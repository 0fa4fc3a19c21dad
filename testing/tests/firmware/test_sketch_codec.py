"""The sketch's SHA-256, HMAC and encoder of binary datagrams, compiled for the host as they are."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semg.settings import PROJECT_DIR
from semg.wire.udp2 import BATTERY_UNKNOWN, DatagramV2, Flag, Key, encode_v2

pytestmark = pytest.mark.firmware

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "v2.json").read_text())
Codec = Callable[[list[str]], list[str]]

# RFC 4231, section 4, cases 1 to 4, 6 and 7 (5 is about a truncated tag): key, data, HMAC-SHA-256.
RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
        b"hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.fixture(scope="module")
def codec(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """Return a function that answers lines as ``codec.cpp`` says."""
    binary = tmp_path_factory.mktemp("codec") / "codec"
    source = Path(__file__).parent / "codec.cpp"
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
    command = [compiler, "-std=c++17", "-O1", *warnings, f"-I{PROJECT_DIR / 'arduino'}", str(source), "-o", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def answer(lines: list[str]) -> list[str]:
        ran = subprocess.run([str(binary)], input="\n".join(lines), capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines()

    return answer


def tag_line(key: bytes, data: bytes) -> str:
    return f"tag {key.hex() or '-'} {data.hex() or '-'}"


def v2_line(datagram: DatagramV2, key_hex: str) -> str:
    n, channels = datagram.samples.shape
    fields = [
        datagram.board_id, datagram.boot_id, datagram.sequence, datagram.device_us, datagram.period_ns, channels, n,
        int(datagram.flags), datagram.lead_off, datagram.clipping, datagram.battery_percent,
        *datagram.samples.ravel().tolist(),
    ]  # fmt: skip
    return f"v2 {key_hex} {' '.join(map(str, fields))}"


def test_tags_are_those_of_rfc_4231(codec: Codec) -> None:
    assert codec([tag_line(key, data) for key, data, _ in RFC_4231]) == [expected for *_, expected in RFC_4231]


def test_tags_are_the_standard_librarys_for_every_length_around_a_block(codec: Codec) -> None:
    rng = np.random.default_rng(0)
    cases = [(rng.bytes(32), rng.bytes(length)) for length in [*range(130), 1000, 1384]]
    expected = [hmac.new(key, data, hashlib.sha256).hexdigest() for key, data in cases]
    assert codec([tag_line(key, data) for key, data in cases]) == expected


def test_golden_fields_give_the_golden_bytes(codec: Codec) -> None:
    lines = []
    for entry in GOLDEN:
        fields = {name: value for name, value in entry.items() if name not in ("key", "datagram")}
        fields["samples"] = np.array(fields["samples"], np.int16)
        lines.append(v2_line(DatagramV2(**fields | {"flags": Flag(fields.get("flags", 0))}), entry["key"]))
    assert codec(lines) == [entry["datagram"] for entry in GOLDEN]


def test_any_fields_give_the_bytes_of_the_wire_format(codec: Codec) -> None:
    rng = np.random.default_rng(1)
    lines, expected = [], []
    for _ in range(200):
        channels = int(rng.integers(1, 17))
        n = int(rng.integers(1, min(255, 1344 // (2 * channels)) + 1))
        datagram = DatagramV2(
            board_id=int(rng.integers(1, 2**63)),
            boot_id=int(rng.integers(2**32)),
            sequence=int(rng.integers(2**32)),
            device_us=int(rng.integers(2**63)),
            period_ns=int(rng.integers(400_000, 25_000_001)),
            samples=rng.integers(-(2**15), 2**15, (n, channels)).astype(np.int16),
            flags=Flag(int(rng.integers(16))),
            lead_off=int(rng.integers(2**16)),
            clipping=int(rng.integers(2**16)),
            battery_percent=int(rng.choice([0, 50, 100, BATTERY_UNKNOWN])),
        )
        key = rng.bytes(32)
        lines.append(v2_line(datagram, key.hex()))
        expected.append(encode_v2(datagram, Key(key)).hex())
    assert codec(lines) == expected


def test_datagram_that_does_not_fit_is_not_made(codec: Codec) -> None:
    samples = np.zeros((85, 8), np.int16)
    assert codec([v2_line(DatagramV2(1, 1, 0, 0, 1_000_000, samples), "00" * 32)]) == [""]
    assert len(codec([v2_line(DatagramV2(1, 1, 0, 0, 1_000_000, samples[:84]), "00" * 32)])[0]) == 2 * 1400
