"""What a session has set: immutable, interned sets of settings, and the SQL that turns one into another.

Owns the comparison of what a client must see with what is applied at a server, and the replay in between. Refuses to
guess values: every value in here was accepted, and is spelled, by the server (`current_setting`, `set_config`).

A client has a `Settings` of its own overrides, and a server one of what is applied to it. Both are interned: thousands
of clients that set the same things share one object, and "does this server fit?" is a comparison of two pointers.
Values are bytes in the database's own encoding, whatever client_encoding they were set or asked for under, and all SQL
in here is ASCII: it means the same at every server. Names are lower-case, as PostgreSQL compares them.
"""

from __future__ import annotations

import re
import weakref
from collections import OrderedDict
from collections.abc import Mapping

from tidegate.session.parse_context import PARSE_CONTEXT
from tidegate.session.scanner import trail_bytes

IDENTIFIER_LISTS = frozenset(
    ("search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries")
)
"""Settings that PostgreSQL flags GUC_LIST_QUOTE: one literal for the whole list would be one identifier."""

IDENTITY = ("role", "session_authorization")
"""DISCARD ALL resets these; RESET ALL does not (PostgreSQL: GUC_NO_RESET_ALL). pg_settings does not list them."""

TRANSACTION_ONLY = ("transaction_deferrable", "transaction_isolation", "transaction_read_only")
"""Set anew by each transaction; yet pg_settings goes on to show what the last one set as the session's own."""

TEMP_SCHEMA = ""
"""A name for probes: not of a setting, but whether the session's backend has ever had a temporary schema."""

REPLAYS_KEPT = 1024

SHORT_TIMEOUT = 1000.0
"""Milliseconds below which a timeout could hit the proxy's own statements."""

TIMEOUTS = ("statement_timeout", "transaction_timeout", "lock_timeout")
IDLE_TIMEOUTS = ("idle_session_timeout", "idle_in_transaction_session_timeout")

_HIGH_BYTES = re.compile(rb"[\x80-\xff]")
_BYTEA_ESCAPE = re.compile(rb"\\(\\|[0-7]{3})")
_IDENTIFIER = re.compile(rb'\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(?:,|$)')

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1e3, "min": 6e4, "h": 3.6e6, "d": 8.64e7, "": 1.0}


class Settings:
    """One interned set of overrides; never built directly, see `Interned.intern`.

    `scs_on` and `trail` say how the scanner has to read texts where these are all that is set (or reported).
    `temporary`: CREATE may write to the temporary schema though its text does not say so.
    """

    __slots__ = ("__weakref__", "hazard", "idle_timeout", "parse_context", "scs_on", "temporary", "trail", "values")

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values
        self.parse_context = tuple(values.get(name) for name in PARSE_CONTEXT)
        self.idle_timeout = milliseconds(values.get("idle_session_timeout", b"0")) / 1000.0
        self.hazard = is_hazard(values)
        self.scs_on = values.get("standard_conforming_strings") != b"off"
        self.temporary = b"pg_temp" in values.get("search_path", b"").lower()
        self.trail = trail_bytes(values.get("client_encoding", b"").decode("ascii", "replace"))

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Settings({self.values!r})"


def milliseconds(value: bytes) -> float:
    """A time setting as the server spells it ('5s', '250ms', '1500') in milliseconds; 0 where it is no time."""
    text = value.decode("ascii", "replace").strip()
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    scale = _UNITS.get(text[len(number) :].strip())
    try:
        return float(number) * scale if scale is not None else 0.0
    except ValueError:
        return 0.0


def is_hazard(values: Mapping[str, bytes]) -> bool:
    """Whether a server with these settings must not sit in the pool: they could end it, or break what is injected."""
    if any(milliseconds(values.get(name, b"0")) > 0 for name in IDLE_TIMEOUTS):
        return True
    return any(0 < milliseconds(values.get(name, b"0")) < SHORT_TIMEOUT for name in TIMEOUTS)


class Interned:
    """The settings of a worker: one object for each distinct set, and a cache of the replays between two."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[frozenset[tuple[str, bytes]], Settings] = weakref.WeakValueDictionary()
        self._replays: OrderedDict[tuple[Settings, Settings], bytes] = OrderedDict()
        self.nothing = self.intern({})

    def intern(self, values: Mapping[str, bytes]) -> Settings:
        """The one object for this set of settings."""
        key = frozenset(values.items())
        found = self._known.get(key)
        if found is None:
            found = Settings(dict(values))
            self._known[key] = found
        return found

    def changed(self, old: Settings, changes: Mapping[str, bytes | None]) -> Settings:
        """`old` with some values replaced; None removes one."""
        values = {name: value for name, value in old.values.items() if name not in changes}
        values.update((name, value) for name, value in changes.items() if value is not None)
        return self.intern(values)

    def wash(self, applied: Settings, wanted: Settings) -> bytes:
        """The same for a server on which more may be set than is known: RESET ALL goes ahead. It leaves roles alone."""
        kept = self.intern({name: value for name, value in applied.values.items() if name in IDENTITY})
        return b"RESET ALL;" + self.replay(kept, wanted)

    def replay(self, applied: Settings, wanted: Settings) -> bytes:
        """The SQL that makes a server with `applied` one with `wanted`; empty if nothing differs."""
        key = (applied, wanted)
        found = self._replays.get(key)
        if found is None:
            found = replay_sql(applied.values, wanted.values)
            self._replays[key] = found
            if len(self._replays) > REPLAYS_KEPT:
                self._replays.popitem(last=False)
        return found


def replay_sql(applied: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> bytes:
    """One simple query: RESET what is no longer wanted, then set what differs.

    `exit_on_error` stands around it: if one of the settings is refused (a role that was dropped, say), the server
    ends the session instead of running the client's statement, which follows in the same write, under other settings
    than the client's. Values go through set_config, which takes lists as they are spelled. A role is given up before
    and taken after everything else: it may not be allowed to change the rest.
    """
    resets = [name for name in applied if name not in wanted]
    sets = {name: value for name, value in wanted.items() if applied.get(name) != value}
    if not resets and not sets:
        return b""
    parts = [b"SET exit_on_error=on"]
    if "session_authorization" in resets or "session_authorization" in sets:
        # Changing it resets the role.
        parts.append(b"RESET SESSION AUTHORIZATION")
        if "role" in wanted:
            sets["role"] = wanted["role"]
    if "role" in resets or (sets and "role" in applied):
        parts.append(b"RESET ROLE")
        if "role" in wanted:
            sets["role"] = wanted["role"]
    parts += [reset_sql(name) for name in resets if name not in ("role", "session_authorization")]
    if sets:
        ordered = sorted(sets, key=order_of_setting)
        # IS NULL: the values themselves, sent back, may not fit into the client_encoding.
        parts.append(b"SELECT " + b",".join(set_config(name, sets[name]) + b" IS NULL" for name in ordered))
    if wanted.get("exit_on_error", b"off") == b"off":
        parts.append(b"RESET exit_on_error")
    return b";".join(parts)


def order_of_setting(name: str) -> tuple[int, str]:
    """Sorts names into the order in which to set them: a role last, since it may not be allowed to change the rest."""
    return {"session_authorization": 1, "role": 2}.get(name, 0), name


def context_change(old: tuple[bytes | None, ...], new: tuple[bytes | None, ...]) -> list[bytes]:
    """Utility statements that turn one parse context into another; they take no snapshot, so they may run anywhere.

    A session authorization comes before the role: it ends the one before, and says which one may be taken.
    """
    wanted = dict(zip(PARSE_CONTEXT, new, strict=True))
    changed = [name for name, before in zip(PARSE_CONTEXT, old, strict=True) if wanted[name] != before]
    if "session_authorization" in changed and wanted["role"] is not None and "role" not in changed:
        changed.append("role")
    statements = []
    for name in sorted(changed, key=order_of_setting):
        value = wanted[name]
        statements.append(reset_sql(name) if value is None else set_sql(name, value))
    return statements


def set_config(name: str, value: bytes) -> bytes:
    """A call of pg_catalog.set_config for the session."""
    return b"pg_catalog.set_config(" + literal(name.encode()) + b"," + literal(value) + b",false)"


def set_config_told(name: str, value: bytes) -> bytes:
    """The same; its result is for `told`."""
    return _as_bytea(set_config(name, value))


def reset_sql(name: str) -> bytes:
    """RESET of a setting, custom ones (`app.tenant`) included."""
    return b"RESET " + b".".join(b'"' + part.replace('"', '""').encode() + b'"' for part in name.split("."))


def set_sql(name: str, value: bytes) -> bytes:
    """SET as a utility statement, which (unlike a SELECT) takes no snapshot: safe within a client's transaction."""
    spelled = [value]
    if name in IDENTIFIER_LISTS:
        spelled = identifiers(value) or spelled
    return reset_sql(name).replace(b"RESET ", b"SET ", 1) + b" TO " + b",".join(map(literal, spelled))


def identifiers(value: bytes) -> list[bytes]:
    """The names in a list of identifiers, as PostgreSQL's SplitIdentifierString reads it; [] where it is none."""
    names = []
    at = 0
    while at < len(value):
        found = _IDENTIFIER.match(value, at)
        if found is None:
            return []
        names.append(found[2].lower() if found[1] is None else found[1].replace(b'""', b'"'))
        at = found.end()
    return names


def literal(value: bytes) -> bytes:
    """A string constant, all ASCII, that means these bytes of the database's encoding.

    So it does whatever standard_conforming_strings and client_encoding say: an E'' constant takes \\xHH as a byte
    behind all conversion (PostgreSQL documentation, "String Constants with C-Style Escapes").
    """
    escaped = value.replace(b"\\", b"\\\\").replace(b"'", b"''")
    if not value.isascii():
        escaped = _HIGH_BYTES.sub(lambda found: b"\\x%02x" % found[0][0], escaped)
    return b"E'" + escaped + b"'"


def probe_sql(names: list[str]) -> bytes:
    """Ask for the present values of settings: one row a setting, (name, value or NULL, is it the session's own).

    Those that pg_settings does not list (custom ones, role) count as the session's own when they have a value.
    Values are for `told`.
    """
    rows = [b"(" + literal(name.encode()) + b"," + _current(name) + b")" for name in names]
    return (
        b"SELECT n.name,n.value,coalesce(s.source OPERATOR(pg_catalog.=) 'session',true) FROM (VALUES "
        + b",".join(rows)
        + b") n(name,value) LEFT JOIN pg_catalog.pg_settings s"
        + b" ON pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) n.name"
    )


def full_probe_sql(names: list[str]) -> bytes:
    """The same, and all others that the session has set of those that pg_settings lists."""
    return (
        probe_sql(names)
        + b" UNION ALL SELECT pg_catalog.lower(name),"
        + _as_bytea(b"pg_catalog.current_setting(name)")
        + b",true FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'"
        + b" AND name OPERATOR(pg_catalog.<>) ALL (ARRAY["
        + b",".join(literal(name.encode()) for name in TRANSACTION_ONLY)
        + b"])"
    )


def quick_probe_sql(names: list[str]) -> bytes:
    """The same without pg_settings (40 us instead of 1 ms): for settings that were set, not reset."""
    return b"SELECT " + b",".join(_current(name) for name in names)


def look_sql(names: list[str]) -> bytes:
    """Ask for present values, one row (name, value or NULL) a setting; values are for `told`."""
    return b"VALUES " + b",".join(b"(" + literal(name.encode()) + b"," + _current(name) + b")" for name in names)


def session_sql(names: list[str]) -> bytes:
    """The same, and all of pg_settings that was set in this session (rather than at its start or before)."""
    shown = _as_bytea(b"pg_catalog.current_setting(s.name)")
    return (
        b"SELECT pg_catalog.lower(s.name)," + shown + b" FROM pg_catalog.pg_settings s"
        b" WHERE s.source OPERATOR(pg_catalog.=) 'session' UNION ALL " + look_sql(names)
    )


def told(shown: bytes | None) -> bytes | None:
    """A value as a probe or set_config_told() tells it: bytea, in whichever bytea_output the session has."""
    if shown is None:
        return None
    if shown.startswith(b"\\x"):
        return bytes.fromhex(shown[2:].decode("ascii"))
    return _BYTEA_ESCAPE.sub(lambda found: b"\\" if found[1] == b"\\" else bytes((int(found[1], 8),)), shown)


def _current(name: str) -> bytes:
    if name == TEMP_SCHEMA:
        ever = b"CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 THEN 't' END"
        return _as_bytea(ever)
    return _as_bytea(b"pg_catalog.current_setting(" + literal(name.encode()) + b",true)")


def _as_bytea(expression: bytes) -> bytes:
    """A text's bytes in the database's encoding: the client's may lack some of its characters."""
    return b"pg_catalog.convert_to(" + expression + b",pg_catalog.getdatabaseencoding())"
