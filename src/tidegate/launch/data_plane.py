"""The proxy's supervisor, as the control plane sees a data plane.

Owns how a desired state is applied, and which proxy a failure is of. Refuses to translate it (`settings`) and to ask
databases how they are (`health`).
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Awaitable, Callable

from tidegate.config.model import Config
from tidegate.control.ports import Desired, DesiredProxy, Failure, FailureKind, TargetHealth
from tidegate.errors import ConfigError
from tidegate.launch.certificates import LocalCertificates
from tidegate.launch.health import HealthChecks
from tidegate.launch.role_keys import RoleKeys
from tidegate.launch.settings import configuration

LOG = logging.getLogger("tidegate")

Apply = Callable[[Config], Awaitable[None]]
"""Have a configuration used. ConfigError: nothing has changed."""


class SupervisedProxy:
    """Part of ports.DataPlane."""

    def __init__(
        self, base: Config, certificates: LocalCertificates, apply: Apply, checks: HealthChecks, keys: RoleKeys
    ) -> None:
        """keys: what `apply` has tokens signed with."""
        self._base = base
        self._certificates = certificates
        self._apply = apply
        self._checks = checks
        self._keys = keys
        self._running: dict[str, DesiredProxy] = {}

    async def apply(self, desired: Desired) -> dict[str, Failure]:
        """See DataPlane. If it can't be had as a whole, each proxy is tried on top of those that run."""
        self._cover(desired)
        try:
            await self._use(desired)
            return {}
        except ConfigError as error:
            LOG.warning("not all proxies can run as they should: %s", error)
        except Exception as error:  # of one proxy's settings, which must not keep the others from running
            LOG.error("not all proxies can run as they should: %s", type(error).__name__)
        return await self._one_by_one(desired)

    async def _one_by_one(self, desired: Desired) -> dict[str, Failure]:
        failures: dict[str, Failure] = {}
        wanted = {proxy.resource_id: proxy for proxy in desired.proxies}
        working = {name: proxy for name, proxy in self._running.items() if name in wanted}
        await self._use(Desired(proxies=tuple(working.values())))
        for name, proxy in wanted.items():
            try:
                await self._use(Desired(proxies=tuple({**working, name: proxy}.values())))
            except ConfigError as error:
                failures[name] = _failure(str(error))
            except Exception as error:
                LOG.error("proxy %s cannot be run: %s", name, type(error).__name__)
                failures[name] = _failure(f"internal error: {type(error).__name__}")
            else:
                working[name] = proxy
        return failures

    async def _use(self, desired: Desired) -> None:
        self._keys.take(desired)
        await self._apply(configuration(desired, self._base, self._certificates))
        self._running = {proxy.resource_id: proxy for proxy in desired.proxies}
        self._checks.watch(self._running)

    async def renew(self) -> None:
        """To be called now and then: a certificate that ends soon is made anew, and shown from then on."""
        running = Desired(proxies=tuple(self._running.values()))
        if self._cover(running):
            await self._use(running)

    def _cover(self, desired: Desired) -> bool:
        names = {name for proxy in desired.proxies for end in proxy.endpoints for name in end.names}
        return self._certificates.cover(names, dt.datetime.now(dt.UTC))

    async def health(self) -> dict[str, TargetHealth]:
        """See DataPlane."""
        return self._checks.latest()


def _failure(text: str) -> Failure:
    kind = FailureKind.NETWORK if "listen" in text else FailureKind.LIMITS
    return Failure(kind=kind, description=text)
