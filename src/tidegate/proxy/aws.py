"""AWS as the supervisor asks it: secrets, keys, and who a client is.

Owns the threads of those calls, and which AWS role may log in as which database user. Refuses the calls themselves
(`auth.providers`). Imported only where settings name something of AWS: botocore is an extra.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from tidegate.auth.providers.aws_keys import signing_keys
from tidegate.auth.providers.secrets_manager import SecretsManager
from tidegate.auth.providers.sessions import AwsSession, AwsUnavailable
from tidegate.auth.providers.sts import StsTokens, matches
from tidegate.auth.rds_token import SigningKeys, TokenRefused
from tidegate.config.model import Config
from tidegate.proxy.credentials import CredentialError, Source, Verifier
from tidegate.proxy.iam_logins import PATIENCE

STS_THREADS = 8
MOST_ASKED = 256
"""Tokens that wait for STS: anybody may send some, and each costs a call."""


class AwsSource:
    """Part of credentials.Source."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._secrets = SecretsManager(session)

    async def secret(self, arn: str) -> tuple[str, tuple[str, ...]]:
        """Part of Source."""
        try:
            value = await asyncio.to_thread(self._secrets.fetch, arn, time.time())
        except AwsUnavailable as error:
            raise CredentialError(str(error)) from None
        return value.username, value.passwords

    async def keys(self, target: str) -> SigningKeys:
        """Part of Source: the program's own, for all targets."""
        try:
            return await asyncio.to_thread(signing_keys, self._session)
        except AwsUnavailable as error:
            raise CredentialError(str(error)) from None


class StsVerifier:
    """Part of credentials.Verifier: tokens that STS vouches for."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._tokens = StsTokens(config.aws_endpoint_url)
        self._threads = ThreadPoolExecutor(STS_THREADS, thread_name_prefix="tidegate-sts")
        self._asked = 0

    async def verify(self, proxy: str, user: str, token: str, source: str) -> str:
        """Part of Verifier."""
        server_id = next((one.iam_server_id for one in self._config.proxies if one.name == proxy), "")
        listed = self._config.user(user, proxy)
        if not server_id:
            return f"proxy {proxy} has no iam_server_id"
        if listed is None or not listed.iam_arns:
            return f"no AWS role may log in as user {user}"
        if self._asked >= MOST_ASKED:
            return f"{MOST_ASKED} tokens are being judged already"
        self._asked += 1
        try:
            loop = asyncio.get_running_loop()
            arn = await loop.run_in_executor(self._threads, self._ask, token, server_id, time.time())
        except TokenRefused as refusal:
            return str(refusal)
        finally:
            self._asked -= 1
        return "" if matches(arn, listed.iam_arns) else f"{arn} is none of the iam_arns of user {user}"

    def _ask(self, token: str, server_id: str, came: float) -> str:
        if time.time() - came > PATIENCE:
            raise TokenRefused("STS was too slow with others before it")
        return self._tokens.arn(token, server_id, came)


def aws_of(config: Config) -> tuple[Source, Verifier]:
    """What the settings mean."""
    session = AwsSession(region=config.aws_region, endpoint_url=config.aws_endpoint_url, profile=config.aws_profile)
    return AwsSource(session), StsVerifier(config)
