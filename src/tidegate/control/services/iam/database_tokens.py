"""Who may log in to a database with an IAM token.

Owns the check of a token's key and of the policies behind it. Refuses the token's own form and signature
(`tidegate.auth.rds_token`) and the login (the proxy).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from tidegate.auth.rds_token import RdsToken, TokenRefused, check_token, parse_token
from tidegate.control.policies.arns import account_of
from tidegate.control.policies.context import Context
from tidegate.control.policies.decision import decide
from tidegate.control.policies.documents import Request
from tidegate.control.services.iam.guard import request_context
from tidegate.control.services.iam.identities import identity_of
from tidegate.control.services.iam.keys import Key, find_key
from tidegate.control.services.iam.records import PARTITION
from tidegate.control.store.store import Transaction

CONNECT = "rds-db:connect"


class TokenVerifier:
    """Decides about tokens; has no state of its own."""

    def verify(
        self,
        transaction: Transaction,
        token_text: str,
        *,
        user: str,
        hosts: Sequence[str],
        port: int,
        region: str,
        account: str,
        resource_id: str,
        now: float,
        source_ip: str,
    ) -> None:
        """Return if the token lets in `user` at one of `hosts`; raise TokenRefused with the reason, for the log only.

        hosts: what clients may call the endpoint; resource_id: of the proxy (prx-...); now: seconds since 1970.
        """
        try:
            token = parse_token(token_text)
        except ValueError as problem:
            raise TokenRefused(str(problem)) from None
        key = find_key(transaction, token.access_key)
        if key is None:
            raise TokenRefused(f"there is no access key {token.access_key}")
        _check_key(key, token, now)
        check_token(token, key.secret, hosts=hosts, port=port, user=user, region=region, now=now)
        resource = f"arn:{PARTITION}:rds-db:{region}:{account}:dbuser:{resource_id}/{user}"
        self._check_policies(transaction, key, resource, now=now, region=region, source_ip=source_ip)

    @staticmethod
    def _check_policies(
        transaction: Transaction, key: Key, resource: str, *, now: float, region: str, source_ip: str
    ) -> None:
        identity = identity_of(transaction, key.caller)
        if identity is None:
            raise TokenRefused(f"whom the access key {key.access_key} belonged to is gone")
        about = request_context(at=now, region=region, source_ip=source_ip, secure=True)
        about["aws:ResourceAccount"] = key.caller.account
        request = Request(
            principal=identity.principal,
            action=CONNECT,
            resource=resource,
            context=Context(about, identity.context),
        )
        decision = decide(request, identity.policies, other_account=account_of(resource) != key.caller.account)
        if not decision.allowed:
            raise TokenRefused(
                f"{key.caller.arn} is not authorized to perform: {CONNECT} on resource: {resource} {decision.reason}"
            )


def _check_key(key: Key, token: RdsToken, now: float) -> None:
    if not key.active:
        raise TokenRefused(f"the access key {key.access_key} is inactive")
    if key.expires is not None and now >= key.expires:
        raise TokenRefused(f"the temporary access key {key.access_key} has expired")
    given = token.security_token or ""
    if not hmac.compare_digest(given.encode(), (key.session_token or "").encode()):
        raise TokenRefused(f"the session token does not belong to the access key {key.access_key}")
