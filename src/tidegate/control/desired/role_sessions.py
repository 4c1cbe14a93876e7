"""Sessions of proxies' roles: the keys that sign tokens for databases, with end-to-end IAM.

Owns which session a proxy has, and when it gets the next one. Refuses to judge whether it may have any (`credentials`).

A session is one of STS's, as rds.amazonaws.com would get by AssumeRole, so that whoever believes this account's tokens
believes those signed with it, and asks the role's policies. Until shortly before its end the answer is the same, and an
unchanged desired state stays equal. The last one stays good while its successor is on its way to the workers.
"""

from __future__ import annotations

from tidegate.auth.rds_token import LIFETIME, SigningKeys
from tidegate.control.services.iam.records import Role, Session
from tidegate.control.services.iam.roles import SESSION_NAME
from tidegate.control.services.sts.sessions import make_role_session
from tidegate.control.store.store import Transaction

DURATION = 3600
"""Seconds: what every role's MaxSessionDuration allows."""
RENEW_BEFORE = LIFETIME
"""Seconds: a token that is signed now is good for as long as it says."""


class RoleSessions:
    """Which session is whose is kept here only: after a restart each proxy gets a new one."""

    def __init__(self, *, account: str, region: str) -> None:
        """region: of the databases that the tokens are for."""
        self._account = account
        self._region = region
        self._of_proxy: dict[str, str] = {}
        """Access keys by a proxy's ARN."""

    def keys(self, transaction: Transaction, role: Role, *, proxy_arn: str, at: float) -> SigningKeys:
        """Of the proxy's session of that role. at: seconds since 1970. AwsError if none can be made."""
        session = transaction.table(Session).get(self._of_proxy.get(proxy_arn, ""))
        if session is None or session.holder_id != role.id or session.expires - at < RENEW_BEFORE:
            session = self._new(transaction, role, proxy_arn, at)
            self._of_proxy[proxy_arn] = session.id
        return SigningKeys(
            region=self._region,
            access_key=session.id,
            secret_key=session.secret,
            session_token=session.token,
        )

    def _new(self, transaction: Transaction, role: Role, proxy_arn: str, at: float) -> Session:
        return make_role_session(
            transaction, role, SESSION_NAME, account=self._account, at=at, duration=DURATION, made_by=proxy_arn
        )
