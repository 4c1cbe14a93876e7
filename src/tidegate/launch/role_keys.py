"""Keys of proxies' roles, on their way from the desired state to what signs tokens for databases.

Owns which keys are in force for which target. Refuses to make or renew them (`control.desired`): a change of the
desired state brings others.
"""

from __future__ import annotations

from tidegate.auth.rds_token import SigningKeys
from tidegate.control.ports import Desired
from tidegate.proxy.credentials import CredentialError


class RoleKeys:
    """Part of credentials.Source."""

    def __init__(self) -> None:
        self._keys: dict[str, SigningKeys] = {}

    def take(self, desired: Desired) -> None:
        """Its keys are those in force from now on. Targets have the names of their proxies' resource ids."""
        keys = {proxy.resource_id: proxy.database_keys for proxy in desired.proxies}
        self._keys = {name: known for name, known in keys.items() if known is not None}

    async def keys(self, target: str) -> SigningKeys:
        """Part of Source."""
        if target not in self._keys:
            raise CredentialError(f"the role of proxy {target} may not be assumed")
        return self._keys[target]

    async def secret(self, arn: str) -> tuple[str, tuple[str, ...]]:
        """Part of Source: there are none to read, since the desired state has their passwords."""
        raise CredentialError(f"secret {arn}: its password comes with the desired state")
