"""Making new inputs out of old ones, without knowing what they mean.

Owns changes to bytes and to lists of steps. Refuses to build anything from nothing: `dialogue` does.
"""

from __future__ import annotations

from random import Random

from fuzz.steps import Do, Step, decode, encode

LARGEST = 100_000  # bytes of one input
INTERESTING = [
    value.to_bytes(size, "big", signed=value < 0)
    for size, values in {
        1: (0, 1, 0x7F, 0x80, 0xFF),
        2: (0, 1, 0x7FFF, 0x8000, 0xFFFF),
        4: (0, 1, 3, 4, 5, 0xFFFF, 0x10000, 0x100000, 0x3FFFFFFF, 0x40000000, 0x40000001, 0x7FFFFFFF, -1, -(1 << 31)),
    }.items()
    for value in values
]


def mutated(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """A few small changes somewhere; `others` are inputs to splice with."""
    for _ in range(1 << random.randrange(4)):
        data = random.choice(CHANGES)(random, data, others)
    return data[:LARGEST]


def flipped(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """One bit the other way round."""
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << random.randrange(8),)) + data[at + 1 :]


def replaced(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """Bytes overwritten by a number on which comparisons like to fail, or by anything."""
    new = random.choice(INTERESTING) if random.random() < 0.7 else random.randbytes(random.randrange(1, 9))
    at = random.randrange(len(data) + 1)
    return data[:at] + new + data[at + len(new) :]


def inserted(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """The same, between two bytes."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(INTERESTING) + data[at:]


def removed(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """A piece cut out."""
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.randrange(1, 17) :]


def doubled(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """A piece repeated somewhere else."""
    start = random.randrange(len(data) + 1)
    piece = data[start : start + random.randrange(1, 65)]
    at = random.randrange(len(data) + 1)
    return data[:at] + piece + data[at:]


def spliced(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """The beginning of one input, and the end of another."""
    if not others:
        return data
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


CHANGES = (flipped, replaced, replaced, inserted, removed, doubled, spliced)


def mutated_steps(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """Changes within payloads, and of the order of steps; now and then of the encoding itself."""
    if random.random() < 0.05:
        return mutated(random, data, others)
    steps = decode(data)
    for _ in range(1 << random.randrange(4)):
        steps = _changed(random, steps, others)
    return encode(steps)[:LARGEST]


def _changed(random: Random, steps: list[Step], others: list[bytes]) -> list[Step]:
    if not steps:
        return [Step(Do.SEND, 0, random.randbytes(8))]
    at = random.randrange(len(steps))
    step = steps[at]
    choice = random.randrange(10)
    if choice < 4:
        change = random.choice(CHANGES[:-1])
        return [*steps[:at], step._replace(payload=change(random, step.payload, [])), *steps[at + 1 :]]
    if choice == 4 and len(step.payload) > 1:
        cut = random.randrange(1, len(step.payload))
        pieces = [step._replace(payload=step.payload[:cut]), step._replace(payload=step.payload[cut:])]
        return [*steps[:at], *pieces, *steps[at + 1 :]]
    if choice == 5:
        return [*steps[:at], *steps[at + 1 :]]
    if choice == 6:
        other = random.randrange(len(steps))
        steps[at], steps[other] = steps[other], steps[at]
        return steps
    if choice == 7:
        return [*steps[:at], step._replace(hold=not step.hold), *steps[at + 1 :]]
    if choice == 8 and others:
        other_steps = decode(random.choice(others))
        start = random.randrange(len(other_steps) + 1)
        return [*steps[:at], *other_steps[start : start + random.randrange(1, 9)], *steps[at:]]
    return [
        *steps[:at],
        Step(Do(random.randrange(len(Do))), random.randrange(4), bytes(random.randrange(2))),
        *steps[at:],
    ]
