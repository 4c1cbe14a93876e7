"""Prepared statements of one session, by name: those of the protocol and those of PREPARE share the names.

Owns which exist and who made them, and the statement texts that operations prepare. Refuses transactions: a rollback
undoes none of it ("PREPARE"; protocol, "Extended Query").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .answers import Expected

if TYPE_CHECKING:
    from .session import Session

INT4, TEXT = 23, 25


@dataclass(frozen=True)
class Plan:
    """A statement text. `run` is what executing it with one value (or none) does to a session."""

    sql: str
    parameters: tuple[int, ...]
    columns: tuple[int, ...]
    run: Callable[[Session, str], Expected]
    by_sql: bool = False
    possible: Callable[[Session], bool] = lambda session: True


@dataclass
class Plans:
    """Names and plans; `unnamed` is None where there is none, or (`unnamed_unknown`) one that nobody will use."""

    named: dict[str, Plan] = field(default_factory=dict)
    unnamed: Plan | None = None
    unnamed_unknown: bool = False

    def by_sql(self) -> list[str]:
        """Names that PREPARE gave."""
        return [name for name, plan in self.named.items() if plan.by_sql]

    def deallocate_all(self) -> None:
        """DEALLOCATE ALL: those of the protocol too, but for the unnamed one."""
        self.named.clear()

    def forget_unnamed(self, destroyed: bool) -> None:
        """A Query destroys the unnamed statement ("Extended Query"), a Parse replaces it."""
        self.unnamed = None
        self.unnamed_unknown = not destroyed
