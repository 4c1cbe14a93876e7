"""The verbs of a workload, and the tools that all of them share.

Owns command lines of the load generators and CPU readings around a load. Refuses to know which contender it loads.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.contenders import Contender, Login
from bench.contenders.base import ProxyContender
from bench.processes import run, wait_until_idle


@dataclass(frozen=True)
class Bench:
    """What a workload needs beside its contender: programs, the login, and how long to load."""

    pgbench: Path
    generators: Path
    login: Login
    quick: bool

    def seconds(self, full: float, quick: float) -> float:
        """A duration by the kind of run."""
        return quick if self.quick else full

    def generator(self, name: str, contender: Contender, *more: object) -> list[str]:
        """Command line of one of our load generators."""
        login = self.login
        address = ["127.0.0.1", str(contender.port), login.user, login.password, login.database]
        return [str(self.generators / name), *address, *map(str, more)]

    def pgbench_command(
        self, contender: Contender, protocol: str, clients: int, *amount: str, sslmode: str = "disable"
    ) -> list[str]:
        """Command line of `pgbench -S` (one SELECT by primary key a transaction), with a progress line a second.

        `amount` is pgbench's own option for how long: -T seconds or -t transactions of each client.
        """
        login = self.login
        address = f"host=127.0.0.1 port={contender.port} user={login.user} password={login.password}"
        command = [str(self.pgbench), "-n", "-S", "-M", protocol, "-c", str(clients), "-j", str(min(2, clients))]
        command += ["-P", "1", *amount]
        return [*command, f"{address} dbname={login.database} sslmode={sslmode} gssencmode=disable"]

    def warm_up(self, contender: Contender, protocol: str = "simple") -> None:
        """A second of load that fills a proxy's pool and the code paths of this protocol."""
        if isinstance(contender, ProxyContender):
            run(self.pgbench_command(contender, protocol, 40, "-T", "1"), timeout=60)
            wait_until_idle(contender.pids())

    def run_generator(self, name: str, contender: Contender, *more: object, timeout: float) -> dict[str, float | str]:
        """Run a generator to its end and give its JSON object."""
        answer: dict[str, float | str] = json.loads(run(self.generator(name, contender, *more), timeout))
        return answer


def too_many(clients: int, contender: Contender) -> str | None:
    """The obstacle that a contender takes fewer connections; None if it takes so many."""
    return f"takes at most {contender.max_clients} connections" if clients > contender.max_clients else None


def unprepared(contender: Contender) -> str | None:
    """The obstacle that a contender can't run prepared statements; None if it can."""
    return None if contender.runs_prepared else "this version has no prepared statements in transaction mode"


class Workload(ABC):
    """One question, asked of every contender in turn."""

    name: ClassVar[str]
    fresh: ClassVar[bool] = False
    """Whether each measurement wants the contender newly started."""
    contenders: ClassVar[tuple[str, ...]] = ("direct", "tidegate", "pgbouncer")
    """Whom it is asked of, by name."""
    once: ClassVar[bool] = False
    """Whether one round is enough (a yes-or-no question)."""

    @abstractmethod
    def cases(self) -> list[str]:
        """The variants, named as in the results."""

    def obstacle(self, case: str, contender: Contender) -> str | None:
        """Why this contender can't run this case, in words for the report; None, as here, when it can."""
        return None

    @abstractmethod
    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """Run one case once and give its figures."""
