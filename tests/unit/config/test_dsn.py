"""Connection URLs: every form of libpq's that a target can have, each missing part, and any text at all."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.dsn import parse_dsn
from tidegate.errors import ConfigError

FORM = "postgresql://user:password@host:port/database"


NAMES = "host, port, user, password, dbname, sslmode, sslnegotiation, sslrootcert, sslcert, sslkey"


@pytest.mark.parametrize(
    ("dsn", "settings"),
    [
        (
            "postgresql://app:pw@db.example:6000/shop",
            {"user": "app", "password": "pw", "host": "db.example", "port": 6000, "database": "shop"},
        ),
        ("postgres://app@db", {"user": "app", "host": "db"}),
        ("postgresql://app:@db/", {"user": "app", "host": "db"}),
        ("postgresql://app:a:b@db:5432", {"user": "app", "password": "a:b", "host": "db", "port": 5432}),
        ("postgresql://app:p%40s%2Fs%3F@db", {"user": "app", "password": "p@s/s?", "host": "db"}),
        ("postgresql://app:a+b@db", {"user": "app", "password": "a+b", "host": "db"}),
        ("postgresql://app@[::1]:5433/x", {"user": "app", "host": "::1", "port": 5433, "database": "x"}),
        ("postgresql://app@[fe80::1%25eth0]", {"user": "app", "host": "fe80::1%eth0"}),
        ("postgresql://app@/x?host=/run/pg", {"user": "app", "host": "/run/pg", "database": "x"}),
        (
            "postgresql:///x?host=/run/pg&user=app&port=7",
            {"user": "app", "host": "/run/pg", "port": 7, "database": "x"},
        ),
        ("postgresql://app@%2Frun%2Fpg:5433/x", {"user": "app", "host": "/run/pg", "port": 5433, "database": "x"}),
        ("postgresql://app@db?dbname=x&password=pw", {"user": "app", "host": "db", "database": "x", "password": "pw"}),
        ("postgresql://app@db/x?host=other", {"user": "app", "host": "other", "database": "x"}),
        ("postgresql://app@db?sslmode=allow", {"user": "app", "host": "db", "sslmode": "prefer"}),
        (
            "postgresql://app@db?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=c.pem&sslkey=k.pem",
            {
                "user": "app",
                "host": "db",
                "sslmode": "verify-full",
                "tls_ca": "/ca.pem",
                "tls_certificate": "c.pem",
                "tls_key": "k.pem",
            },
        ),
        (
            "postgresql://app@db?sslmode=verify-full&sslrootcert=system&sslnegotiation=direct",
            {"user": "app", "host": "db", "sslmode": "verify-full", "sslnegotiation": "direct"},
        ),
    ],
)
def test_forms(dsn: str, settings: dict[str, Any]) -> None:
    assert parse_dsn(dsn) == settings


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("", f"must be a URL like {FORM}"),
        ("db.example:5432", f"must be a URL like {FORM}"),
        ("host=db user=app", f"must be a URL like {FORM}"),
        ("mysql://app@db", f"must be a URL like {FORM}"),
        ("postgresql://", f"the host is missing; write {FORM}"),
        ("postgresql://app:secret@/shop", f"the host is missing; write {FORM}"),
        ("postgresql://db/shop", f"the user is missing; write {FORM}"),
        ("postgresql://:secret@db/shop", f"the user is missing; write {FORM}"),
        ("postgresql://app@db:0", "port must be 1 to 65535"),
        ("postgresql://app@db:x", "port must be 1 to 65535"),
        ("postgresql://app@db?port=65536", "port must be 1 to 65535"),
        ("postgresql://app@::1/x", 'an IPv6 address is written "[::1]:port"'),
        ("postgresql://app@[::1", 'an IPv6 address is written "[::1]:port"'),
        ("postgresql://app@one,two", "names several hosts; a target has one"),
        ("postgresql://app:sec@ret@db", 'has two "@"; write one that belongs to the user or password as %40'),
        ("postgresql://app:secret%zz@db", 'the password has a "%" that starts no escape; write a literal one as %25'),
        ("postgresql://app:secret%f@db", 'the password has a "%" that starts no escape; write a literal one as %25'),
        ("postgresql://app:secret%ff@db", "the password does not decode to UTF-8"),
        (
            "postgresql://app@db?%0A=1",
            'parameter "\\n" is unknown; there are ' + NAMES,
        ),
        (
            "postgresql://app@db?password=secret%",
            'the parameter "password" has a "%" that starts no escape; write a literal one as %25',
        ),
        ("postgresql://app:secret%00@db", "the password contains a NUL character"),
        (
            "postgresql://app@db?aplication_name=x",
            'parameter "aplication_name" is unknown; there are ' + NAMES,
        ),
    ],
)
def test_refused(dsn: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dsn(dsn)
    assert str(caught.value) == said


words = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
hosts = st.sampled_from(["db", "127.0.0.1", "[::1]", "/run/pg", "ünïcode"]) | words.map(lambda word: f"/{word}")


@given(user=words, password=st.just("") | words, host=hosts, port=st.none() | st.integers(1, 65_535), database=words)
def test_round_trip(user: str, password: str, host: str, port: int | None, database: str) -> None:
    credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    location = host if host.startswith("[") else quote(host, safe="")
    location += f":{port}" if port else ""
    expected: dict[str, Any] = {
        "user": user,
        "host": host[1:-1] if host.startswith("[") else host,
        "database": database,
    }
    expected |= {"password": password} if password else {}
    expected |= {"port": port} if port else {}
    assert parse_dsn(f"postgresql://{credentials}@{location}/{quote(database, safe='')}") == expected


@given(st.text() | st.text().map(lambda text: f"postgresql://{text}"))
def test_any_text_is_settings_or_a_config_error(text: str) -> None:
    said = ""
    settings: dict[str, str | int] = {"host": "", "user": ""}
    try:
        settings = parse_dsn(text)
    except ConfigError as error:
        said = str(error)
    assert said.isprintable()
    assert bool(said) != bool(settings["host"] and settings["user"])
