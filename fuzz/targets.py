"""The fuzz targets: for each, how an input is made, changed, and tried.

Owns that table. Refuses to run anything on its own: `campaign` does, and `tests/faults/test_found_inputs.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fuzz import dialogue, parsers, tokens, world
from fuzz.mutation import mutated, mutated_steps
from fuzz.steps import Step, decode, encode

Features = set[object]


@dataclass(frozen=True)
class Target:
    """`attempt` returns what happened, coarsely, and raises whatever must not happen."""

    about: str
    made: Callable[[Random], bytes]
    changed: Callable[[Random, bytes, list[bytes]], bytes]
    attempt: Callable[[bytes], Features]


def _world(about: str, made: Callable[[Random], list[Step]], logged_in: bool) -> Target:
    return Target(
        about,
        lambda random: encode(made(random)),
        mutated_steps,
        lambda data: world.play(decode(data), logged_in),
    )


TARGETS = {
    "login": _world("clients from their first byte", dialogue.login_steps, False),
    "requests": _world("logged-in clients, and a database that keeps to the protocol", dialogue.request_steps, True),
    "replies": _world("logged-in clients, and a database that does not", dialogue.reply_steps, True),
    "opening": _world("a database that does not from its first byte", dialogue.opening_steps, False),
    "sql": Target("the scanner of SQL", parsers.made_sql, mutated, parsers.try_sql),
    "scram": Target("SCRAM messages of both sides", parsers.made_scram, mutated, parsers.try_scram),
    "tokens": Target("tokens in a password's place", tokens.made_token, mutated, tokens.try_token),
    "messages": Target("readers of single messages", parsers.made_message, mutated, parsers.try_message),
}
