"""The proxy's own way to AWS: one botocore session, with the region, the endpoint and the profile of the settings.

Owns how clients of AWS's services are made. Refuses to call any: `secrets_manager`, `aws_keys` and `sts` do.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

TIMEOUT = 10.0
"""Seconds that connecting, and each answer, may take."""


class AwsUnavailable(Exception):
    """AWS can't be asked, or has refused; the text says what to look at, and holds nothing secret."""


class AwsSession:
    """Thread-safe; makes each client once."""

    def __init__(self, *, region: str = "", endpoint_url: str = "", profile: str = "") -> None:
        """What is "" is found as botocore finds it: environment, ~/.aws, the instance's metadata."""
        self._region = region
        self._endpoint_url = endpoint_url
        self._profile = profile
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    @property
    def session(self) -> Any:
        """The botocore session. AwsUnavailable if there is no such profile."""
        with self._lock:
            return self._own_session()

    @property
    def region(self) -> str:
        """AwsUnavailable if none is to be found."""
        # Lambda and the other SDKs set AWS_REGION, which botocore alone does not read.
        found = self._region or os.environ.get("AWS_REGION") or self.session.get_config_variable("region")
        if not found:
            raise AwsUnavailable("no AWS region is known; set aws_region or AWS_REGION")
        return str(found)

    def client(self, service: str) -> Any:
        """The client of one service ("secretsmanager"). AwsUnavailable if it can't be made."""
        region = self.region
        with self._lock:
            if service not in self._clients:
                try:
                    self._clients[service] = self._own_session().create_client(
                        service,
                        region_name=region,
                        endpoint_url=self._endpoint_url or None,
                        config=Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 2}),
                    )
                except (BotoCoreError, ValueError) as error:
                    raise AwsUnavailable(f"no client of {service}: {error}") from None
            return self._clients[service]

    def _own_session(self) -> Any:
        if self._session is None:
            made = botocore.session.Session(profile=self._profile or None)
            try:
                made.get_scoped_config()
            except BotoCoreError as error:
                raise AwsUnavailable(str(error)) from None
            self._session = made
        return self._session
