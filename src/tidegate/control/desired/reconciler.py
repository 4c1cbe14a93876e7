"""Applies the desired state whenever it may have changed, and settles what has come true.

Owns when: at the start, after commits, again after a failure with growing pauses, and once in a while, since time
itself changes what is desired (a previous password's grace ends, a policy's condition on dates). What could not be had
is tried again when its pause is over, however often something else changes meanwhile. One thing at a time is asked of
the data plane. Refuses to know what is desired (`plan`) or what a state means (`settling`).
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Protocol, TypeVar

from tidegate.control.desired.board import HealthBoard
from tidegate.control.desired.plan import Plan
from tidegate.control.ports import DataPlane, Desired, Failure
from tidegate.control.store.store import Transaction

LOG = logging.getLogger("tidegate.control")
T = TypeVar("T")

REFRESH = 30.0
"""Seconds between looks at the records that nothing asked for."""
HEALTH_EVERY = 2.0
"""Seconds between questions for targets' health."""
PAUSES = (0.5, 1.0, 3.0, 8.0, 15.0, 30.0)
"""Seconds before the next attempt, after the first, second, ... failure in a row."""
INDIFFERENT = frozenset(
    {"iam.last_use", "iam.session", "rds-event", "rds-event-log", "rds-subnet-group", "sts.sweep", "task"}
)
"""Kinds of records that change nothing here; those of ec2 begin with "ec2-"."""

Wait = Callable[[asyncio.Event, float], Awaitable[None]]
"""Wait for the event, but no longer than so many seconds."""


class InTransaction(Protocol):
    """Runs a function in a transaction of the store, in the store's thread."""

    def __call__(self, function: Callable[[Transaction], T], /) -> Awaitable[T]:
        """What it returns, once that is committed."""


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """The Wait of real time."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


class Reconciler:
    """Made once; `run` is a task of the event loop, and `changed` is called there."""

    def __init__(
        self,
        *,
        in_transaction: InTransaction,
        plan: Callable[[Transaction], Plan],
        settle: Callable[[Transaction, Plan, Mapping[str, Failure]], None],
        data_plane: DataPlane,
        board: HealthBoard,
        wait: Wait = wait_for,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """plan: make_plan with all but the transaction; settle: likewise. clock: seconds."""
        self._in_transaction = in_transaction
        self._plan = plan
        self._settle = settle
        self._data_plane = data_plane
        self._board = board
        self._wait = wait
        self._clock = clock
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._applied: Desired | None = None
        self._failures: dict[str, Failure] = {}
        self._attempts = 0

    def changed(self, kinds: Iterable[str]) -> None:
        """A call has committed records of these kinds (Transaction.written)."""
        if any(kind not in INDIFFERENT and not kind.startswith("ec2-") for kind in kinds):
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            due = self._clock() + await self.step()
            while True:
                await self._wait(self._wake, max(0.0, due - self._clock()))
                self._wake.clear()
                late = self._clock() >= due
                pause = await self.step(again=late)
                due = self._clock() + pause if late else min(due, self._clock() + pause)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def step(self, *, again: bool = True) -> float:
        """Plan, apply, settle, once. Returns after how many seconds to do so again, if nothing calls for it earlier.

        again: try what could not be had, too; else only what has changed.
        """
        before = set(self._failures)
        try:
            async with self._one_at_a_time:
                await self._reconcile(again)
        except Exception as error:  # whatever it is, the next attempt may do
            LOG.error("the desired state could not be applied: %s", _where(error))
            return self._pause()
        more = self._failures.keys() - before
        if more or not self._failures:
            self._attempts = 0
        return self._pause() if more or (again and self._failures) else REFRESH

    async def publish(self, secret: str) -> None:
        """Plan, apply, settle now. RuntimeError if a proxy runs that names the secret (an ARN), and has not what is
        planned of its users: then nobody may build on it."""
        async with self._one_at_a_time:
            plan = await self._reconcile(again=False)
        lagging = [name for name, failure in self._failures.items() if failure.credentials_lag]
        names = {secret, secret.rpartition("-")[0]}  # Auth may leave out an ARN's random end
        concerned = [name for name in lagging if names & plan.secrets.get(name, frozenset())]
        if concerned:
            raise RuntimeError(f"not applied to {', '.join(sorted(concerned))}")

    async def _reconcile(self, again: bool) -> Plan:
        plan = await self._in_transaction(self._plan)
        self._board.planned(plan)
        if plan.desired != self._applied or (again and self._failures):
            self._applied = None  # until it is known to be so
            self._failures = await self._data_plane.apply(plan.desired, again=again)
            self._applied = plan.desired
            self._board.saw(await self._data_plane.health())
        failures = dict(self._failures)
        await self._in_transaction(lambda transaction: self._settle(transaction, plan, failures))
        return plan

    def _pause(self) -> float:
        pause = PAUSES[min(self._attempts, len(PAUSES) - 1)]
        self._attempts += 1
        return pause

    async def _watch(self) -> None:
        never = asyncio.Event()
        while True:
            await self._wait(never, HEALTH_EVERY)
            try:
                async with self._one_at_a_time:
                    self._board.saw(await self._data_plane.health())
            except Exception as error:  # asked again in a moment; what was last seen stands till then
                LOG.warning("targets' health could not be asked for: %s", _where(error))


def _where(error: Exception) -> str:
    """An error's type and place. Its text may quote a setting, and with it a password."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return f"{type(error).__name__} at {last.filename}:{last.lineno}" if last else type(error).__name__
