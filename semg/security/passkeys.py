"""Passkeys (WebAuthn): a key pair on the person's device, which proves also that the device knows its person.

The person's device must verify its person (PIN, finger, face): a passkey then is two factors in one, and needs no
password. It belongs to the host name that it was made under; browsers refuse passkeys for plain IP addresses.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import webauthn
from webauthn.helpers import base64url_to_bytes, parse_cbor
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from semg.errors import LoginError
from semg.security.origins import Address
from semg.store import accounts, second_factors
from semg.store.accounts import Account
from semg.store.pool import Transaction

NAME = "sEMG gestures"
_REFUSALS = (WebAuthnException, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What the library raises for answers that no browser gives."""
MAX_ANSWER, MAX_FIELDS = 16_384, 30
"""Characters and fields of a browser's answer; a registration with an attestation has some 2,000."""
_FLAGS_AT, _PLAIN_DATA_BYTES = 32, 37
_HAS_KEY, _HAS_EXTENSIONS = 0x40, 0x80
"""Authenticator data (WebAuthn 2, 6.1): hash of the name, flags, count; then only what the flags announce."""
_KEY_AT = _PLAIN_DATA_BYTES + 18
"""Behind the device's kind and the length of the credential's id come that id, and the key."""
WRONG = "This passkey was not accepted. Try again, or log in another way."


def are_possible(address: Address) -> bool:
    """Return whether browsers allow passkeys at this address: a host name, by HTTPS or on this machine."""
    name = address.host_name
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return address.is_secure or name == "localhost"
    return False


def registration_options(tx: Transaction, account: Account, address: Address) -> tuple[dict[str, Any], bytes]:
    """Return the options for ``navigator.credentials.create``, as JSON, and the challenge in them."""
    known = second_factors.list_passkeys(tx, account.account_id)
    options = webauthn.generate_registration_options(
        rp_id=address.host_name,
        rp_name=NAME,
        user_id=b"account %d" % account.account_id,
        user_name=account.login,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential_id) for one in known],
    )
    return json.loads(webauthn.options_to_json(options)), options.challenge


def add(
    tx: Transaction, account: Account, address: Address, challenge: bytes, answer: dict[str, Any], name: str
) -> int:
    """Store the passkey that a device has created, and return its number.

    Raises
    ------
    LoginError
        The answer is not to this challenge, at this address, or its device did not verify its person.
    """
    response = _bounded(answer)
    try:
        _refuse_values(base64url_to_bytes(str(response.get("attestationObject", ""))))
        made = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=address.host_name,
            expected_origin=address.origin,
            require_user_verification=True,
        )
    except _REFUSALS as exc:
        raise LoginError(WRONG) from exc
    return second_factors.insert_passkey(
        tx,
        account.account_id,
        name,
        rp_id=address.host_name,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
    )


def login_options(address: Address) -> tuple[dict[str, Any], bytes]:
    """Return the options for ``navigator.credentials.get``, as JSON, and the challenge; they name no account."""
    options = webauthn.generate_authentication_options(
        rp_id=address.host_name, user_verification=UserVerificationRequirement.REQUIRED
    )
    return json.loads(webauthn.options_to_json(options)), options.challenge


def check(tx: Transaction, address: Address, challenge: bytes, answer: dict[str, Any]) -> Account:
    """Return the owner of the passkey that has answered a challenge.

    Raises
    ------
    LoginError
        Nobody's, not to this challenge, at another address, by a copy of the passkey, or its account is disabled.
    """
    response = _bounded(answer)
    _refuse_extensions(response)
    passkey = second_factors.find_passkey(tx, _credential_id(answer))
    if passkey is None:
        raise LoginError(WRONG)
    try:
        shown = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=address.host_name,
            expected_origin=address.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except _REFUSALS as exc:
        raise LoginError(WRONG) from exc
    account = accounts.find_account_by_id(tx, passkey.account_id)
    if account is None or account.disabled_at is not None:
        raise LoginError(WRONG)
    second_factors.update_passkey_used(tx, passkey.passkey_id, shown.new_sign_count)
    return account


def _bounded(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the response in an answer of a browser; it has no more than an authenticator needs.

    Raises
    ------
    LoginError
        It is longer than any, or has no response.
    """
    response = answer.get("response")
    if not isinstance(response, dict):
        raise LoginError(WRONG)
    texts = [text for one in (answer, response) for text in one.values() if isinstance(text, str)]
    if sum(map(len, texts)) > MAX_ANSWER or len(answer) + len(response) > MAX_FIELDS:
        raise LoginError(WRONG)
    return response


def _refuse_extensions(response: dict[str, Any]) -> None:
    """Refuse what was not asked for: extensions and new keys are CBOR, read before the signature is looked at.

    Raises
    ------
    LoginError
        They are there, or there is no authenticator data.
    """
    try:
        data = base64url_to_bytes(str(response.get("authenticatorData", "")))
    except ValueError as exc:
        raise LoginError(WRONG) from exc
    if len(data) != _PLAIN_DATA_BYTES or data[_FLAGS_AT] & (_HAS_KEY | _HAS_EXTENSIONS):
        raise LoginError(WRONG)


def _refuse_values(attestation: bytes) -> None:
    """Refuse an attestation with tags, in itself or in the key and the extensions within its authenticator data.

    Extensions may be there: browsers ask security keys for ``credProtect`` of their own accord.

    Raises
    ------
    LoginError
        It has them, or is none.
    """
    if _has_tags(attestation):
        raise LoginError(WRONG)
    told = parse_cbor(attestation)
    data = told.get("authData") if isinstance(told, dict) else None
    if not isinstance(data, bytes) or len(data) < _KEY_AT:
        raise LoginError(WRONG)
    key = data[_KEY_AT + int.from_bytes(data[_KEY_AT - 2 : _KEY_AT]) :]
    if not data[_FLAGS_AT] & _HAS_KEY or not key or _has_tags(key, 40):
        raise LoginError(WRONG)


def _has_tags(cbor: bytes, most: int = 2000) -> bool:
    """Return whether CBOR (RFC 8949) has a tag, a part of unknown length, or more parts than an attestation needs.

    ``cbor2`` makes values of tags, among them compiled regular expressions and numbers of any length.
    """
    at, left = 0, 1
    while at < len(cbor):
        left = left or 1  # another item behind the first: the extensions behind the key
        kind, short = cbor[at] >> 5, cbor[at] & 31
        size = {24: 1, 25: 2, 26: 4, 27: 8}.get(short, 0)
        if kind == 6 or short > 27 or most == 0:
            return True
        number = int.from_bytes(cbor[at + 1 : at + 1 + size]) if size else short
        at, left, most = at + 1 + size, left - 1, most - 1
        if kind in (2, 3):
            at += number
        elif kind in (4, 5):
            left += number * (kind - 3)
        if left > len(cbor):
            return True
    return False


def _credential_id(answer: dict[str, Any]) -> bytes:
    said = answer.get("rawId")
    if not isinstance(said, str) or len(said) > 2000:
        raise LoginError(WRONG)
    try:
        return base64url_to_bytes(said)
    except ValueError as exc:
        raise LoginError(WRONG) from exc
