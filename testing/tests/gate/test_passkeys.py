"""What a passkey's device answers, and what none does."""

from __future__ import annotations

import base64
from typing import Any

import cbor2
import pytest

from semg.errors import LoginError
from semg.security import passkeys
from semg.security.origins import Address
from semg.store import accounts, second_factors
from testing.tests.gate.conftest import Door

pytestmark = pytest.mark.servers


def test_passkeys_are_offered_where_browsers_take_them() -> None:
    where = {"http://localhost:8501": True, "https://emg.example": True, "http://emg.example": False,
             "http://127.0.0.1:8501": False, "https://192.0.2.1": False, "https://[2001:db8::1]": False}  # fmt: skip
    assert {url: passkeys.are_possible(Address(*url.split("://"))) for url in where} == where


HOSTILE: tuple[dict[str, Any], ...] = (
    {}, {"rawId": "AA"}, {"rawId": 3}, {"rawId": "A" * 5000}, {"id": "AA", "rawId": "AA", "type": "public-key"},
    {"id": "AA", "rawId": "AA", "type": "public-key", "response": {}},
    {"id": "AA", "rawId": "AA", "type": "public-key",
     "response": {"clientDataJSON": "AA", "attestationObject": "AA", "authenticatorData": "AA", "signature": "AA"}},
    {"id": "AA", "rawId": "AA", "type": "public-key",
     "response": {"clientDataJSON": "e30", "attestationObject": "oA", "authenticatorData": "A" * 60, "signature": ""}},
)  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE)
def test_answers_that_no_device_gives_are_refused(door: Door, answer: dict[str, Any]) -> None:
    address = Address("http", "localhost:8501")
    with door.pool.transaction() as tx:
        account = accounts.find_account_by_id(tx, door.account_id)
        assert account is not None
        second_factors.insert_passkey(
            tx, door.account_id, "x", rp_id="localhost", credential_id=b"\x00", public_key=b"\xa0", sign_count=0
        )
        with pytest.raises(LoginError):
            passkeys.check(tx, address, b"c" * 32, answer)
        with pytest.raises(LoginError):
            passkeys.add(tx, account, address, b"c" * 32, answer, "Laptop")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


TAG_35 = bytes([0xD8, 0x23])
"""A regular expression, which ``cbor2`` compiles."""


@pytest.mark.parametrize(
    "data",
    [bytes(32) + b"\x85" + bytes(4) + b"\xa1\x61a" + TAG_35 + b"\x61x", bytes(32) + b"\x45" + bytes(4) + TAG_35,
     bytes(32) + b"\x05", b"", bytes(40)],
)  # fmt: skip
def test_nothing_in_an_answer_of_a_passkey_is_made_into_values_before_its_signature(
    door: Door, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(cbor2, "loads", lambda *_: pytest.fail("read"))
    answer = {"id": "YQ", "rawId": "YQ", "type": "public-key"}
    shown = answer | {"response": {"authenticatorData": b64(data), "clientDataJSON": "e30", "signature": "YQ"}}
    with door.pool.transaction() as tx:
        address = Address("http", f"localhost:{door.settings.streamlit_port}")
        with pytest.raises(LoginError):
            passkeys.check(tx, address, b"c" * 32, shown)
        account = accounts.find_account_by_id(tx, door.account_id)
        assert account is not None
        for cbor in (b"\xa1\x61a" + TAG_35 + b"\x61x", b"\x9f\xff", b"\xba\x7f\xff\xff\xff", b"\x82" * 3000, b""):
            made = answer | {"response": {"attestationObject": b64(cbor), "clientDataJSON": "e30"}}
            with pytest.raises(LoginError):
                passkeys.add(tx, account, address, b"c" * 32, made, "x")
        long = answer | {"response": {"authenticatorData": b64(bytes(20_000))}}
        with pytest.raises(LoginError):
            passkeys.check(tx, address, b"c" * 32, long)


def attestation(flags: int, key: bytes) -> bytes:
    """An attestation whose public key is these bytes."""
    data = bytes(32) + bytes([flags]) + bytes(4) + bytes(16) + (1).to_bytes(2) + b"i" + key
    return cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})


@pytest.mark.parametrize(
    ("flags", "key"),
    [(0x45, b"\xa1\x01\x82\xd8\x1c\x81\x00\xd8\x1d\x00"), (0x45, b"\xa1\x01" + TAG_35 + b"\x61x"),
     (0xC5, b"\xa0\xa1\x61a" + TAG_35 + b"\x61x"),
     (0x05, b"\xa0"), (0x45, b""), (0x45, b"\x82" * 100)],
)  # fmt: skip
def test_values_within_the_authenticator_data_are_refused_too(
    door: Door, monkeypatch: pytest.MonkeyPatch, flags: int, key: bytes
) -> None:
    """References to what came before double with each level: some hundred bytes become gigabytes."""
    read, loads = [], cbor2.loads

    def remember(data: bytes, **more: Any) -> Any:
        read.append(data)
        return loads(data, **more)

    made = attestation(flags, key)
    monkeypatch.setattr(cbor2, "loads", remember)
    response = {"attestationObject": b64(made), "clientDataJSON": "e30"}
    answer = {"id": "aQ", "rawId": "aQ", "type": "public-key", "response": response}
    with door.pool.transaction() as tx:
        account = accounts.find_account_by_id(tx, door.account_id)
        assert account is not None
        with pytest.raises(LoginError):
            passkeys.add(tx, account, Address("http", "localhost:8501"), b"c" * 32, answer, "x")
    assert read == [made], "only the outer one, which has neither tags nor references"


@pytest.mark.parametrize("fmt", ["none", "packed"])
def test_what_security_keys_answer_is_read(fmt: str) -> None:
    """A key of EC2 (RFC 9053), and ``credProtect``, which browsers ask keys for of their own accord."""
    key = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}) + cbor2.dumps({"credProtect": 2})
    data = bytes(32) + b"\xc5" + bytes(4) + bytes(16) + (32).to_bytes(2) + bytes(32) + key
    statement = {} if fmt == "none" else {"alg": -7, "sig": bytes(70), "x5c": [bytes(700)]}
    passkeys._refuse_values(cbor2.dumps({"fmt": fmt, "attStmt": statement, "authData": data}))
