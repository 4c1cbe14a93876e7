"""Clients over TLS: published drivers, what is refused, and what a certificate may be changed for."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from pathlib import Path

import asyncpg
import psycopg
import psycopg2
import pytest

from tests.support import messages as m
from tests.support.certificates import Files
from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, ServerError
from tidegate.demo.program import ProxyFailed

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
RUBBISH = (b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x16\x03\x01\x00\x02hi", b"GET / HTTP/1.1\r\n")
BIG = 3_000_000  # characters


def connect(proxy: Proxy, options: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(f"{proxy.dsn('app')}?{options}", autocommit=True)


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=require",
        "sslmode=prefer",
        "sslmode=verify-full&sslrootcert={ca}&channel_binding=require",
        "sslmode=verify-full&sslrootcert={ca}&sslnegotiation=direct",
        "sslmode=require&ssl_max_protocol_version=TLSv1.2&channel_binding=require",
    ],
)
def test_psycopg_under_churn(secured: Proxy, files: Files, options: str) -> None:
    with Churn(secured.dsn("app"), rotators=6), connect(secured, options.format(ca=files.ca)) as client:
        assert client.pgconn.ssl_in_use
        for turn in range(20):
            client.execute(f"SET application_name = 'turn {turn}'".encode())
            assert client.execute("SHOW application_name").fetchone() == (f"turn {turn}",)
        row = client.execute("SELECT length(%s), repeat('y', %s)", ["x" * BIG, BIG]).fetchone()
        assert row == (BIG, "y" * BIG)


def test_psycopg2(secured: Proxy, files: Files) -> None:
    client = psycopg2.connect(f"{secured.dsn('app')}?sslmode=verify-full&sslrootcert={files.ca}")
    cursor = client.cursor()
    cursor.execute("SELECT 1")
    assert client.info.ssl_in_use
    assert cursor.fetchall() == [(1,)]
    client.close()


@pytest.mark.parametrize("direct", [False, True])
def test_asyncpg(secured: Proxy, files: Files, direct: bool) -> None:
    context = ssl.create_default_context(cafile=files.ca)

    async def several() -> list[int]:
        pool = await asyncpg.create_pool(secured.dsn("app"), ssl=context, min_size=10, max_size=10, direct_tls=direct)
        async with pool:
            return await asyncio.gather(*(pool.fetchval("SELECT $1::int", number) for number in range(200)))

    if direct:
        context.set_alpn_protocols(["postgresql"])
    assert asyncio.run(several()) == list(range(200))


def test_a_proxy_without_a_certificate_has_no_tls(proxy: Proxy) -> None:
    with pytest.raises(psycopg.OperationalError, match="server does not support SSL, but SSL was required"):
        connect(proxy, "sslmode=require")
    with connect(proxy, "sslmode=prefer") as client:
        assert not client.pgconn.ssl_in_use


def test_required(postgres: Postgres, certificate: tuple[str, str], tmp_path: Path) -> None:
    settings = {
        "tls_certificate": certificate[0],
        "tls_key": certificate[1],
        "require_tls": True,
        "listen": ["127.0.0.1:0", str(tmp_path)],
    }
    with Proxy(postgres, proxy=settings) as proxy:
        with pytest.raises(psycopg.OperationalError, match="this proxy requires TLS"):
            connect(proxy, "sslmode=disable")
        with RawClient(proxy.host, proxy.port) as client, pytest.raises(ServerError) as caught:
            client.login("app", "app", "app")
        assert caught.value.sqlstate == "28000"
        with connect(proxy, "sslmode=require") as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
        with psycopg.connect(f"host={tmp_path} user=app password=app dbname=app") as client:
            assert client.execute("SELECT 1").fetchone() == (1,)


def test_what_comes_behind_the_request_is_refused(secured: Proxy) -> None:
    """CVE-2021-23214: it was not encrypted, whoever has sent it."""
    startup = m.startup({"user": "app", "database": "app"}, m.PROTOCOL_3_0)
    with RawClient(secured.host, secured.port) as client:
        client.sock.sendall(SSL_REQUEST + startup)
        answer = client.sock.recv(4096)
        assert answer[:1] == b"E"
        assert b"C08P01\0" in answer
        assert b"received unencrypted data after SSL request" in answer
        assert client.sock.recv(4096) == b""


@pytest.mark.parametrize("opening", [SSL_REQUEST, b""])
@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x16\x03\x01\x00\x02hi", b"GET / HTTP/1.1\r\n"]
)
def test_rubbish_in_place_of_a_handshake(secured: Proxy, opening: bytes, rubbish: bytes) -> None:
    with socket.create_connection((secured.host, secured.port), 15) as client:
        if opening:
            client.sendall(opening)
            assert client.recv(1) == b"S"
        client.sendall(rubbish)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    with connect(secured, "sslmode=require") as served:
        assert served.execute("SELECT 1").fetchone() == (1,)


def test_direct_tls_takes_alpn(secured: Proxy) -> None:
    """As with PostgreSQL 17: who speaks TLS at once must say that it means this protocol."""
    context = ssl._create_unverified_context()
    with socket.create_connection((secured.host, secured.port), 15) as plain, context.wrap_socket(plain) as client:
        answer = client.recv(4096)
    assert b"received direct SSL connection request without ALPN" in answer


def test_another_protocol_is_refused(secured: Proxy) -> None:
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["http/1.1"])
    with (
        socket.create_connection((secured.host, secured.port), 15) as plain,
        pytest.raises(ssl.SSLError, match="no application protocol"),
    ):
        context.wrap_socket(plain)


def test_sessions_are_resumed_by_any_worker(secured: Proxy) -> None:
    """Tickets are of a key that all workers share; which of them the kernel chooses is chance, so it is tried often."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["postgresql"])
    session, resumed = None, 0
    for _ in range(12):
        with (
            socket.create_connection((secured.host, secured.port), 15) as plain,
            context.wrap_socket(plain, session=session) as client,
        ):
            client.sendall(m.startup({"user": "app", "database": "app"}, m.PROTOCOL_3_0))
            assert client.recv(1) == b"R"  # a ticket comes before that
            resumed += bool(client.session_reused)
            session = client.session
    assert resumed == 11


def test_a_renewed_certificate_takes_a_reload(postgres: Postgres, files: Files, tmp_path: Path) -> None:
    paths = (str(tmp_path / "proxy.pem"), str(tmp_path / "proxy.key"))
    files.replace(paths, ("127.0.0.1",))
    with Proxy(postgres, proxy={"tls_certificate": paths[0], "tls_key": paths[1]}) as proxy:
        first = certificate_of(proxy)
        with connect(proxy, "sslmode=require") as before:
            files.replace(paths, ("127.0.0.1",))
            assert certificate_of(proxy) == first
            assert proxy.reload()["ok"]
            assert certificate_of(proxy) != first
            assert before.execute("SELECT 1").fetchone() == (1,)
            with connect(proxy, f"sslmode=verify-full&sslrootcert={files.ca}&channel_binding=require") as after:
                assert after.execute("SELECT 1").fetchone() == (1,)
        Path(paths[0]).write_text("no certificate")
        answer = proxy.reload()
        assert not answer["ok"]
        assert f"no certificate can be read from {paths[0]}" in answer["error"]
        with connect(proxy, f"sslmode=verify-full&sslrootcert={files.ca}") as still:
            assert still.execute("SELECT 1").fetchone() == (1,)


def certificate_of(proxy: Proxy) -> bytes:
    """What a client is shown."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection((proxy.host, proxy.port), 15) as plain, context.wrap_socket(plain) as client:
        found = client.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_a_key_that_others_may_read_is_refused(postgres: Postgres, files: Files) -> None:
    certificate, key = files.certificate("open.example")
    Path(key).chmod(0o644)
    proxy = Proxy(postgres, proxy={"tls_certificate": certificate, "tls_key": key})
    with pytest.raises(ProxyFailed) as caught:
        proxy.start()
    assert f"[[proxy]] main: private key {key} may be read by others (mode 0644); chmod 600 it" in str(caught.value)
    proxy.remove()


def test_handshakes_are_counted(secured: Proxy) -> None:
    before = secured.stats()["clients_encrypted"]
    with connect(secured, "sslmode=require"), connect(secured, "sslmode=disable"):
        wait_until(lambda: secured.stats()["clients_encrypted"] == before + 1, "one more is encrypted")
