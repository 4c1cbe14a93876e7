"""One process that tries inputs of one target until its time is over.

Owns the choice of the next input: first the corpus and what was once found, then new ones and changed ones; those that
show something new are kept to be changed in turn (there is no coverage of compiled code, so "new" means what the target
tells happened). Refuses to outlive a crash: each input is in the file `current` before it is tried, so that the parent
finds it there.

Why this, and not atheris or libFuzzer: an input is a conversation of several clients and a database with one proxy that
keeps state between them, and bytes at random are hardly ever one. So inputs are made by a grammar and changed by steps,
and an input that leads to another state of the proxy is known by what happened, which edge coverage does not tell. What
is compiled runs under AddressSanitizer and UBSan as with those. They would also need clang (libFuzzer is a part of it,
and atheris sees inside an extension module only if clang has compiled it), and `make fuzz` does with gcc.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

from fuzz.distil import name_of
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parent / "found"
FRESH = 0.3  # share of inputs that are made, not changed
KEPT = 2000  # inputs in memory
COLLECT = 64  # inputs between two garbage collections: sessions are full of cycles


def corpus(name: str) -> list[Path]:
    """The kept inputs of a target, and those that once were findings."""
    return [*sorted((CORPUS / name).glob("*")), *sorted(FOUND.glob(f"{name}-*"))]


def run(name: str, seconds: float, seed: int, current: Path, keep: Path | None) -> int:
    """Try inputs for so long; 1 as soon as one of them is a finding. `keep`: write those that showed something new."""
    target = TARGETS[name]
    random = Random(seed)
    known: list[bytes] = []
    seen: set[object] = set()
    tried = 0
    deadline = time.monotonic() + seconds
    gc.disable()
    for data in inputs(name, random, known):
        if time.monotonic() > deadline:
            break
        current.write_bytes(data)
        try:
            features = target.attempt(data)
        except Exception:
            traceback.print_exc()
            return 1
        tried += 1
        if not tried % COLLECT:
            gc.collect()
        if not features <= seen and len(known) < KEPT:
            if keep is not None:
                (keep / name_of(data)).write_bytes(data)
            seen |= features
            known.append(data)
    print(f"{name}: {tried} inputs, {len(seen)} things seen happening", file=sys.stderr)
    current.unlink(missing_ok=True)
    return 0


def inputs(name: str, random: Random, known: list[bytes]) -> Iterator[bytes]:
    """The corpus, then no end of new ones."""
    target = TARGETS[name]
    for path in corpus(name):
        yield path.read_bytes()
    while True:
        if not known or random.random() < FRESH:
            yield target.made(random)
        else:
            yield target.changed(random, random.choice(known), known)
