"""The supervisor: makes what workers share, keeps them running, reads settings again, stops all of it in order.

Owns the life of one `tidegate serve`, from its sockets to its exit status. Never touches a client's byte, so nothing
that is slow here is felt by a client. Refuses the parts: workers (`crew`), sockets (`listening`), shared descriptors
(`shared`), slots of dead workers (`recovery`), the control socket (`admin`).

Signals:
    SIGTERM   no new clients; transactions may finish for shutdown_timeout seconds, then all is closed
    SIGINT    the same with at most INTERRUPT_LIMIT seconds: somebody sits at the terminal
    either, when it stops already: close everything now
    SIGHUP    read the configuration file again; a file with an error changes nothing
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidegate.auth.mock_key import mock_key
from tidegate.config.addresses import default_control_sockets
from tidegate.config.load import load
from tidegate.config.model import Config, LogFormat, TargetConfig
from tidegate.errors import ConfigError
from tidegate.proxy.admin import AdminSocket
from tidegate.proxy.boot import Boot
from tidegate.proxy.certificates import check_certificates
from tidegate.proxy.child import DEFAULT_COMMAND
from tidegate.proxy.child import Command as WorkerCommand
from tidegate.proxy.commands import Command, Commands
from tidegate.proxy.control import (
    CatalogueChanged,
    Configure,
    Configured,
    CredentialLooked,
    CredentialRefused,
    Message,
    OrphanSlot,
    Reclaimed,
    StopMode,
    TokenVerdict,
    Told,
    VerifyToken,
)
from tidegate.proxy.credentials import Credentials
from tidegate.proxy.crew import Crew
from tidegate.proxy.descriptors import raise_limit, shortage
from tidegate.proxy.learnt import Knowledge, Learnt
from tidegate.proxy.listening import Change, Listening, describe
from tidegate.proxy.logs import ALWAYS, LOG, set_up
from tidegate.proxy.recovery import Recovery
from tidegate.proxy.shared import Shared
from tidegate.proxy.sockets import remove_abandoned
from tidegate.proxy.totals import Totals

Beside = Callable[[], AbstractAsyncContextManager[object]]

INTERRUPT_LIMIT = 5.0
"""Seconds that transactions may go on after SIGINT."""

STOP_MARGIN = 5.0
"""Seconds beyond its limit that a worker gets to close its connections, before it is told to drop them."""

DROP_LIMIT = 3.0
"""Seconds that dropping them may take, before the worker is killed."""

CONFIGURE_LIMIT = 10.0
"""Seconds that workers have to answer."""

NEEDS_RESTART = ("workers", "control_socket")
"""Settings that a reload leaves as they are."""


def run(config: Config, config_path: Path | None, command: WorkerCommand = DEFAULT_COMMAND) -> int:
    """Serve until told to stop; the exit status: 0 stopped as asked, 1 the workers could not be started.

    config_path: what a reload reads; None if the settings came from the command line. ConfigError if an address or
    the control socket cannot be used.
    """
    set_up(config.log_level, config.log_format, "supervisor", debugged=config.debugged)
    return asyncio.run(Supervisor(config, config_path, command).run())


class Supervisor:
    """One run. Its methods for CrewEvents and commands are called from the event loop, one at a time."""

    def __init__(
        self,
        config: Config,
        config_path: Path | None,
        command: WorkerCommand = DEFAULT_COMMAND,
        credentials: Credentials | None = None,
    ) -> None:
        """credentials: None for those that the settings mean."""
        self._config = config
        self._credentials = credentials or Credentials()
        self._config_path = config_path
        self._command = command
        self._reloading = asyncio.Lock()
        self._stopping = False
        self._lack = ""
        self._given = 0
        """Version of the credentials that all workers have."""
        self._asked = asyncio.Event()
        self._random_key = secrets.token_bytes(32)
        self._hasten: asyncio.TimerHandle | None = None
        self._recover_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, beside: Beside = nullcontext) -> int:
        """See run(). `beside`: entered once all workers are ready, left when they have been told to stop."""
        check_certificates(self._config)
        self._loop = asyncio.get_running_loop()
        self._descriptors = raise_limit()
        self._warn_of_shortage()
        self._listening = Listening(self._config.workers)
        self._shared = Shared(self._config.workers)
        self._proxies = self._shared.number_proxies([proxy.name for proxy in self._config.proxies])
        self._targets, _ = self._shared.number_targets(self._config.targets)
        self._recovery = Recovery(self._shared.keeper)
        self._totals = Totals()
        self._knowledge = Knowledge()
        self._crew = Crew(self._config.workers, self, self._command)
        await self._credentials.take(self._config)
        self._given = self._credentials.version
        try:
            self._listening.commit(self._listening.plan(self._config))
            admin = AdminSocket(self._config.control_socket, self._commands())
        except ConfigError:
            self._listening.close()
            self._shared.close()
            raise
        self._catch_signals()
        try:
            await admin.start()
            remove_abandoned(default_control_sockets())
            return await self._serve(beside)
        finally:
            self._credentials.close()
            admin.close()
            self._listening.close()
            self._shared.close()

    async def _serve(self, beside: Beside) -> int:
        self._crew.start()
        gone = asyncio.create_task(self._crew.gone.wait())
        ready = asyncio.create_task(self._crew.all_ready.wait())
        await asyncio.wait((gone, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._crew.hopeless:
            LOG.error("%s; what it said is above. Giving up", self._crew.hopeless)
            self._stop(StopMode.IMMEDIATE, 0.0)
        elif not self._stopping:
            self._announce()
            self._credentials.keep_fresh(self._renew_credentials)
            await self._run_beside(beside, gone)
        await gone
        for handle in (self._hasten, self._recover_timer):
            if handle is not None:
                handle.cancel()
        return 1 if self._crew.hopeless else 0

    async def _run_beside(self, beside: Beside, gone: asyncio.Task[bool]) -> None:
        """Until it is asked to stop, or all workers are gone. What can't begin stops the rest."""
        try:
            async with beside():
                asked = asyncio.create_task(self._asked.wait())
                await asyncio.wait((gone, asked), return_when=asyncio.FIRST_COMPLETED)
                asked.cancel()
        except BaseException:
            self._stop(StopMode.IMMEDIATE, 0.0)
            await gone
            raise

    def _announce(self) -> None:
        """The one line that says where clients connect, whatever the log level."""
        if not self._config.proxies:
            return
        line = describe_service(self._config, self._listening.addresses())
        if self._config.log_format is LogFormat.JSON:
            LOG.handle(LOG.makeRecord(LOG.name, logging.INFO, __file__, 0, line, (), None, extra={ALWAYS: True}))
        else:
            print(f"tidegate: {line}", file=sys.stderr, flush=True)

    def _warn_of_shortage(self) -> None:
        lack = shortage(self._config, self._descriptors)
        if lack and lack != self._lack:
            LOG.warning("%s", lack)
        self._lack = lack

    # Stopping

    def _catch_signals(self) -> None:
        self._loop.add_signal_handler(signal.SIGTERM, self._asked_to_stop, None)
        self._loop.add_signal_handler(signal.SIGINT, self._asked_to_stop, INTERRUPT_LIMIT)
        self._loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)

    def _asked_to_stop(self, limit: float | None) -> None:
        """Stop in order; asked once more, at once. limit: seconds that undercut shutdown_timeout."""
        if self._stopping:
            LOG.warning("asked to stop again: closing everything now")
            self._stop(StopMode.IMMEDIATE, 0.0)
            return
        timeout = self._config.shutdown_timeout
        self._stop(StopMode.GRACEFUL, timeout if limit is None else min(limit, timeout))

    def _stop(self, mode: StopMode, seconds: float) -> None:
        """Tell the workers, and close the supervisor's copies of the sockets, so that nobody can connect any more."""
        if mode is StopMode.GRACEFUL:
            LOG.info("stopping; transactions may finish for %g s", seconds)
        self._stopping = True
        self._asked.set()
        self._crew.stop(mode, seconds)
        self._listening.close()
        if self._hasten is not None:
            self._hasten.cancel()
        if mode is StopMode.GRACEFUL:
            self._hasten = self._loop.call_later(seconds + STOP_MARGIN, self._stop, StopMode.IMMEDIATE, 0.0)
        else:
            self._hasten = self._loop.call_later(DROP_LIMIT, self._crew.kill)

    def _commands(self) -> dict[str, Command]:
        return Commands(
            self._crew, self._shared, self._totals, reload=self._reload, stop=self._told_to_stop, clock=self._loop.time
        ).table()

    def _told_to_stop(self, mode: StopMode) -> None:
        """By the control socket: as by SIGTERM, or by a second one."""
        if mode is StopMode.IMMEDIATE:
            self._loop.call_soon(self._stop, StopMode.IMMEDIATE, 0.0)
        else:
            self._loop.call_soon(self._asked_to_stop, None)

    # Reload

    def _asked_to_reload(self) -> None:
        self._in_background(self._reload_and_log())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_and_log(self) -> None:
        try:
            LOG.info("%s", await self._reload())
        except ConfigError as error:
            for line in str(error).splitlines():
                LOG.error("reload: %s", line)

    async def _reload(self) -> str:
        """Read the file again and have it used; what to tell. ConfigError: nothing changed, or a worker failed."""
        if self._config_path is None:
            raise ConfigError("there is no file to read again: the settings came from elsewhere")
        async with self._reloading:
            new, kept = keep_fixed(self._config, load(self._config_path))
            self._lack = ""  # who reloads is told again; calls of an API would repeat it without end
            await self._use(new)
            return "; ".join(["reloaded", *kept])

    async def apply(self, config: Config) -> None:
        """Have these settings used in place of all before; clients of proxies that are gone are told so.

        ConfigError: nothing changed, or a worker failed; ListenError: nothing changed, for these proxies' addresses.
        """
        async with self._reloading:
            staying = {proxy.name for proxy in config.proxies}
            ended = tuple(proxy.name for proxy in self._config.proxies if proxy.name not in staying)
            await self._use(keep_fixed(self._config, config)[0], ended)

    async def _use(self, new: Config, ended: tuple[str, ...] = ()) -> None:
        if self._stopping:
            raise ConfigError("the proxy is stopping")
        check_certificates(new)
        change = self._listening.plan(new)
        try:
            proxies = self._shared.number_proxies([proxy.name for proxy in new.proxies])
            targets, unused = self._shared.number_targets(new.targets)
            await self._credentials.take(new)
        except ConfigError:
            self._listening.undo(change)
            raise
        self._config, self._targets, self._proxies = new, targets, proxies
        set_up(new.log_level, new.log_format, "supervisor", debugged=new.debugged)
        self._warn_of_shortage()
        await self._configure_workers(change, ended)
        for number in unused:
            self._recovery.drop_target(number)
            self._knowledge.forget(number)

    async def _renew_credentials(self) -> None:
        """Passwords or keys have changed, and nothing else."""
        async with self._reloading:
            if not self._stopping:
                await self._configure_workers(self._listening.plan(self._config))

    async def _configure_workers(self, change: Change, ended: tuple[str, ...] = ()) -> None:
        """Tell the workers. The change is committed first: a worker that starts meanwhile is given the new sockets."""

        def message(worker: int, number: int) -> Configure:
            return Configure(
                round=number,
                config=self._credentials.filled_in(self._config).to_dict(),
                targets=self._targets,
                proxies=self._proxies,
                mock_keys=self._mock_keys(),
                aws_keys=self._credentials.keys(self._config),
                removed=tuple(listener.address for listener in describe(change.removed, worker)),
                added=describe(change.added, worker),
                ended=ended,
            )

        given = self._credentials.version
        removed = replace(change, removed=())  # their sockets are closed once no worker accepts on them
        self._listening.commit(removed)
        replies = await self._crew.ask(message, CONFIGURE_LIMIT, starting=True)
        self._listening.commit(change)
        ready = [one.worker for one in self._crew.ready()]
        silent = [f"worker {worker} did not answer in time" for worker in ready if worker not in replies]
        failed = [
            f"worker {worker} could not use it: {reply.error}"
            for worker, reply in sorted(replies.items())
            if isinstance(reply, Configured) and reply.error
        ]
        if silent or failed:
            raise ConfigError("\n".join([*failed, *silent]))
        self._given = given

    def _mock_keys(self) -> dict[str, str]:
        """What workers make salts up with, by target."""
        users = [user.password or "" for user in self._config.users]
        return {
            target.name: mock_key(target.password, users, self._random_key).hex() for target in self._config.targets
        }

    # CrewEvents

    def outfit(self, worker: int) -> tuple[Boot, list[int]]:
        """Part of CrewEvents."""
        listeners = self._listening.listeners(worker)
        boot = Boot(
            worker=worker,
            workers=self._config.workers,
            mock_keys=self._mock_keys(),
            listeners=listeners,
            budget_fd=self._shared.budget_fd,
            targets=self._targets,
            clients_fd=self._shared.clients_fd,
            proxies=self._proxies,
            wake_fds=self._shared.wake_fds,
            peer_fds=self._shared.peer_fds,
            inbox_fd=self._shared.inbox_fds[worker],
            learnt=self._knowledge.all(),
            aws_keys=self._credentials.keys(self._config),
            config=self._credentials.filled_in(self._config).to_dict(),
        )
        return boot, [*self._shared.fds_for(worker), *(listener.fd for listener in listeners)]

    def worker_died(self, worker: int) -> None:
        """Part of CrewEvents."""
        self._totals.ended(worker)
        self._shared.forget_clients(worker)
        by_target: dict[int, list[OrphanSlot]] = {}
        for target, slot, pid, port in self._shared.keeper.orphan(worker):
            by_target.setdefault(target, []).append(OrphanSlot(slot=slot, pid=pid, port=port))
        for number, orphans in by_target.items():
            self._recover_slots(worker, number, orphans)
        self._wake_all()  # its clients wait no more, which changes the others' shares
        self._schedule_recovery()

    def worker_said(self, worker: int, message: Message) -> None:
        """Part of CrewEvents."""
        if isinstance(message, Reclaimed):
            if self._recovery.answer(message):
                self._wake_all()
            self._schedule_recovery()
        elif isinstance(message, Learnt):
            if message.target in self._targets.values():  # else a reload has just removed it
                self._knowledge.add(message)
                self._crew.send_others(worker, message)
        elif isinstance(message, CatalogueChanged):
            self._crew.send_others(worker, message)
        elif isinstance(message, Told):
            self._totals.told(worker, message.totals)
        elif isinstance(message, CredentialRefused):
            self._in_background(self._look_again(worker, message))
        elif isinstance(message, VerifyToken):
            self._in_background(self._verify(worker, message))

    # Credentials

    async def _look_again(self, worker: int, refused: CredentialRefused) -> None:
        """A database, or a client's proof, does not fit what a secret says."""
        try:
            await self._credentials.look(refused.source)
            if self._credentials.version != self._given:  # another look may have seen the change, and not told it yet
                await self._renew_credentials()
        except ConfigError as error:
            LOG.error("new credentials: %s", error)
        finally:
            self._crew.send(worker, CredentialLooked(serial=refused.serial, source=refused.source))

    async def _verify(self, worker: int, question: VerifyToken) -> None:
        refusal = await self._credentials.verify(question.proxy, question.user, question.token, question.source)
        self._crew.send(worker, TokenVerdict(serial=question.serial, refusal=refusal))

    # Slots of dead workers

    def _recover_slots(self, worker: int, number: int, orphans: list[OrphanSlot]) -> None:
        target = self._target_of(number)
        if target is None:  # removed by a reload: no limit of anybody's is at stake
            for orphan in orphans:
                self._shared.keeper.reclaim(number, orphan.slot)
            return
        LOG.info("%d server connections of worker %d are waited for", len(orphans), worker)
        self._recovery.add(number, target.name, orphans, self._loop.time(), target.server_login_timeout)

    def _target_of(self, number: int) -> TargetConfig | None:
        return next((target for target in self._config.targets if self._targets[target.name] == number), None)

    def _schedule_recovery(self) -> None:
        if self._recover_timer is not None:
            self._recover_timer.cancel()
        at = self._recovery.next_at()
        self._recover_timer = None if at is None else self._loop.call_at(at, self._recover)

    def _recover(self) -> None:
        now = self._loop.time()
        if self._recovery.expire(now):
            self._wake_all()
        for question in self._recovery.due(now):
            child = self._crew.next_ready()
            if child is not None:
                child.send(question)
        self._schedule_recovery()

    def _wake_all(self) -> None:
        self._shared.wake(range(self._config.workers))


def keep_fixed(old: Config, new: Config) -> tuple[Config, list[str]]:
    """The new settings but with the old ones of NEEDS_RESTART; a line for each that differs."""
    kept = [name for name in NEEDS_RESTART if getattr(old, name) != getattr(new, name)]
    fixed = replace(
        new,
        workers=old.workers,
        control_socket=old.control_socket,
    )
    return fixed, [f"{name} = {getattr(new, name)} needs a restart; it stays {getattr(old, name)}" for name in kept]


def describe_service(config: Config, addresses: Mapping[str, list[str]]) -> str:
    """`listening on 127.0.0.1:6432 (target main 127.0.0.1:5432, transaction pooling, 1 worker)`, with `; ` between."""
    workers = "1 worker" if config.workers == 1 else f"{config.workers} workers"
    parts = []
    for proxy in config.proxies:
        target = config.target_of(proxy)
        host = f"[{target.host}]" if ":" in target.host else target.host
        parts.append(
            f"{', '.join(addresses.get(proxy.name, []))} (target {target.name} {host}:{target.port},"
            f" {proxy.pool_mode} pooling, {workers})"
        )
    return f"listening on {'; '.join(parts)}"
