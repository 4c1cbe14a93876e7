"""Texts of a policy with wildcards and policy variables in them.

Owns `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, `${*}`, `${?}` and `${$}` (IAM User Guide, "IAM policy
elements: Variables and tags"). Refuses to match (`wildcards`, `arns`).

What a variable stands for is text: an asterisk in a tag's value is an asterisk, never a wildcard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.control.policies.context import Context
from tidegate.control.policies.wildcards import Glob, Token, Wild, tokens

LITERALS = {"*", "?", "$"}
"""What `${}` around one of them means: the character itself."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable; its default stands in where the key is not there, or has several values."""

    name: str
    """The context key as the policy writes it."""
    default: str | None

    def resolve(self, context: Context) -> str | None:
        """Its text; None if there is none."""
        found = context.single(self.name.lower())
        return self.default if found is None else found


Part = Token | Variable


class Template:
    """A text that may have variables. Unresolved ones make it match nothing."""

    __slots__ = ("_glob", "parts")

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts
        fixed = [part for part in parts if not isinstance(part, Variable)]
        self._glob = Glob(fixed) if len(fixed) == len(parts) else None

    @classmethod
    def parse(cls, text: str, *, variables: bool) -> Template:
        """variables: whether the policy's version has them (2012-10-17)."""
        return cls(tuple(_parts(text)) if variables else tokens(text))

    @property
    def keys(self) -> Iterator[str]:
        """The context keys that its variables ask for."""
        return (part.name for part in self.parts if isinstance(part, Variable))

    @property
    def is_everything(self) -> bool:
        """Whether it is `*`."""
        return self._glob is not None and self._glob.is_everything

    def resolve(self, context: Context) -> tuple[Token, ...] | None:
        """The pattern with its variables' values; None if one has none."""
        resolved: list[Token] = []
        for part in self.parts:
            if isinstance(part, Variable):
                value = part.resolve(context)
                if value is None:
                    return None
                resolved.append(value)
            else:
                resolved.append(part)
        return tuple(resolved)

    def matches(self, text: str, context: Context) -> bool:
        """Whether the text is as the pattern says."""
        if self._glob is not None:
            return self._glob.matches(text)
        resolved = self.resolve(context)
        return resolved is not None and Glob(resolved).matches(text)

    def literal(self, context: Context) -> str | None:
        """The text where wildcards mean nothing (StringEquals); None if a variable has no value."""
        resolved = self.resolve(context)
        if resolved is None:
            return None
        return "".join(part.value if isinstance(part, Wild) else part for part in resolved)

    def split(self, separator: str, limit: int) -> list[Template]:
        """Cut it like str.split at separators in its own text; never at those in a variable's value."""
        pieces: list[list[Part]] = [[]]
        for part in self.parts:
            if not isinstance(part, str):
                pieces[-1].append(part)
                continue
            first, *others = part.split(separator, limit - len(pieces) + 1)
            if first:
                pieces[-1].append(first)
            pieces.extend([other] if other else [] for other in others)
        return [Template(tuple(piece)) for piece in pieces]


def _parts(text: str) -> Iterator[Part]:
    place = 0
    while place < len(text):
        start = text.find("${", place)
        end = text.find("}", start) if start >= 0 else -1
        if end < 0:
            yield from tokens(text[place:])
            return
        yield from tokens(text[place:start])
        name = text[start + 2 : end]
        yield name if name in LITERALS else _variable(name)
        place = end + 1


def _variable(name: str) -> Variable:
    key, comma, rest = name.partition(",")
    rest = rest.strip()
    quoted = len(rest) >= 2 and rest[0] == rest[-1] == "'"
    return Variable(key.strip(), rest[1:-1] if comma and quoted else None)
