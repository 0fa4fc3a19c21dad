"""Passkeys (WebAuthn): a key pair on the person's device, which proves also that the device knows its person.

The person's device must verify its person (PIN, finger, face): a passkey then is two factors in one, and needs no
password. It belongs to the host name that it was made under; browsers refuse passkeys for plain IP addresses.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import webauthn
from webauthn.helpers import base64url_to_bytes
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
_REFUSALS = (WebAuthnException, ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""Exceptions of the library for answers that no browser sends."""
WRONG = "This passkey was not accepted. Try again, or log in in another way."


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
    try:
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


def _credential_id(answer: dict[str, Any]) -> bytes:
    said = answer.get("rawId")
    if not isinstance(said, str) or len(said) > 2000:
        raise LoginError(WRONG)
    try:
        return base64url_to_bytes(said)
    except ValueError as exc:
        raise LoginError(WRONG) from exc
