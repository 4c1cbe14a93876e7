"""The two sides that a suite runs on: a PostgreSQL each, one of them behind Tidegate, with the same churn on both.

Owns what is set up around a run, and the figures that the proxy has counted in it. Refuses to run the suite.

The proxy lends by rotation (no client gets the server that it had last), audits every transaction, and has few servers.
Bystanders use the suite's own database as its own user: some run short transactions without end, one leaves a kind of
poison behind and goes, over and over.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from suites.catalogue import Suite
from tests.support.churn import POISON, Churn
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tidegate.demo.postgres import PASSWORD, SUPERUSER

ROTATORS = 3
PAUSE = 0.03  # seconds between two transactions of a bystander, at most: the suite needs the processor, too


@dataclass
class Figures:
    """What the proxy has counted for the suite alone: the bystanders' part is taken off."""

    transactions: int = 0
    moves: int = 0
    stays: int = 0
    pins: dict[str, int] = field(default_factory=dict)
    audits: int = 0
    missed: int = 0
    findings: list[str] = field(default_factory=list)
    log: str = ""


@contextlib.contextmanager
def directly(suite: Suite) -> Iterator[Side]:
    """A database of its own, with the churn straight at it."""
    with _database(suite) as postgres:
        side = _side("direct", suite, postgres.host, postgres.port)
        with _churn(side):
            yield side


@contextlib.contextmanager
def through_tidegate(suite: Suite) -> Iterator[tuple[Side, Figures]]:
    """A database of its own behind a proxy, with the churn through the proxy. The figures are filled in at the end."""
    with (
        _database(suite) as postgres,
        Proxy(
            postgres,
            proxy={"lending": "rotate", "session_audit": 1.0},
            target={"max_connections": suite.servers},
        ) as proxy,
    ):
        side = _side("proxied", suite, proxy.host, proxy.port)
        figures = Figures()
        churn = _churn(side)
        with churn:
            pinning = _pins_of_one_round(proxy, churn)
            yield side, figures
        _fill_in(figures, proxy, churn, pinning)


@contextlib.contextmanager
def _database(suite: Suite) -> Iterator[Postgres]:
    with Postgres(max_connections=200, settings=suite.settings) as postgres:
        postgres.start()
        if suite.user != SUPERUSER:
            postgres.add_role(suite.user, "SUPERUSER")
        for database in suite.databases:
            postgres.sql(f"CREATE DATABASE {database.name} OWNER {suite.user}")
            for statement in database.statements:
                postgres.sql(statement, user=suite.user, database=database.name)
        yield postgres


def _side(name: str, suite: Suite, host: str, port: int) -> Side:
    password = PASSWORD if suite.user == SUPERUSER else suite.user
    return Side(name, host, port, suite.user, password, suite.databases[0].name, suite.servers)


def _churn(side: Side) -> Churn:
    return Churn(side.url(), rotators=ROTATORS, pause=PAUSE, lingers=True, enduring=True)


def _pins_of_one_round(proxy: Proxy, churn: Churn) -> dict[str, str]:
    """Which kinds of poison pin, and for which reason; known once each has been left behind."""
    found: dict[str, str] = {}
    wait_until(lambda: churn.poisonings >= len(POISON), "a round of the churn", timeout=60)
    pinned = _by_reason(proxy.stats(), "pins_")
    for poison in POISON:
        for words, reason in _PINNING.items():
            if words in poison and reason in pinned:
                found[poison] = reason
    return found


_PINNING = {"TEMP TABLE": "temp_object", "PREPARE": "sql_prepare", "LISTEN": "listen", "advisory": "advisory_lock"}


def _fill_in(figures: Figures, proxy: Proxy, churn: Churn, pinning: dict[str, str]) -> None:
    stats = proxy.stats()
    pins = Counter(_by_reason(stats, "pins_"))
    kept = 0
    for poison, reason in pinning.items():
        times = churn.poisoned_with(poison)
        pins[reason] -= times
        kept += times
    figures.pins = {reason: count for reason, count in sorted(pins.items()) if count > 0}
    # A bystander's transaction is a borrow, and a move but for its first. The poisoner's two statements are two
    # transactions, the second a move unless the first has pinned it.
    figures.transactions = stats["transactions"] - churn.transactions - 2 * churn.poisonings
    figures.moves = stats["moves"] - (churn.transactions - churn.rotators) - (churn.poisonings - kept)
    figures.stays = stats["stays"]
    figures.audits = stats["audits"]
    figures.findings = [line for line in proxy.stderr().splitlines() if "session audit: unseen" in line]
    figures.missed = stats["audit_findings"]
    figures.log = proxy.stderr()


def _by_reason(stats: dict[str, Any], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in stats.items() if name.startswith(prefix)}
