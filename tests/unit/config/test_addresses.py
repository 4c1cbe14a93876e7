"""Addresses: every form that `listen` may have, what is said of the others, and where the control socket lies."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.addresses import (
    MAX_UNIX_PATH,
    TcpAddress,
    UnixAddress,
    default_control_socket,
    default_control_sockets,
    listen_addresses,
    parse_tcp,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6432", TcpAddress("127.0.0.1", 6432)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:65535", TcpAddress("::1", 65_535)),
        ("[fe80::1%eth0]:5432", TcpAddress("fe80::1%eth0", 5432)),
    ],
)
def test_tcp(text: str, address: TcpAddress) -> None:
    assert parse_tcp(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'the port is missing; write "host:port"'),
        ("6432", 'the port is missing; write "host:port"'),
        ("[::1]", 'the port is missing; write "host:port"'),
        ("host:", "port must be 0 to 65535"),
        ("host:65536", "port must be 0 to 65535"),
        ("host:-1", "port must be 0 to 65535"),
        ("host:٣", "port must be 0 to 65535"),
        ("host:" + "9" * 5000, "port must be 0 to 65535"),
        ("host:0000000005", "port must be 0 to 65535"),
        ("::1:6432", 'an IPv6 address is written "[::1]:port"'),
        ("[::1:6432", 'an IPv6 address is written "[::1]:port"'),
        ("[::1]6432", 'an IPv6 address is written "[::1]:port"'),
        (":6432", 'for every interface write "0.0.0.0:port" or "[::]:port"'),
        ("*:6432", 'for every interface write "0.0.0.0:port" or "[::]:port"'),
    ],
)
def test_tcp_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_tcp(text)
    assert str(caught.value) == said


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        (address,) = listen_addresses([text])
    except ValueError:
        return
    assert listen_addresses([str(address)]) == (address,)


@pytest.mark.parametrize(
    ("listen", "path"),
    [
        (["/run/tidegate"], "/run/tidegate/.s.PGSQL.5432"),
        (["/run/tidegate/"], "/run/tidegate/.s.PGSQL.5432"),
        (["/run/tidegate", "127.0.0.1:6432", "[::1]:7000"], "/run/tidegate/.s.PGSQL.6432"),
        (["/run/tidegate", "127.0.0.1:0"], "/run/tidegate/.s.PGSQL.5432"),
        (["/run/.s.PGSQL.7777", "127.0.0.1:6432"], "/run/.s.PGSQL.7777"),
    ],
)
def test_unix(listen: list[str], path: str) -> None:
    assert listen_addresses(listen)[0] == UnixAddress(path)


def test_unix_path_too_long() -> None:
    fits = "/" + "x" * (MAX_UNIX_PATH - 1 - len("/.s.PGSQL.5432"))
    assert listen_addresses([fits]) == (UnixAddress(fits + "/.s.PGSQL.5432"),)
    with pytest.raises(ValueError, match="longer than 107 bytes"):
        listen_addresses([fits + "x"])


def test_first_bad_entry_is_named() -> None:
    with pytest.raises(ValueError, match=r'^"nowhere": the port is missing'):
        listen_addresses(["127.0.0.1:1", "nowhere"])


def test_control_socket_in_the_users_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    path = default_control_socket("/etc/tidegate/production.toml")
    assert path.startswith("/tmp/tidegate-production-")
    assert path.endswith(".sock")
    assert path == default_control_socket("/etc/tidegate/production.toml")
    assert path != default_control_socket("/srv/production.toml")
    assert [fnmatch(path, pattern) for pattern in default_control_sockets()] == [False, True]


@pytest.mark.parametrize("folder", [None, "", "relative", "/no/such/folder", "/tmp/" + "x" * 200])
def test_control_socket_without_such_a_folder(monkeypatch: pytest.MonkeyPatch, folder: str | None) -> None:
    monkeypatch.setattr("os.getuid", lambda: 1234)
    if folder is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    path = default_control_socket("127.0.0.1:6432")
    assert path.startswith("/tmp/tidegate-1234-127-0-0-1-6432-")
    assert fnmatch(path, default_control_sockets()[0])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_control_socket_always_fits(what: str) -> None:
    path = default_control_socket(what)
    assert len(path.encode()) <= MAX_UNIX_PATH
    assert path.isascii()
