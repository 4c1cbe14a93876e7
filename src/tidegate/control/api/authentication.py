"""Who a request comes from: its signature, held against the access keys that there are.

Owns the order of the checks, and which error each answers. Refuses the signature's algebra (`auth.sigv4`), and to know
where keys are kept: it is given a way to find one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Protocol

from tidegate.auth import sigv4, sigv4_claim
from tidegate.control.api import refusals
from tidegate.control.api.arrival import Arrival
from tidegate.control.api.models import Api
from tidegate.control.api.refusals import Doubt
from tidegate.control.call import Caller
from tidegate.control.store.store import Transaction

SKEW = 900
"""Seconds that a client's clock may differ by."""
STS_LIFETIME = 900
"""Seconds that a presigned request to STS holds, even where it says less: aws-iam-authenticator's tokens say 60."""
GLOBAL_REGION = "us-east-1"
"""Which region clients sign for at a service that is the same in all regions."""
MAX_KEY_ID = 128


class SigningKey(Protocol):
    """An access key, as found (`services.iam.keys`)."""

    @property
    def secret(self) -> str:
        """What its requests are signed with."""

    @property
    def caller(self) -> Caller:
        """Whose it is."""

    @property
    def session_token(self) -> str | None:
        """What must come along with it, if it is a temporary one."""

    @property
    def expires(self) -> float | None:
        """Seconds since 1970, if it is a temporary one."""

    @property
    def active(self) -> bool:
        """Whether it may be used."""


FindKey = Callable[[Transaction, str], SigningKey | None]
"""The key of an access key id."""


def claim_of(arrival: Arrival, protocol: str) -> sigv4_claim.Claim | None:
    """What the request says that it is signed by; AwsError if that cannot be read."""
    try:
        return sigv4_claim.claim_of(arrival.signed)
    except sigv4_claim.IncompleteSignature as error:
        raise refusals.doubtful(protocol, Doubt.INCOMPLETE, str(error)) from None
    except sigv4_claim.SignatureRefused as error:
        raise refusals.doubtful(protocol, Doubt.WRONG_SIGNATURE, str(error)) from None


def authenticate(
    arrival: Arrival, claim: sigv4_claim.Claim, api: Api, region: str, find_key: FindKey, transaction: Transaction
) -> Caller:
    """The principal that has signed the request. AwsError in the protocol's words if nobody has, or not rightly.

    region: the one that this control plane is in.
    """
    refuse = refusals.doubtful
    credential = claim.credential
    key = find_key(transaction, credential.access_key) if len(credential.access_key) <= MAX_KEY_ID else None
    if key is None or not key.active:
        raise refuse(api.protocol, Doubt.UNKNOWN_KEY)
    if credential.region != region and not (api.is_global and credential.region == GLOBAL_REGION):
        raise refuse(
            api.protocol,
            Doubt.WRONG_SIGNATURE,
            f"Credential should be scoped to a valid region: this is '{region}', not '{credential.region[:32]}'.",
        )
    try:
        sigv4.check_time(claim, arrival.at, skew=SKEW, at_least=STS_LIFETIME if api.signing_name == "sts" else 0)
        sigv4.check(arrival.signed, claim, key.secret)
    except sigv4_claim.SignatureExpired as error:
        raise refuse(api.protocol, Doubt.WRONG_TIME, str(error)) from None
    except sigv4_claim.SignatureRefused as error:
        raise refuse(api.protocol, Doubt.WRONG_SIGNATURE, str(error)) from None
    if not _same(claim.security_token, key.session_token):
        raise refuse(api.protocol, Doubt.UNKNOWN_KEY)
    if key.expires is not None and arrival.at >= key.expires:
        raise refuse(api.protocol, Doubt.OLD_SESSION)
    return key.caller


def _same(given: str | None, wanted: str | None) -> bool:
    if given is None or wanted is None:
        return given is wanted
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
