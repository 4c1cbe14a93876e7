"""Settings of one session: what is set for good, what until the transaction's end, and what is underneath.

Owns the rules of guc.c that a client can see (SET, "SHOW" and "RESET" of the documentation), and which values the
operations choose from, in each spelling. Refuses transactions: `session` copies and restores the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .answers import NOT_SET, Value


@dataclass(frozen=True)
class Spelling:
    """One value: as SET takes it between quotes, as SHOW tells it, and as SET takes it unquoted, if that differs."""

    text: str
    shown: str
    sql: str = ""


def plain(*values: str) -> tuple[Spelling, ...]:
    """Values that are shown as they are written."""
    return tuple(Spelling(value, value) for value in values)


ORDINARY: dict[str, tuple[Spelling, ...]] = {
    "work_mem": (Spelling("8MB", "8MB"), Spelling("1234", "1234kB"), Spelling("65536", "64MB", "65536")),
    "statement_timeout": (Spelling("1h", "1h"), Spelling("5400000", "90min", "5400000"), Spelling("0", "0", "0")),
    "lock_timeout": plain("71min", "0"),
    "TimeZone": plain("Asia/Kathmandu", "Europe/Vienna", "UTC"),
    "DateStyle": (
        Spelling("DMY,German", "German, DMY", "dmy, German"),
        Spelling("SQL, DMY", "SQL, DMY"),
        Spelling("Postgres, MDY", "Postgres, MDY", "postgres, us"),
        Spelling("ISO, MDY", "ISO, MDY"),
    ),
    "IntervalStyle": plain("postgres", "iso_8601", "sql_standard"),
    "client_encoding": (
        Spelling("latin1", "LATIN1"),
        Spelling("UTF8", "UTF8"),
        Spelling("win1252", "WIN1252"),
    ),
    "search_path": (
        Spelling("soak_one, public", "soak_one, public", "soak_one, public"),
        Spelling("soak_two, soak_one", "soak_two, soak_one", "soak_two, soak_one"),
        Spelling('"$user", public', '"$user", public', '"$user", public'),
        Spelling('"odd, name", soak_two', '"odd, name", soak_two', '"odd, name", soak_two'),
        Spelling("soak_shadow, pg_catalog", "soak_shadow, pg_catalog", "soak_shadow, pg_catalog"),
    ),
    "application_name": (Spelling("soak", "soak"), Spelling("soak; it's", "soak; it's"), Spelling("", "")),
    "standard_conforming_strings": plain("on", "off"),
    "bytea_output": plain("hex", "escape"),
    "extra_float_digits": plain("0", "1", "-3"),
    "enable_seqscan": (Spelling("false", "off", "false"), Spelling("on", "on", "on")),
    "default_transaction_isolation": plain("read committed", "repeatable read"),
    "default_transaction_read_only": plain("on", "off"),
    "default_transaction_deferrable": plain("on", "off"),
}
"""Values that the operations set, by the setting's name."""

CUSTOM = ("app.tenant", "app.user_id", "app.request")
CUSTOM_VALUES = ("it's", "back\\slash", "a;b--c", "$x$ $$", '"quoted"', "a, b", "")
"""What custom settings are set to, behind the client's own mark."""

IDENTITY = ("role", "session_authorization")
REPORTED = (
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "client_encoding",
    "application_name",
    "standard_conforming_strings",
    "default_transaction_read_only",
)
"""Those whose changes the server tells in ParameterStatus (documentation, "Asynchronous Operations")."""

CODECS = {"UTF8": "utf-8", "LATIN1": "latin-1", "WIN1252": "cp1252"}


@dataclass
class Settings:
    """Values by name; `defaults` are what RESET returns to."""

    defaults: Mapping[str, str]
    lasting: dict[str, str] = field(default_factory=dict)
    local: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """What SHOW tells; '' for a custom setting that is not set."""
        return self.local.get(name, self.lasting.get(name, self.defaults.get(name, "")))

    def value(self, name: str) -> Value:
        """What current_setting(name, true) must give."""
        if name in CUSTOM and not any(name in layer for layer in (self.local, self.lasting, self.defaults)):
            return NOT_SET
        return self.text(name)

    def set(self, name: str, value: str) -> None:
        """SET or SET SESSION: also over what SET LOCAL said."""
        self.local.pop(name, None)
        self.lasting[name] = value

    def set_local(self, name: str, value: str) -> None:
        """SET LOCAL."""
        self.local[name] = value

    def reset(self, names: Iterable[str]) -> None:
        """RESET of each."""
        for name in names:
            self.local.pop(name, None)
            self.lasting.pop(name, None)

    def reset_all(self) -> None:
        """RESET ALL, which leaves role and session_authorization."""
        self.reset([name for name in {*self.lasting, *self.local} if name not in IDENTITY])

    def copy(self) -> Settings:
        """To return to."""
        return Settings(self.defaults, dict(self.lasting), dict(self.local))
