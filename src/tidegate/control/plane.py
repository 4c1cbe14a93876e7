"""The control plane as one thing: its parts put together, started, and stopped in order.

Owns which parts there are, and that what a part needs is there before it. Refuses what each does, signals, and the data
plane, which comes as an argument.

Start: folder, store, account; then the desired state is applied as it was left; then HTTP, so that who gets an answer
finds what it promises. Stop: the same backwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate.auth.rds_token import TokenRefused
from tidegate.control.account import Account, first_start
from tidegate.control.api.app import make_app
from tidegate.control.api.dispatch import Dispatcher
from tidegate.control.api.server import ApiServer
from tidegate.control.desired import HealthBoard, Place, Plan, Reconciler, RoleCredentials, make_plan, settle
from tidegate.control.folder import DataFolder
from tidegate.control.ports import DataPlane, Failure
from tidegate.control.profile import write_profile
from tidegate.control.rotation import handlers as rotation
from tidegate.control.services.ec2.lookup import Lookup
from tidegate.control.services.ec2.seed import seed
from tidegate.control.services.ec2.service import Ec2Service
from tidegate.control.services.iam.database_tokens import TokenVerifier
from tidegate.control.services.iam.guard import PolicyGuard
from tidegate.control.services.iam.keys import find_key
from tidegate.control.services.iam.service import IamService
from tidegate.control.services.rds.records import Proxy, ProxyEndpoint
from tidegate.control.services.rds.service import RdsService
from tidegate.control.services.rds.settings import Settings
from tidegate.control.services.rds.usage import user_of
from tidegate.control.services.secretsmanager import chores
from tidegate.control.services.secretsmanager.service import SecretsManager
from tidegate.control.services.sts.service import StsService
from tidegate.control.store.sealed import STATE_FILE, open_sealer
from tidegate.control.store.store import Store, Transaction
from tidegate.control.store.thread import StoreThread
from tidegate.control.tasks import TaskRunner

PUBLISH_LIMIT = 30.0
"""Seconds that a rotation waits until the data plane knows a pending password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a start may say; None: as it was, or the default."""

    host: str
    port: int
    data: Path
    account: str | None = None
    region: str | None = None
    passphrase: str | None = None
    """Seals secrets in place of a key file."""
    listen_port: int | None = None
    """Of the proxies' endpoints; 5432."""


class ControlPlane:
    """Made before an event loop runs; `start` and `stop` are called in it."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        """Take the data folder and open the store. ConfigError says what is in the way."""
        self._clock = clock
        self._options = options
        self._folder = DataFolder(options.data)
        self._sealer = open_sealer(options.data, passphrase=options.passphrase)
        self._store = StoreThread(Store(options.data / STATE_FILE))
        try:
            self.account: Account = self._store.run_sync(self._first_start)
        except BaseException:
            self.close()
            raise
        self._place = Place(self.account.number, self.account.region)
        self._settings = Settings() if options.listen_port is None else Settings(listen_port=options.listen_port)
        self._board = HealthBoard()
        self._tasks: list[asyncio.Task[None]] = []

    def _first_start(self, transaction: Transaction) -> Account:
        return first_start(
            transaction,
            now=self._clock(),
            number=self._options.account,
            region=self._options.region,
            seeds=[_furnish],
        )

    @property
    def url(self) -> str:
        """Where the API is."""
        return self._server.url

    async def start(self, data_plane: DataPlane) -> None:
        """Apply what was left, then serve. ConfigError if the address can't be had."""
        credentials = RoleCredentials(self._sealer, account=self.account.number, region=self.account.region)

        def plan(transaction: Transaction) -> Plan:
            return make_plan(
                transaction, at=self._clock(), place=self._place, credentials=credentials, sealer=self._sealer
            )

        def settled(transaction: Transaction, made: Plan, failures: Mapping[str, Failure]) -> None:
            settle(transaction, made, failures, at=self._clock(), place=self._place, settings=self._settings)

        self._loop = asyncio.get_running_loop()
        self._reconciler = Reconciler(
            in_transaction=self._store.run, plan=plan, settle=settled, data_plane=data_plane, board=self._board
        )
        works = {**chores.handlers(self._sealer), **rotation.handlers(self._sealer, self._publish)}
        self._runner = TaskRunner(self._store, self._clock, works)
        self._server = ApiServer(make_app(self._dispatcher(), self._clock), self._options.host, self._options.port)
        await self._reconciler.step()
        self._unlisten = [self._store.listen(self._runner.committed), self._store.listen(self._reconciler.changed)]
        await self._server.start()
        write_profile(self._options.data, self.account, self._server.url)
        self._tasks.append(asyncio.create_task(self._reconciler.run()))
        self._runner.start()

    def _dispatcher(self) -> Dispatcher:
        services = (
            RdsService(network=Lookup(), sealer=self._sealer, health=self._board.of, settings=self._settings),
            SecretsManager(self._sealer),
            IamService(),
            StsService(),
            Ec2Service(used=user_of),
        )
        return Dispatcher(
            self._store, services, PolicyGuard(), find_key, account=self.account.number, region=self.account.region
        )

    def _publish(self) -> None:
        """From a task's thread: return once the data plane knows what has been committed; raises if it can't."""
        asyncio.run_coroutine_threadsafe(self._reconciler.publish(), self._loop).result(PUBLISH_LIMIT)

    async def stop(self) -> None:
        """Take no more requests, begin no more tasks; what has begun may finish."""
        await self._server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.stop()
        for unlisten in self._unlisten:
            unlisten()

    def close(self) -> None:
        """Release the store and the folder."""
        self._store.close()
        self._folder.close()

    async def verify_token(self, resource_id: str, user: str, token: str, source_ip: str, *, read_only: bool) -> str:
        """Whether an IAM token lets its bearer in at a proxy: "" if so, else why not, for the log.

        read_only: by which kind of its endpoints the client has come.
        """
        return await self._store.run(
            lambda transaction: self._refusal(transaction, resource_id, read_only, user, token, source_ip)
        )

    def _refusal(
        self, transaction: Transaction, resource_id: str, read_only: bool, user: str, token: str, source_ip: str
    ) -> str:
        proxy = next((one for one in transaction.table(Proxy).all() if one.resource_id == resource_id), None)
        if proxy is None:
            return f"there is no proxy {resource_id}"
        reasons: list[str] = []
        own = (one for one in transaction.table(ProxyEndpoint).all() if one.proxy_id == resource_id)
        for endpoint in (one for one in own if one.read_only is read_only):
            try:
                TokenVerifier().verify(
                    transaction,
                    token,
                    user=user,
                    hosts=(endpoint.host,),
                    port=endpoint.port,
                    region=self.account.region,
                    account=self.account.number,
                    resource_id=resource_id,
                    now=self._clock(),
                    source_ip=source_ip,
                )
                return ""
            except TokenRefused as refusal:
                reasons.append(str(refusal))
        # Of several endpoints most are not meant: what says something else than that is why.
        return min(reasons, key=lambda reason: "another host" in reason, default="the proxy has no endpoint")


def _furnish(transaction: Transaction, account: Account) -> None:
    """What a new account has."""
    seed(transaction, account.number, account.region, account.created)
