"""Connection URLs: `postgresql://user:password@host:port/database` -> the settings of a target.

Owns their syntax, which is libpq's (PostgreSQL documentation, "Connection URIs") less several hosts and key=value
strings. Refuses to judge the values (`shape`, `checks`), and no message repeats the password.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from tidegate.config.addresses import parse_port, split_host_port
from tidegate.config.problems import shown
from tidegate.errors import ConfigError

FORM = "postgresql://user:password@host:port/database"

_SCHEMES = ("postgresql", "postgres")
_PARAMETERS = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "database",
    "sslmode": "sslmode",
    "sslnegotiation": "sslnegotiation",
    "sslrootcert": "tls_ca",
    "sslcert": "tls_certificate",
    "sslkey": "tls_key",
}
_LIKEWISE = {("sslmode", "allow"): "prefer", ("sslrootcert", "system"): ""}
"""Values that a target has by another name."""
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

Settings = dict[str, str | int]


def parse_dsn(dsn: str) -> Settings:
    """Read a URL into the keys of [[target]] that it gives: host, port, user, password, database, TLS.

    ConfigError names the part that is missing or wrong. A Unix socket's folder is written `?host=/folder`, or in the
    host's place with its slashes as %2F. Parts that a target has defaults for may be left out.
    """
    scheme, separator, rest = dsn.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigError(f"must be a URL like {FORM}")
    address, _, query = rest.partition("?")
    authority, _, database = address.partition("/")
    settings = _authority(authority)
    if database:
        settings["database"] = _decoded(database, "database")
    settings.update(_query(query))
    for part in ("host", "user"):
        if not settings.get(part):
            raise ConfigError(f"the {part} is missing; write {FORM}")
    return settings


def _authority(text: str) -> Settings:
    """Read `user:password@host:port`, each part of which may be missing."""
    credentials, at, location = text.rpartition("@")
    if "@" in credentials:
        raise ConfigError('has two "@"; write one that belongs to the user or password as %40')
    settings: Settings = {}
    if at:
        user, colon, password = credentials.partition(":")
        settings["user"] = _decoded(user, "user")
        if colon and password:
            settings["password"] = _decoded(password, "password")
    if "," in location:
        raise ConfigError("names several hosts; a target has one")
    try:
        host, port = split_host_port(location)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if host:
        settings["host"] = _decoded(host, "host")
    if port:
        settings["port"] = _port(port)
    return settings


def _query(text: str) -> Settings:
    """Read `?name=value&...`; a part given here wins over the same part before the question mark, as in libpq."""
    settings: Settings = {}
    for pair in text.split("&") if text else ():
        name, _, value = pair.partition("=")
        name = _decoded(name, "parameter")
        value = _decoded(value, f"parameter {shown(name)}")
        if name not in _PARAMETERS:
            raise ConfigError(f"parameter {shown(name)} is unknown; there are {', '.join(_PARAMETERS)}")
        value = _LIKEWISE.get((name, value), value)
        if value:
            settings[_PARAMETERS[name]] = _port(value) if name == "port" else value
    return settings


def _port(text: str) -> int:
    try:
        return parse_port(text, least=1)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _decoded(text: str, part: str) -> str:
    """Undo percent-encoding; ConfigError for what is none, or decodes to no text."""
    if _BAD_ESCAPE.search(text):
        raise ConfigError(f'the {part} has a "%" that starts no escape; write a literal one as %25')
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"the {part} does not decode to UTF-8") from None
    if "\0" in decoded:
        raise ConfigError(f"the {part} contains a NUL character")
    return decoded
