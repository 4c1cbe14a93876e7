"""Making a finding small: the fewest steps, then the fewest bytes, that still break the same rule.

Owns that search (by halves, as in delta debugging). Refuses crashes: those end the process that would look on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fuzz.steps import decode, encode

_Part = TypeVar("_Part")
Fails = Callable[[bytes], str]

SHOWN = 60  # characters by which two failures are the same
TRIES = 256  # pieces of a long payload that are tried one by one; smaller ones are not


def failure(attempt: Callable[[bytes], object], data: bytes) -> str:
    """What an input breaks, coarsely; "" if nothing."""
    try:
        attempt(data)
    except Exception as error:
        return f"{type(error).__name__} {error}"[:SHOWN]
    return ""


def shrunk(attempt: Callable[[bytes], object], data: bytes, has_steps: bool) -> bytes:
    """The smallest input found that fails as `data` does."""
    wanted = failure(attempt, data)
    if not wanted:
        return data

    def fails(candidate: bytes) -> bool:
        return failure(attempt, candidate) == wanted

    if not has_steps:
        return bytes(fewest(list(data), lambda parts: fails(bytes(parts))))
    steps = fewest(decode(data), lambda parts: fails(encode(parts)))
    for at, step in enumerate(steps):
        payload = fewest(
            list(step.payload),
            lambda parts, at=at, step=step: fails(  # type: ignore[misc]  # mypy sees no lambda with defaults
                encode([*steps[:at], step._replace(payload=bytes(parts)), *steps[at + 1 :]])
            ),
        )
        steps[at] = step._replace(payload=bytes(payload))
    return encode(steps)


def fewest(parts: Sequence[_Part], fails: Callable[[list[_Part]], bool]) -> list[_Part]:
    """Leave out as much as possible, in pieces of half, a quarter, ... of what is there."""
    kept = list(parts)
    smallest = max(len(kept) // TRIES, 1)
    size = max(len(kept) // 2, 1)
    while kept:
        at, before = 0, len(kept)
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if fails(fewer):
                kept = fewer
            else:
                at += size
        if size == smallest and len(kept) == before:
            break
        size = max(size // 2, smallest)
    return kept
