"""The proxy's supervisor, as the control plane sees a data plane.

Owns how a desired state is applied, and what a failure is of. Refuses to translate it (`settings`) and to ask databases
how they are (`health`).

What can't be had is left out, and everything else runs: an endpoint whose address can't be listened on, by itself; a
proxy whose settings are refused goes on with those it had, but its users' credentials are the new ones, so that nothing
keeps a revocation from acting. What is known to fail is left out at once while it is to be as it was to be, so that it
costs others' changes nothing; `again` has it tried.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from tidegate.config.model import Config
from tidegate.control.ports import Desired, DesiredEndpoint, DesiredProxy, Failure, FailureKind, TargetHealth
from tidegate.errors import ConfigError
from tidegate.launch.certificates import LocalCertificates
from tidegate.launch.health import HealthChecks
from tidegate.launch.role_keys import RoleKeys
from tidegate.launch.settings import configuration, endpoint_of
from tidegate.proxy.listening import ListenError

LOG = logging.getLogger("tidegate")

Apply = Callable[[Config], Awaitable[None]]
"""Have a configuration used. ConfigError: nothing has changed; ListenError: for these addresses alone."""
Proxies = dict[str, DesiredProxy]
"""By resource id."""
Failures = dict[str, Failure]
"""As apply() returns them."""


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
        self._one_at_a_time = asyncio.Lock()
        self._running: Proxies = {}
        """Without the endpoints that could not be had."""
        self._wanted: Proxies = {}
        self._failures: Failures = {}
        """What came of `_wanted`."""
        self._unshown = False
        """Whether the certificate is newer than what workers show."""

    async def apply(self, desired: Desired, *, again: bool) -> Failures:
        """See DataPlane."""
        async with self._one_at_a_time:
            self._cover(desired)
            wanted = {proxy.resource_id: proxy for proxy in desired.proxies}
            failures = {} if again else self._known(wanted)
            try:
                former = {name: proxy for name, proxy in self._running.items() if name in failures}
                fit = {name: proxy for name, proxy in wanted.items() if name not in failures}
                await self._use({**former, **fit}, failures)
            except Exception as error:  # of one proxy's settings, which must not keep the others from running
                LOG.warning("not all proxies can run as they should: %s", _told(error))
                await self._one_by_one(wanted, failures)
            self._wanted, self._failures = wanted, failures
            return dict(failures)

    def _known(self, wanted: Proxies) -> Failures:
        """What has failed of proxies and endpoints that are to be as they were to be before."""
        before, now = _parts(self._wanted), _parts(wanted)
        return {key: one for key, one in self._failures.items() if key in now and now[key] == before[key]}

    async def _one_by_one(self, wanted: Proxies, failures: Failures) -> None:
        """Each proxy that changes on top of those that work; what fails is put down in `failures`."""
        working = {name: _remaining(former, wanted[name]) for name, former in self._running.items() if name in wanted}
        await self._use(working, failures)
        for name, proxy in wanted.items():
            if name in failures or working.get(name) == _without(proxy, failures):
                continue
            refusal = await self._try(working, proxy, failures)
            if not refusal:
                continue
            LOG.warning("proxy %s cannot be run as it should: %s", name, refusal)
            former = working.get(name)
            lags = former is not None and bool(await self._try(working, _with_credentials(former, proxy), failures))
            failures[name] = Failure(kind=FailureKind.LIMITS, description=refusal, credentials_lag=lags)
        await self._use(working, failures)  # a worker that failed may have half of what was tried last

    async def _try(self, working: Proxies, proxy: DesiredProxy, failures: Failures) -> str:
        """Have `working` run with this proxy, too, and take it among them; else why it can't be, for a user."""
        tried = {**working, proxy.resource_id: proxy}
        try:
            await self._use(tried, failures)
        except Exception as error:
            return _told(error)
        working.update(tried)
        return ""

    async def _use(self, proxies: Mapping[str, DesiredProxy], failures: Failures) -> None:
        """Endpoints that are in `failures` are left out, and those that can't be listened on are put there."""
        while True:
            runs = [_without(proxy, failures) for proxy in proxies.values()]
            desired = Desired(proxies=tuple(proxy for proxy in runs if proxy.endpoints))
            self._keys.take(desired)
            try:
                await self._apply(configuration(desired, self._base, self._certificates))
                break
            except ListenError as error:
                LOG.warning("not all endpoints can be had: %s", error)
                for name, problem in error.problems.items():
                    failures[endpoint_of(name)[1]] = Failure(kind=FailureKind.NETWORK, description=problem)
        self._unshown = False
        self._running = {proxy.resource_id: proxy for proxy in desired.proxies}
        self._checks.watch(self._running)

    async def renew(self) -> None:
        """To be called now and then: a certificate that ends soon is made anew, and shown from then on."""
        async with self._one_at_a_time:  # what runs is to be known, lest an older state is put back
            self._cover(Desired(proxies=tuple(self._running.values())))
            if self._unshown:
                await self._use(self._running, self._failures)

    def _cover(self, desired: Desired) -> None:
        names = {name for proxy in desired.proxies for end in proxy.endpoints for name in end.names}
        if self._certificates.cover(names, dt.datetime.now(dt.UTC)):
            self._unshown = True

    async def health(self) -> dict[str, TargetHealth]:
        """See DataPlane."""
        return self._checks.latest()


def _parts(proxies: Proxies) -> dict[str, DesiredProxy | DesiredEndpoint]:
    """Proxies and endpoints: whatever may fail by itself."""
    ends = {end.resource_id: end for proxy in proxies.values() for end in proxy.endpoints}
    return {**proxies, **ends}


def _without(proxy: DesiredProxy, failures: Collection[str]) -> DesiredProxy:
    """The proxy without the endpoints that have failed."""
    return replace(proxy, endpoints=tuple(end for end in proxy.endpoints if end.resource_id not in failures))


def _remaining(former: DesiredProxy, wanted: DesiredProxy) -> DesiredProxy:
    """What ran, without the endpoints that are deleted."""
    kept = {end.resource_id for end in wanted.endpoints}
    return replace(former, endpoints=tuple(end for end in former.endpoints if end.resource_id in kept))


def _with_credentials(former: DesiredProxy, wanted: DesiredProxy) -> DesiredProxy:
    """What ran, but for who may log in, and what the proxy itself logs in with."""
    return replace(
        former,
        users=wanted.users,
        iam_for_all=wanted.iam_for_all,
        role_arn=wanted.role_arn,
        database_keys=wanted.database_keys,
    )


def _told(error: Exception) -> str:
    """Without a secret: what no ConfigError says may quote a setting."""
    return str(error) if isinstance(error, ConfigError) else f"internal error: {type(error).__name__}"
