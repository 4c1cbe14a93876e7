"""Which service and which operation a request means.

Owns reading that from the signature's scope, X-Amz-Target, Action and Version. Refuses to judge the signature
(`authentication`) and to read the other parameters (`parsing`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from moto.core.model import OperationModel

from tidegate.auth import sigv4_claim
from tidegate.auth.sigv4_claim import Claim
from tidegate.control.api import refusals
from tidegate.control.api.arrival import Arrival
from tidegate.control.api.forms import Params
from tidegate.control.api.models import Api
from tidegate.control.api.unserved import LOOK, TARGET, UnservedCall, unserved_call

VERSION = re.compile(r"(?:^|&)Version=([0-9-]{10})(?=&|$)", re.ASCII)


class Router:
    """Knows the services that are served."""

    def __init__(self, apis: Sequence[Api]) -> None:
        self._by_signing_name = {api.signing_name: api for api in apis}
        self._by_target = {api.target_prefix: api for api in apis if api.target_prefix}
        self._by_version = {api.version: api for api in apis if not api.target_prefix}

    def signed_for(self, claim: Claim) -> Api | None:
        """The service in the signature's scope; None if we don't have it."""
        return self._by_signing_name.get(claim.credential.service)

    def unserved(self, arrival: Arrival) -> UnservedCall | None:
        """What is asked of a service that we don't have; None if nobody is, as far as the signature can be read."""
        try:
            claim = sigv4_claim.claim_of(arrival.signed)
        except (sigv4_claim.IncompleteSignature, sigv4_claim.SignatureRefused):
            return None
        if claim is None or self.signed_for(claim) is not None:
            return None
        return unserved_call(arrival, claim.credential.service)

    def likely(self, arrival: Arrival) -> Api | None:
        """The service that a request has in mind whose signature doesn't say: to be refused in its own protocol."""
        target = self._by_target.get(arrival.header(TARGET).partition(".")[0])
        if target is not None:
            return target
        for text in (arrival.signed.query[:LOOK], arrival.signed.body[:LOOK].decode("latin-1")):
            version = VERSION.search(text)
            if version is not None:
                return self._by_version.get(version[1])
        return None


def operation_of(api: Api, arrival: Arrival, params: Params) -> OperationModel:
    """The operation. AwsError if none is named, or one that the service doesn't have."""
    if api.protocol == "json":
        prefix, _, name = arrival.header(TARGET).rpartition(".")
        operation = api.operation(name) if prefix == api.target_prefix and arrival.signed.method == "POST" else None
        if operation is None:
            raise refusals.unknown_operation(api.protocol, name, api.version)
        return operation
    action = params.get("Action", "")
    if not action:
        raise refusals.missing_action()
    version = params.get("Version", "")
    # EC2 has had dozens of versions, and takes them all; of the others there is one.
    operation = api.operation(action) if api.protocol == "ec2" or version == api.version else None
    if operation is None:
        raise refusals.unknown_operation(api.protocol, action, version)
    return operation
