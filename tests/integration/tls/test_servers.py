"""TLS to the database: every sslmode, at a database that has TLS and at one that lacks it, and what is in between."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.support.asleep import when_asleep
from tests.support.certificates import Files, encrypt
from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until

Meeting = Callable[[socket.socket, Postgres], None]

HASTY = {"connection_borrow_timeout": 5}


def encrypted_backends(postgres: Postgres) -> set[tuple[object, ...]]:
    """(application_name is the proxy's own, encrypted) of all TCP connections."""
    return set(
        postgres.sql(
            "SELECT application_name = 'tidegate', ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE backend_type = 'client backend' AND client_addr IS NOT NULL AND pid <> pg_backend_pid()"
        )
    )


@pytest.mark.parametrize(
    "target",
    [
        {"sslmode": "prefer"},
        {},
        {"sslmode": "require"},
        {"sslmode": "verify-ca", "tls_ca": "{ca}"},
        {"sslmode": "verify-full", "tls_ca": "{ca}"},
        {"sslmode": "verify-full", "tls_ca": "{ca}", "host": "localhost"},
        {"sslmode": "verify-full", "tls_ca": "{ca}", "sslnegotiation": "direct"},
    ],
    ids=str,
)
def test_everything_is_encrypted(encrypted: Postgres, files: Files, target: dict[str, str]) -> None:
    """At a database that takes nothing else: servers, the reader of roles, the shared listener, cancel requests."""
    settings = {key: value.format(ca=files.ca) for key, value in target.items()}
    with Proxy(encrypted, target={"max_connections": 3, **settings}) as proxy, Churn(proxy.dsn("app")):
        with psycopg.connect(proxy.dsn("app"), autocommit=True) as client:
            client.execute("LISTEN encrypted")
            with psycopg.connect(proxy.dsn("app"), autocommit=True) as speaker:
                speaker.execute("NOTIFY encrypted, 'heard'")
            assert [told.payload for told in client.notifies(timeout=10, stop_after=1)] == ["heard"]
            assert encrypted_backends(encrypted) == {(True, True), (False, True)}
            canceller = threading.Thread(target=when_asleep, args=(encrypted, "encrypted", client.cancel_safe))
            canceller.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                client.execute("SELECT pg_sleep(30) /* encrypted */")
            canceller.join()
        assert proxy.stats()["servers_encrypted"] > 2


def test_disabled(encrypted: Postgres) -> None:
    with (
        Proxy(encrypted, proxy=HASTY, target={"sslmode": "disable"}) as proxy,
        pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"),
    ):
        psycopg.connect(proxy.dsn("app"))


def test_preferred_where_there_is_none(postgres: Postgres) -> None:
    with Proxy(postgres, target={"sslmode": "prefer"}) as proxy, psycopg.connect(proxy.dsn("app", "app")) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
        assert proxy.stats()["servers_encrypted"] == 0


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"sslmode": "require"}, "the database does not offer TLS, which sslmode asks for"),
        ({"sslmode": "require", "sslnegotiation": "direct"}, "TLS handshake failed"),
    ],
)
def test_required_where_there_is_none(postgres: Postgres, target: dict[str, str], said: str) -> None:
    with Proxy(postgres, proxy=HASTY, target=target) as proxy, pytest.raises(psycopg.OperationalError, match=said):
        psycopg.connect(proxy.dsn("app", "app"))


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_that_nobody_known_has_signed(
    encrypted: Postgres, tmp_path_factory: pytest.TempPathFactory, mode: str
) -> None:
    foreign = Files(tmp_path_factory.mktemp("foreign")).ca
    target = {"sslmode": mode, "tls_ca": foreign}
    with (
        Proxy(encrypted, proxy=HASTY, target=target) as proxy,
        pytest.raises(
            psycopg.OperationalError, match=r"TLS handshake failed: (self-signed|unable to get local issuer)"
        ),
    ):
        psycopg.connect(proxy.dsn("app"))


@contextlib.contextmanager
def between(postgres: Postgres, meet: Meeting, host: str = "127.0.0.1") -> Iterator[int]:
    """Somebody who answers in the database's place; the port."""
    with socket.create_server((host, 0)) as server:
        threading.Thread(target=lambda: _serve(server, postgres, meet), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)  # which wakes accept(); close() would not


def _serve(server: socket.socket, postgres: Postgres, meet: Meeting) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_met, args=(client, postgres, meet), daemon=True).start()


def _met(client: socket.socket, postgres: Postgres, meet: Meeting) -> None:
    with client, contextlib.suppress(OSError):
        meet(client, postgres)


def pass_on(client: socket.socket, postgres: Postgres) -> None:
    """Byte by byte."""
    with socket.create_connection((postgres.host, postgres.port)) as plain:
        pump = threading.Thread(target=_copy, args=(plain, client), daemon=True)
        pump.start()
        _copy(client, plain)
        pump.join(10)


@pytest.mark.parametrize(("mode", "fits"), [("verify-ca", True), ("verify-full", False)])
def test_a_certificate_for_another_host(encrypted: Postgres, files: Files, mode: str, fits: bool) -> None:
    with between(encrypted, pass_on, "127.0.0.2") as port:
        target = {"host": "127.0.0.2", "port": port, "tls_ca": files.ca, "sslmode": mode}
        with Proxy(encrypted, proxy=HASTY, target=target) as proxy:
            if fits:
                psycopg.connect(proxy.dsn("app")).close()
            else:
                with pytest.raises(psycopg.OperationalError, match="TLS handshake failed: IP address mismatch"):
                    psycopg.connect(proxy.dsn("app"))


def refused_between(postgres: Postgres, meet: Meeting) -> str:
    """What a client is told whose proxy asks for TLS, and meets somebody in between."""
    with between(postgres, meet) as port:
        target = {"host": "127.0.0.1", "port": port, "sslmode": "require"}
        with (
            Proxy(postgres, proxy=HASTY, target=target) as proxy,
            pytest.raises(psycopg.OperationalError) as caught,
        ):
            psycopg.connect(proxy.dsn("app"))
    return str(caught.value)


def test_what_comes_behind_the_answer_is_refused(encrypted: Postgres) -> None:
    """CVE-2021-23222: an error that was sent in clear would be told to clients as the database's."""

    def inject(client: socket.socket, _: Postgres) -> None:
        client.recv(8)
        client.sendall(b"S" + b"E\0\0\0\x2fSFATAL\0C28000\0Mgo to evil.example instead\0\0")
        client.recv(1)

    assert "sent unencrypted data behind its answer" in refused_between(encrypted, inject)


def test_scram_is_bound_to_the_channel(encrypted: Postgres, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With sslmode=require no certificate is looked at; but who stands in between can't pass SCRAM on."""
    own = Files(tmp_path_factory.mktemp("between")).certificate("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own)
    context.set_alpn_protocols(["postgresql"])

    def relay(client: socket.socket, postgres: Postgres) -> None:
        plain = socket.create_connection((postgres.host, postgres.port))
        plain.sendall(client.recv(8))
        client.sendall(plain.recv(1))
        away = ssl._create_unverified_context().wrap_socket(plain)
        near = context.wrap_socket(client, server_side=True)
        pump = threading.Thread(target=_copy, args=(away, near), daemon=True)
        pump.start()
        _copy(near, away)
        pump.join(10)

    assert "SCRAM channel binding check failed" in refused_between(encrypted, relay)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)  # else the other direction's recv() would hold the connection


def test_the_proxys_own_certificate(encrypted: Postgres, files: Files) -> None:
    """A database that lets in by certificate alone: every login is the target's own."""
    with Postgres(hba=("local all all trust", "hostssl all all 0.0.0.0/0 cert")) as postgres:
        postgres.start()
        encrypt(postgres, files, client_ca=True)
        certificate, key = files.certificate("proxy.example", common_name="postgres")
        target = {"sslmode": "verify-full", "tls_ca": files.ca, "tls_certificate": certificate, "tls_key": key}
        users = [{"name": "app", "auth_method": "trust"}]
        with (
            Proxy(postgres, target=target, databases={"*": {"user": "postgres"}}, users=users) as proxy,
            Churn(proxy.dsn("app")),
            psycopg.connect(proxy.dsn("app")) as client,
        ):
            assert client.execute("SELECT current_user").fetchone() == ("postgres",)


def test_a_reload_encrypts_what_is_opened_next(encrypted: Postgres) -> None:
    encrypted.hba = ("local all all trust", "host all all 0.0.0.0/0 scram-sha-256")
    encrypted.reload()
    wait_until(lambda: not encrypted_backends(encrypted), "those of the tests before are gone")
    try:
        with (
            Proxy(encrypted, target={"sslmode": "disable"}) as proxy,
            Churn(proxy.dsn("app")),
            psycopg.connect(proxy.dsn("app"), autocommit=True) as client,
        ):
            assert encrypted_backends(encrypted) == {(True, False), (False, False)}
            proxy.target["sslmode"] = "require"
            assert proxy.reload()["ok"]
            wait_until(lambda: (False, False) not in encrypted_backends(encrypted), "no server is in clear")
            assert client.execute("SELECT 1").fetchone() == (1,)
    finally:
        encrypted.hba = ("local all all trust", "hostssl all all 0.0.0.0/0 scram-sha-256")
        encrypted.reload()


@pytest.mark.parametrize("host", ["127.1", "2130706433", "exämple.invalid"])
def test_a_host_that_no_certificate_can_be_checked_for(encrypted: Postgres, files: Files, host: str) -> None:
    """Name resolution takes what certificates can't name: then there is no connection, rather than an unchecked one."""
    target = {"host": host, "sslmode": "verify-full", "tls_ca": files.ca}
    with (
        Proxy(encrypted, proxy=HASTY, target=target) as proxy,
        pytest.raises(psycopg.OperationalError, match=r"not written in full|could not connect"),
    ):
        psycopg.connect(proxy.dsn("app"))


def test_a_stop_amid_handshakes(encrypted: Postgres, certificate: tuple[str, str]) -> None:
    """Clients and servers whose handshake is being computed are let go, and nothing is written into it."""
    for _ in range(5):
        proxy = Proxy(
            encrypted,
            proxy={"tls_certificate": certificate[0], "tls_key": certificate[1]},
            target={"sslmode": "require", "max_connections": 8, "open_burst": 8},
        )
        with proxy:
            sockets = [socket.create_connection((proxy.host, proxy.port)) for _ in range(60)]
            threads = [threading.Thread(target=_begin_handshake, args=(one,)) for one in sockets]
            for thread in threads:
                thread.start()
            assert proxy.stop() == 0
            for thread in threads:
                thread.join()
            assert "internal error" not in proxy.stderr()
            assert "died" not in proxy.stderr()


def _begin_handshake(client: socket.socket) -> None:
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["postgresql"])
    with contextlib.suppress(OSError), context.wrap_socket(client):
        pass
