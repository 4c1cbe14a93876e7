"""One `tidegate serve --api`: from its options to its exit status.

Owns the order in which control plane and proxy start and end. Refuses signals, which the supervisor takes.

The supervisor begins without a proxy, and is given what the store says before the API answers. When it is asked to
stop, the API stops first: nothing is promised any more while clients' transactions come to their end.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tidegate.config.addresses import default_control_socket
from tidegate.config.model import Config
from tidegate.control.plane import ControlPlane, Options
from tidegate.errors import ConfigError
from tidegate.launch.certificates import LocalCertificates
from tidegate.launch.data_plane import SupervisedProxy
from tidegate.launch.health import HealthChecks
from tidegate.launch.settings import endpoints_of
from tidegate.proxy.credentials import Credentials
from tidegate.proxy.logs import LOG, set_up
from tidegate.proxy.supervisor import Supervisor

MOST_WORKERS = 128
RENEW_EVERY = 6 * 3600.0
"""Seconds between two looks at the endpoints' certificate, which is renewed a month before its end."""


def base_config(data: Path, workers: int | None) -> Config:
    """What the API says nothing of. ConfigError for a number of workers that can't be."""
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"--workers = {workers}: must be 1 to {MOST_WORKERS}")
    return Config(
        proxies=(), targets=(), workers=workers or 1, control_socket=default_control_socket(str(data.absolute()))
    )


class OwnVerifier:
    """Part of credentials.Verifier: tokens that our own IAM has the keys of."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def verify(self, proxy: str, user: str, token: str, source: str) -> str:
        """Part of Verifier."""
        resource_id, read_only = endpoints_of(proxy)
        address = source.rpartition(":")[0].strip("[]")
        return await self._plane.verify_token(resource_id, user, token, address, read_only=read_only)


def run(options: Options, base: Config) -> int:
    """Serve until told to stop; the exit status, as the supervisor's. ConfigError says what is in the way.

    base: what the API says nothing of: workers, logs, the control socket.
    """
    set_up(base.log_level, base.log_format, "supervisor")
    plane = ControlPlane(options)
    try:
        certificates = LocalCertificates(options.data)
        return asyncio.run(_run(plane, base, certificates))
    finally:
        plane.close()


async def _run(plane: ControlPlane, base: Config, certificates: LocalCertificates) -> int:
    supervisor = Supervisor(base, None, credentials=Credentials(verifier=OwnVerifier(plane)))

    @asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        checks = HealthChecks()
        proxy = SupervisedProxy(base, certificates, supervisor.apply, checks)
        await plane.start(proxy)
        renewing = asyncio.create_task(_renew(proxy))
        print(f"tidegate: the AWS API is at {plane.url} (account {plane.account.number})", file=sys.stderr, flush=True)
        try:
            yield
        finally:
            renewing.cancel()
            await plane.stop()
            await checks.stop()

    return await supervisor.run(beside)


async def _renew(proxy: SupervisedProxy) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY)
        try:
            await proxy.renew()
        except ConfigError as error:
            LOG.error("the endpoints' certificate could not be renewed: %s", error)
