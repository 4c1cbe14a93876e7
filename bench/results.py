"""What a run leaves behind: samples and the facts of the run, kept as JSON.

Owns the file's form. Refuses to interpret: ratios and spreads are `stats`', tables are `report`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

FORM = 1


@dataclass(frozen=True)
class Sample:
    """One measurement: a workload's case, in one round, on one contender."""

    workload: str
    case: str
    round: int
    contender: str
    values: dict[str, float]


@dataclass(frozen=True)
class Note:
    """Something that didn't run, or not as planned: it belongs into the report instead of a number."""

    workload: str
    case: str
    contender: str
    text: str


@dataclass
class Results:
    """A whole run. `contenders` maps names to labels with versions; `machine` and `settings` are facts for readers."""

    date: str
    machine: dict[str, str]
    settings: dict[str, Any]
    contenders: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def series(self, workload: str, case: str, contender: str, value: str) -> dict[int, float]:
        """One value over the rounds: {round: value}, without the rounds in which it is missing."""
        return {one.round: one.values[value] for one in self._of(workload, case, contender) if value in one.values}

    def cases(self, workload: str) -> list[str]:
        """The cases of a workload in the order in which they ran."""
        return list(dict.fromkeys(one.case for one in self.samples if one.workload == workload))

    def _of(self, workload: str, case: str, contender: str) -> Iterator[Sample]:
        for one in self.samples:
            if (one.workload, one.case, one.contender) == (workload, case, contender):
                yield one

    def save(self, path: Path) -> None:
        """Write as JSON, one sample a line so that two runs can be compared with diff."""
        head = {"form": FORM, "date": self.date, "machine": self.machine, "settings": self.settings}
        head |= {"contenders": self.contenders, "notes": [asdict(one) for one in self.notes]}
        lines = ",\n  ".join(json.dumps(asdict(one)) for one in self.samples)
        text = json.dumps(head, indent=1).removesuffix("\n}") + f',\n "samples": [\n  {lines}\n ]\n}}\n'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved run; ValueError when it has another form."""
        data = json.loads(path.read_text())
        if data.pop("form", None) != FORM:
            raise ValueError(f"{path} is not a result file of form {FORM}")
        data["samples"] = [Sample(**one) for one in data["samples"]]
        data["notes"] = [Note(**one) for one in data["notes"]]
        return cls(**data)
