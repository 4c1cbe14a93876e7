"""As much SQL as the stand-in database needs: settings, transactions, prepared statements by SQL, and echoes.

Owns one session's settings and transaction status. Refuses to parse: a statement is one of a few exact forms (those
that the proxy itself sends, and plain ones that clients send), and everything else is echoed as one row. So it never
sees a SET where PostgreSQL would see none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DEFAULTS = {
    "application_name": b"",
    "client_encoding": b"UTF8",
    "standard_conforming_strings": b"on",
    "TimeZone": b"UTC",
    "search_path": b'"$user", public',
}
REPORTED = ("application_name", "client_encoding", "standard_conforming_strings", "TimeZone")
IDENTITY = ("role", "session_authorization")  # RESET ALL leaves them
CASED = {name.lower(): name for name in DEFAULTS}

TEXT = rb"E'((?:[^'\\]|''|\\\\|\\x[0-9a-f]{2})*)'"
TOLD = b"SELECT pg_catalog.convert_to("  # values are told as bytea
SET_CONFIG = re.compile(rb"pg_catalog\.set_config\(" + TEXT + rb"," + TEXT + rb",false\)")
CURRENT = re.compile(rb"pg_catalog\.current_setting\(" + TEXT + rb",true\)")
SET = re.compile(rb"(?i)SET (?:SESSION )?([a-z_.]+)(?: TO | ?= ?)(?:'([a-z0-9_, .]*)'|([a-z0-9_]+))")
RESET = re.compile(rb'(?i)RESET "?([a-z_]+)"?(?:\."?([a-z_]+)"?)?')
SET_BACK = re.compile(rb'SET "([a-z_]+)"(?:\."([a-z_]+)")? TO (' + TEXT + rb"(?:," + TEXT + rb")*)")
LEAVES = (b"CREATE TEMP", b"WITH HOLD", b"pg_advisory_lock", b"LISTEN", b"PREPARE")  # in the order of the proxy's look
ESCAPE = re.compile(rb"\\x([0-9a-f]{2})|''|\\\\")
DEALLOCATE = re.compile(rb"(?i)DEALLOCATE ([a-z0-9_]+)")
PIECE = rb"(?:E'(?:[^'\\]|''|\\\\|\\x[0-9a-f]{2})*'|'(?:[^'\\]|'')*'|\"[^\"]*\"|[^;'\"\\$/-])"
READABLE = re.compile(PIECE + rb"*(?:;" + PIECE + rb"*)*")  # no comments, no dollar quotes, nothing open at the end
STATEMENT = re.compile(PIECE + rb"+")


@dataclass
class Result:
    """What a statement comes to."""

    tag: bytes = b"SELECT 1"
    rows: list[list[bytes | None]] = field(default_factory=list)
    changed: dict[str, bytes] = field(default_factory=dict)  # parameters to report
    copy: str = ""
    notice: bool = False


def split(text: bytes) -> list[bytes]:
    """The statements of a simple query; a text that is not readable for sure is taken as a whole."""
    found = STATEMENT.findall(text) if READABLE.fullmatch(text) else [text.strip(b"; \t\r\n\f")]
    return [part.strip() for part in found if part.strip()]


class Session:
    """Settings (lower-case names) and transaction status ("I", "T", "E")."""

    def __init__(self) -> None:
        self.status = "I"
        self.own: dict[str, bytes] = {}
        self.left: set[bytes] = set()  # of LEAVES
        self._before: dict[str, bytes] = {}  # the transaction

    def reported(self) -> dict[str, bytes]:
        """Parameters with the values that the server would report."""
        return {name: self.own.get(name.lower(), DEFAULTS[name]) for name in REPORTED}

    def fail(self) -> None:
        """A statement failed: its transaction is aborted, and its settings go back."""
        if self.status == "I":
            self.own = dict(self._before)
        else:
            self.status = "E"

    def end_statement(self) -> None:
        """What was set outside a transaction block stays."""
        if self.status == "I":
            self._before = dict(self.own)

    def run(self, text: bytes, statements: dict[bytes, bytes]) -> Result:
        """One statement; raises LookupError for an unknown prepared one."""
        before = self.reported()
        result = self._result(text.rstrip(b"; "), statements)
        result.changed = {name: value for name, value in self.reported().items() if before[name] != value}
        return result

    def _result(self, text: bytes, statements: dict[bytes, bytes]) -> Result:
        word = text[:12].upper().split(b" ")[0].rstrip(b";")
        if word in (b"BEGIN", b"START"):
            if self.status == "I":
                self.status = "T"
            return Result(b"BEGIN")
        if word in (b"COMMIT", b"END", b"ROLLBACK", b"ABORT"):
            return self._end(word)
        if word == b"COPY":
            return Result(b"COPY 1", copy="in" if b"FROM STDIN" in text.upper() else "out")
        if word == b"DEALLOCATE" or (word == b"DISCARD" and text.upper() == b"DISCARD ALL"):
            return self._forget(text, word, statements)
        return self._setting(text) or self._asked(text) or self._echo(text)

    def _end(self, word: bytes) -> Result:
        if self.status == "E" or word in (b"ROLLBACK", b"ABORT"):
            self.own = dict(self._before)
        self._before = dict(self.own)
        self.status = "I"
        return Result(b"ROLLBACK" if word in (b"ROLLBACK", b"ABORT") else b"COMMIT")

    def _forget(self, text: bytes, word: bytes, statements: dict[bytes, bytes]) -> Result:
        one = DEALLOCATE.fullmatch(text)
        if one and one[1].upper() != b"ALL":
            if one[1] not in statements:
                raise LookupError("prepared statement does not exist")
            del statements[one[1]]
            return Result(b"DEALLOCATE")
        if word == b"DEALLOCATE" and not one:
            raise LookupError("prepared statement does not exist")
        statements.clear()
        if word == b"DISCARD":
            self.own.clear()
            self.left.clear()
        return Result(b"DISCARD ALL" if word == b"DISCARD" else b"DEALLOCATE ALL")

    def _setting(self, text: bytes) -> Result | None:
        """SET and RESET in their exact forms."""
        if text.upper() == b"RESET ALL":
            self.own = {name: value for name, value in self.own.items() if name in IDENTITY}
            return Result(b"RESET")
        if text.upper() == b"RESET SESSION AUTHORIZATION":
            self.own.pop("session_authorization", None)
            self.own.pop("role", None)
            return Result(b"RESET")
        if found := RESET.fullmatch(text):
            self.own.pop(b".".join(filter(None, found.groups())).decode().lower(), None)
            return Result(b"RESET")
        if found := SET_BACK.fullmatch(text):
            parts = [unescaped(part) for part in re.findall(TEXT, found[3])]
            self._set(b".".join(filter(None, found.groups()[:2])), b", ".join(parts))
            return Result(b"SET")
        if found := SET.fullmatch(text):
            if found[3] and found[3].upper() == b"DEFAULT":
                self.own.pop(found[1].decode().lower(), None)
            elif found[1].lower() != b"exit_on_error":
                self._set(found[1], found[2] or found[3] or b"")
            return Result(b"SET")
        return None

    def _set(self, name: bytes, value: bytes) -> bytes:
        if name.lower() == b"session":  # SET SESSION x: the form with a name has matched before
            raise LookupError("unrecognized configuration parameter")
        if name.lower() == b"session_authorization":
            self.own.pop("role", None)
        self.own[name.decode().lower()] = value
        return value

    def _asked(self, text: bytes) -> Result | None:
        """The queries of the proxy's own."""
        if text.startswith(b"SELECT pg_catalog.current_setting('max_connections')"):
            return Result(rows=[[b"100", b"3", b"0", b"2026-01-01", None]])
        if text.startswith(b"SELECT pg_catalog.set_config("):
            found = SET_CONFIG.findall(text)
            return Result(rows=[[self._set(unescaped(name), unescaped(value)) for name, value in found]])
        if text.startswith(TOLD + b"pg_catalog.set_config("):
            found = SET_CONFIG.findall(text)
            return Result(rows=[[as_bytea(self._set(unescaped(name), unescaped(value))) for name, value in found]])
        if text.startswith(TOLD + b"pg_catalog.current_setting("):
            return Result(rows=[[as_bytea(self.value(unescaped(name))) for name in CURRENT.findall(text)]])
        if text.startswith(b"SELECT pg_catalog.pg_my_temp_schema()"):
            return Result(rows=[[b"t" if one in self.left else b"f" for one in LEAVES]])
        if text.startswith(b"SELECT n.name,n.value,"):
            names = [unescaped(name) for name in CURRENT.findall(text)]
            if b" UNION ALL " in text:
                names += [name.encode() for name in self.own]
            own = [b"t" if name.decode().lower() in self.own else b"f" for name in names]
            return Result(
                rows=[[name, as_bytea(self.value(name)), is_own] for name, is_own in zip(names, own, strict=True)]
            )
        return None

    def value(self, name: bytes) -> bytes | None:
        """current_setting(name, true)."""
        known = name.decode("utf-8", "surrogateescape").lower()
        return self.own.get(known, DEFAULTS.get(CASED.get(known, "")))

    def _echo(self, text: bytes) -> Result:
        self.left.update(one for one in LEAVES if one in text)
        if b"BIG" in text:
            return Result(rows=[[text[:200] + b"x" * 60_000]] * 4)
        return Result(rows=[[text[:200]]], notice=b"NOTICE" in text)


def unescaped(text: bytes) -> bytes:
    """The value of an E'' constant."""
    return ESCAPE.sub(lambda found: bytes((int(found[1], 16),)) if found[1] else found[0][1:], text)


def as_bytea(value: bytes | None) -> bytes | None:
    """A value as bytea_output = hex shows it."""
    return None if value is None else b"\\x" + value.hex().encode()
