"""Rules that one setting's type and bounds don't say: names that must be unique or known, settings that exclude others.

Owns those rules. They run on the parsed file as it stands, so that one wrong type hides no other problem: each rule
skips what `shape` reports. Refuses to read files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tidegate.config import identity
from tidegate.config.addresses import MAX_UNIX_PATH, TcpAddress, listen_addresses
from tidegate.config.encryption import proxy_problems, target_problems, user_problems
from tidegate.config.model import AuthMethod
from tidegate.config.passwords import kind_of
from tidegate.config.problems import Problem, database_label, did_you_mean, table_label
from tidegate.config.shape import TABLES

Raw = Mapping[str, Any]

_NAME = re.compile(r"[a-zA-Z](?:-?[a-zA-Z0-9]+)*")
_NAME_LENGTH = 63
_NAMELESS = ("user",)
"""Tables whose names are the database's, not ours: any text is one."""


def check_rules(raw: Raw) -> list[Problem]:
    """Every broken rule of a parsed file."""
    return [problem for rule in RULES for problem in rule(raw)]


def tables(raw: Raw, kind: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The [[kind]] tables of a file with their labels; nothing for what is not one."""
    entries = raw.get(kind)
    for index, table in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(table, dict):
            yield (table_label(kind, index, table.get("name")),), table


def database_tables(raw: Raw) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The entries of every proxy's `databases` with their labels."""
    for where, proxy in tables(raw, "proxy"):
        entries = proxy.get("databases")
        for alias, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                yield (*where, database_label(alias)), entry


def _at_least_one(raw: Raw) -> Iterator[Problem]:
    for kind in ("proxy", "target"):
        if raw.get(kind) == []:
            yield Problem((), kind, f"at least one [[{kind}]] is needed")


def _names(raw: Raw) -> Iterator[Problem]:
    for kind in TABLES:
        seen: set[str] = set()
        for where, table in tables(raw, kind):
            name = table.get("name")
            if not isinstance(name, str):
                continue
            if name in seen:
                yield Problem(where, "name", f"another [[{kind}]] has this name")
            seen.add(name)
            if not name:
                yield Problem(where, "name", "must not be empty", name)
            elif kind not in _NAMELESS and not (_NAME.fullmatch(name) and len(name) <= _NAME_LENGTH):
                text = f"must be 1 to {_NAME_LENGTH} letters, digits and single hyphens, a letter first"
                yield Problem(where, "name", text, name)


def _target_references(raw: Raw) -> Iterator[Problem]:
    known = [table["name"] for _, table in tables(raw, "target") if isinstance(table.get("name"), str)]
    for where, proxy in tables(raw, "proxy"):
        target = proxy.get("target")
        if isinstance(target, str) and target not in known:
            yield Problem(where, "target", f"no [[target]] has this name{did_you_mean(target, known)}", target)


def _listen(raw: Raw) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for where, proxy in tables(raw, "proxy"):
        listen = proxy.get("listen")
        if not isinstance(listen, list) or not all(isinstance(one, str) for one in listen):
            continue
        if not listen:
            yield Problem(where, "listen", 'at least one address is needed, as in ["127.0.0.1:6432"]', listen)
        try:
            addresses = listen_addresses(listen)
        except ValueError as error:
            yield Problem(where, "listen", str(error))
            continue
        for address in addresses:
            if isinstance(address, TcpAddress) and address.port == 0:
                continue
            if str(address) in taken:
                yield Problem(where, "listen", f"{taken[str(address)]} already listens there", str(address))
            taken.setdefault(str(address), where[0])


def _connection_limits(raw: Raw) -> Iterator[Problem]:
    for where, target in tables(raw, "target"):
        share, absolute = target.get("max_connections_percent"), target.get("max_connections")
        if share is not None and absolute is not None:
            yield Problem(where, "max_connections", "give this or max_connections_percent, not both", absolute)
        idle = target.get("max_idle_connections_percent")
        if absolute is None and isinstance(idle, int) and isinstance(share, int) and share < idle <= 100:
            text = f"must be at most max_connections_percent ({share})"
            yield Problem(where, "max_idle_connections_percent", text, idle)


def _pool_sizes(raw: Raw) -> Iterator[Problem]:
    for where, entry in database_tables(raw):
        least = entry.get("min_pool_size", 0)
        for name in ("pool_size", "max_db_connections"):
            most = entry.get(name, 0)
            if isinstance(most, int) and isinstance(least, int) and 0 < most < least:
                yield Problem(where, "min_pool_size", f"must be at most {name} ({most})", least)


def _database_names(raw: Raw) -> Iterator[Problem]:
    for where, entry in database_tables(raw):
        for key in ("database", "user"):
            if entry.get(key) == "":
                yield Problem(where, key, "must not be empty; leave it out for what the client asks for", "")
        if "password" in entry and "user" not in entry:
            yield Problem(where, "password", "is the forced user's, and there is no user")


def _user_passwords(raw: Raw) -> Iterator[Problem]:
    methods = {
        proxy.get("auth_method", AuthMethod.SCRAM_SHA_256)
        for _, proxy in tables(raw, "proxy")
        if isinstance(proxy.get("auth_method", ""), str)
    }
    for where, user in tables(raw, "user"):
        secret = user.get("password", "")
        if not isinstance(secret, str):
            continue
        asked = {user["auth_method"]} if isinstance(user.get("auth_method"), str) else methods
        if not secret and identity.needs_password(user, asked):
            text = 'is missing (plain, SCRAM verifier or md5 hash; only auth_method = "trust" and "cert" need none)'
            yield Problem(where, "password", text)
        if user.get("plain_passwords") is True:
            continue
        try:
            kind_of(secret)
        except ValueError as error:
            yield Problem(where, "password", str(error))


def _encryption(raw: Raw) -> Iterator[Problem]:
    proxies = [proxy for _, proxy in tables(raw, "proxy")]
    for where, proxy in tables(raw, "proxy"):
        yield from proxy_problems(where, proxy)
    for where, user in tables(raw, "user"):
        yield from user_problems(where, user, proxies)
    for where, target in tables(raw, "target"):
        yield from target_problems(where, target)


def _identity(raw: Raw) -> Iterator[Problem]:
    proxies = [proxy for _, proxy in tables(raw, "proxy")]
    users = [user for _, user in tables(raw, "user")]
    for where, proxy in tables(raw, "proxy"):
        yield from identity.proxy_problems(where, proxy, users)
    for where, target in tables(raw, "target"):
        yield from identity.target_problems(where, target, users, proxies)
    for where, user in tables(raw, "user"):
        yield from identity.user_problems(where, user, proxies)
    for where, table in (*tables(raw, "user"), *tables(raw, "target")):
        yield from identity.secret_problems(where, table)


def _auth_query(raw: Raw) -> Iterator[Problem]:
    for where, target in tables(raw, "target"):
        query = target.get("auth_query", "")
        if isinstance(query, str) and query and not re.search(r"\$1(?![0-9])", query):
            yield Problem(where, "auth_query", "must use $1, which stands for the user's name", query)


def _target_login(raw: Raw) -> Iterator[Problem]:
    for where, target in tables(raw, "target"):
        for key in ("host", "user", "database"):
            if target.get(key) == "":
                yield Problem(where, key, "must not be empty", "")


def _control_socket(raw: Raw) -> Iterator[Problem]:
    path = raw.get("control_socket", "")
    if isinstance(path, str) and path and not path.startswith("/"):
        yield Problem((), "control_socket", "must be a full path, from /", path)
    elif isinstance(path, str) and len(path.encode()) > MAX_UNIX_PATH:
        yield Problem((), "control_socket", f"must be at most {MAX_UNIX_PATH} bytes long", path)


def _no_nul(raw: Raw) -> Iterator[Problem]:
    """The wire protocol ends a text at a NUL: what follows one would be read as something else."""
    yield from _nul_in(raw, (), "")


def _nul_in(value: Any, where: tuple[str, ...], key: str) -> Iterator[Problem]:
    if isinstance(value, str) and "\0" in value:
        yield Problem(where, key, "must not contain a NUL character")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _nul_in(inner, where, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, dict) and key in TABLES:
                yield from _nul_in(inner, (table_label(key, index, inner.get("name")),), "")
            else:
                yield from _nul_in(inner, where, key)


RULES: tuple[Callable[[Raw], Iterator[Problem]], ...] = (
    _at_least_one,
    _names,
    _target_references,
    _listen,
    _connection_limits,
    _pool_sizes,
    _database_names,
    _user_passwords,
    _encryption,
    _identity,
    _auth_query,
    _target_login,
    _control_socket,
    _no_nul,
)
