"""Binary datagrams: golden bytes, tags, and no byte string that does harm."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.errors import WireError
from semg.wire.udp2 import HEADER, DatagramV2, Flag, Key, board_of, decode_v2, encode_v2

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "v2.json").read_text())
KEY = bytes(range(32))


def from_golden(entry: dict) -> DatagramV2:
    fields = {name: value for name, value in entry.items() if name not in ("key", "datagram")}
    fields["samples"] = np.array(fields["samples"], np.int16)
    return DatagramV2(**fields | {"flags": Flag(fields.get("flags", 0))})


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: str(entry["board_id"]))
def test_golden_bytes(entry: dict) -> None:
    key, data = Key(bytes.fromhex(entry["key"])), bytes.fromhex(entry["datagram"])
    assert encode_v2(from_golden(entry), key) == data
    assert key.signs(data)
    assert board_of(data) == entry["board_id"]
    assert decode_v2(data).samples.tolist() == entry["samples"]


def test_tag_is_the_truncated_hmac_of_the_standard_library() -> None:
    data = bytes.fromhex(GOLDEN[1]["datagram"])
    assert hmac.new(KEY, data[:-16], hashlib.sha256).digest()[:16] == data[-16:]


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(1, 16), st.integers(1, 42), st.integers(0, 9))
def test_decode_gives_back_what_was_encoded(board: int, number: int, channels: int, n: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, (n, channels)).astype(np.int16)
    sent = DatagramV2(board, number, number, number, 1_000_000, samples, Flag.CLIPPING, 1, 3, 50)
    got = decode_v2(encode_v2(sent, Key(KEY)))
    assert got.samples.tolist() == samples.tolist()
    assert [getattr(got, f) for f in ("board_id", "boot_id", "sequence", "device_us", "flags", "lead_off")] == [
        board, number, number, number, Flag.CLIPPING, 1,
    ]  # fmt: skip


def test_every_changed_byte_breaks_the_tag() -> None:
    key, data = Key(KEY), bytes.fromhex(GOLDEN[1]["datagram"])
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        assert not key.signs(bytes(changed))
    assert not Key(bytes(32)).signs(data)


@given(st.binary(max_size=200))
def test_no_byte_string_crashes_the_decoder(noise: bytes) -> None:
    for data in (noise, b"SE\x02" + noise, bytes.fromhex(GOLDEN[0]["datagram"])[:40] + noise):
        try:
            assert decode_v2(data).samples.size >= 1
        except WireError as exc:
            assert exc.reason in ("v2_size", "v2_magic", "v2_range", "too_long")


def test_too_many_samples_do_not_fit() -> None:
    with pytest.raises(WireError) as caught:
        encode_v2(DatagramV2(1, 1, 0, 0, 1_000_000, np.zeros((90, 8), np.int16)), Key(KEY))
    assert caught.value.reason == "too_long"
    assert HEADER.size == 40
