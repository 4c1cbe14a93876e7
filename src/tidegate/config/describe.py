"""Prints a configuration's effective settings for people: what `tidegate validate` shows.

Owns that table. Refuses to show a secret: it says only whether one is set, and in which form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from tidegate.config.model import Config, TargetConfig
from tidegate.config.passwords import SecretKind, kind_of
from tidegate.config.problems import database_label, number, shown
from tidegate.config.shape import known_of

_PARTS = frozenset({"proxies", "targets", "users", "databases", "name"})


def describe(config: Config) -> str:
    """The settings in effect, a line each, under the tables that hold them; those that aren't the default get a *."""
    lines = [*_table("", config)]
    for proxy in config.proxies:
        lines += _table(f'[[proxy]] "{proxy.name}"', proxy)
        for alias, database in proxy.databases.items():
            lines += _table(f'[[proxy]] "{proxy.name}": {database_label(alias)}', database)
    for target in config.targets:
        lines += _table(f'[[target]] "{target.name}"', target)
    for user in config.users:
        lines += _table(f"[[user]] {shown(user.name)}", user)
    if not config.users:
        lines += ["", "no [[user]]: every role of the database may log in (pass-through)"]
    return "\n".join(lines)


def _table(title: str, part: Any) -> Iterator[str]:
    if title:
        yield ""
        yield title
    for one in fields(part):
        if one.name in _PARTS:
            continue
        value, known = getattr(part, one.name), known_of(one)
        changed = one.default is MISSING or value != one.default
        if known.secret and isinstance(value, tuple):
            text = f"({len(value)} given)" if value else "(none)"
        elif known.secret:
            text = f"({_kind(part, value)})" if value else "(none)"
        elif value in (None, "", ()):
            text = f"({known.default_shown or 'none'})".replace("`", "")
        else:
            text = f"{_shown(value)} {known.unit}".rstrip()
        yield f"{'*' if changed else ' '} {one.name:<28} {text}"


def _kind(part: Any, secret: str) -> SecretKind:
    """A target's password is what the proxy itself logs in with: plain, whatever it looks like."""
    plain = isinstance(part, TargetConfig) or getattr(part, "plain_passwords", False)
    return SecretKind.PLAIN if plain else kind_of(secret)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)
    return number(value) if isinstance(value, int | float) else str(value)
