"""An input of the world targets: a list of steps, as bytes that any mutation leaves readable.

Owns the encoding. Refuses to know what a step does: `world` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

HOLD = 0x80
"""Added to a step's first byte: the next step follows at once, before the proxy has seen this one."""

LONGEST = 0xFFFF  # bytes of one step


class Do(IntEnum):
    """What happens; the low two bits of the first byte say to whom."""

    SEND = 0
    """A client sends bytes."""
    LEAVE = 1
    """A client closes its connection; with a payload, only its sending half."""
    DEAFEN = 2
    """A client stops reading; with a payload, it reads again."""
    REPLY = 3
    """A database connection sends bytes of its own, out of turn."""
    HANG_UP = 4
    """A database connection closes."""
    MUTE = 5
    """The database answers nothing any more; with a payload, it answers again."""


class Step(NamedTuple):
    """One event, `who` (0-3) it happens to, and whether the proxy gets no time after it."""

    do: Do
    who: int = 0
    payload: bytes = b""
    hold: bool = False


def encode(steps: Iterable[Step]) -> bytes:
    """The bytes of an input; payloads longer than LONGEST are split."""
    out = bytearray()
    for step in steps:
        payload = step.payload
        while True:
            piece, payload = payload[:LONGEST], payload[LONGEST:]
            held = HOLD if step.hold or payload else 0
            out += bytes((step.do << 2 | step.who | held,)) + len(piece).to_bytes(2, "big") + piece
            if not payload:
                break
    return bytes(out)


def decode(data: bytes) -> list[Step]:
    """The steps of any bytes whatever: unknown kinds wrap around, the last payload may be short."""
    steps = []
    at = 0
    while at + 3 <= len(data):
        head = data[at]
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        kind = Do((head >> 2 & 0x1F) % len(Do))
        steps.append(Step(kind, head & 3, data[at + 3 : at + 3 + size], bool(head & HOLD)))
        at += 3 + size
    return steps
