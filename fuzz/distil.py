"""Choosing a corpus: of many inputs the few, small ones that together show most of what all of them show.

Owns that choice, greedily by what an input adds to those chosen before it. Refuses to make inputs: `campaign` does, and
writes those that showed something new with --keep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

MOST = 60  # inputs of one target
LARGEST = 4096  # bytes of one input; a long one tells the next campaign little that a short one does not

Features = set[object]


def chosen(attempt: Callable[[bytes], Features], inputs: Iterable[bytes]) -> list[bytes]:
    """The inputs to keep, most telling first. One that raises is left out: it is a finding, and belongs elsewhere."""
    shown: dict[bytes, Features] = {}
    for data in inputs:
        if len(data) <= LARGEST and data not in shown:
            try:
                shown[data] = attempt(data)
            except Exception:
                continue
    picked: list[bytes] = []
    seen: Features = set()
    while len(picked) < MOST:
        best = max(shown, key=lambda data: (len(shown[data] - seen), -len(data)), default=None)
        if best is None or shown[best] <= seen:
            break
        seen |= shown.pop(best)
        picked.append(best)
    return picked


def distil(attempt: Callable[[bytes], Features], sources: Iterable[Path], into: Path) -> list[Path]:
    """Fill the folder `into` with the chosen ones of what it has and of `sources`; returns their files."""
    into.mkdir(parents=True, exist_ok=True)
    kept = {name_of(data): data for data in chosen(attempt, [path.read_bytes() for path in sources])}
    for path in into.iterdir():
        if path.name not in kept:
            path.unlink()
    for name, data in kept.items():
        (into / name).write_bytes(data)
    return [into / name for name in kept]


def name_of(data: bytes) -> str:
    """The same input has the same name, whoever found it."""
    return hashlib.sha256(data).hexdigest()[:12]
