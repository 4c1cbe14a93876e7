"""Keys of the desired state, as the supervisor's credentials ask for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.unit.launch.test_settings import KEYS, PROXY
from tidegate.control.ports import Desired
from tidegate.launch.role_keys import RoleKeys
from tidegate.proxy.credentials import CredentialError


def test_each_proxy_has_its_roles() -> None:
    other = replace(KEYS, access_key="ASIA2")
    keys = RoleKeys()
    keys.take(
        Desired(
            proxies=(
                replace(PROXY, database_keys=KEYS),
                replace(PROXY, resource_id="prx-2", database_keys=other),
                replace(PROXY, resource_id="prx-3"),
            )
        )
    )
    assert asyncio.run(keys.keys("prx-1")) == KEYS
    assert asyncio.run(keys.keys("prx-2")) == other
    with pytest.raises(CredentialError, match="the role of proxy prx-3 may not be assumed"):
        asyncio.run(keys.keys("prx-3"))


def test_those_that_are_withdrawn_are_gone() -> None:
    keys = RoleKeys()
    keys.take(Desired(proxies=(replace(PROXY, database_keys=KEYS),)))
    keys.take(Desired(proxies=(PROXY,)))
    with pytest.raises(CredentialError):
        asyncio.run(keys.keys("prx-1"))


def test_it_has_no_secrets() -> None:
    with pytest.raises(CredentialError, match="comes with the desired state"):
        asyncio.run(RoleKeys().secret("arn:aws:secretsmanager:us-east-1:1:secret:a"))
