"""auth_method = "cert": a certificate that the proxy's authorities have signed, and that names the user."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import psycopg
import pytest

from tests.support import messages as m
from tests.support.certificates import Files
from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy


@pytest.fixture(scope="module")
def certified(postgres: Postgres, files: Files, certificate: tuple[str, str]) -> Iterator[Proxy]:
    """A proxy that knows the users `app` and `tenant`, each by certificate."""
    if not postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = 'tenant'"):
        postgres.add_role("tenant")
    proxy = Proxy(
        postgres,
        proxy={
            "tls_certificate": certificate[0],
            "tls_key": certificate[1],
            "tls_client_ca": files.ca,
            "auth_method": "cert",
        },
        target={"max_connections": 3},
        users=[
            {"name": "app", "password": "app"},
            {"name": "tenant", "password": "tenant", "certificate_names": ["tenant.example", "jane@example.com"]},
        ],
    )
    with proxy:
        yield proxy


def connect(proxy: Proxy, shown: tuple[str, str] | None, user: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url(proxy, shown, user), autocommit=True)


def url(proxy: Proxy, shown: tuple[str, str] | None, user: str) -> str:
    options = f"sslmode=require&sslcert={shown[0]}&sslkey={shown[1]}" if shown else "sslmode=require"
    return f"postgresql://{user}@{proxy.host}:{proxy.port}/postgres?{options}"


@pytest.mark.parametrize(
    ("names", "common_name", "user"),
    [
        (("lambda.example",), "app", "app"),
        (("tenant.example",), None, "tenant"),
        (("jane@example.com",), None, "tenant"),
        (("other.example", "tenant.example"), "app", "tenant"),
    ],
)
def test_a_name_of_the_user(
    certified: Proxy, files: Files, names: tuple[str, ...], common_name: str | None, user: str
) -> None:
    shown = files.certificate(*names, common_name=common_name)
    bystander = files.certificate("bystander.example", common_name="app")
    with Churn(url(certified, bystander, "app")):
        for _ in range(5):
            with connect(certified, shown, user) as client:
                assert client.execute("SELECT current_user").fetchone() == (user,)


@pytest.mark.parametrize(
    ("names", "common_name", "user"),
    [
        (("app.example",), "tenant", "app"),
        (("app",), "tenant", "tenant"),  # its own name counts no more, where others are listed
        (("tenant.example",), None, "app"),
        (("lambda.example",), "app", "nobody"),
    ],
)
def test_nobody_elses(
    certified: Proxy, files: Files, names: tuple[str, ...], common_name: str | None, user: str
) -> None:
    shown = files.certificate(*names, common_name=common_name)
    said = f'(certificate authentication failed for|no such) user:? "{user}"'
    with pytest.raises(psycopg.OperationalError, match=said):
        connect(certified, shown, user)


def test_none_at_all(certified: Proxy) -> None:
    with pytest.raises(psycopg.OperationalError, match="connection requires a valid client certificate"):
        connect(certified, None, "app")


def test_another_authoritys(certified: Proxy, tmp_path_factory: pytest.TempPathFactory) -> None:
    shown = Files(tmp_path_factory.mktemp("foreign")).certificate("app", common_name="app")
    with pytest.raises(psycopg.OperationalError, match=r"unknown ca|certificate verify failed"):
        connect(certified, shown, "app")


def test_without_tls(certified: Proxy) -> None:
    with pytest.raises(psycopg.OperationalError, match="connection requires a valid client certificate"):
        psycopg.connect(f"{certified.dsn('app')}?sslmode=disable")


def test_a_user_who_is_not_listed(certified: Proxy, files: Files) -> None:
    """A certificate says who somebody is; whether that is a user here, the settings say."""
    shown = files.certificate("stranger.example", common_name="stranger")
    with pytest.raises(psycopg.OperationalError, match='no such user: "stranger"'):
        connect(certified, shown, "stranger")


def test_no_session_is_resumed(certified: Proxy, files: Files) -> None:
    """A ticket would stand for a certificate after its authority is not believed any more."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["postgresql"])
    context.load_cert_chain(*files.certificate("resumes.example", common_name="app"))
    session = None
    for _ in range(2):
        with (
            socket.create_connection((certified.host, certified.port), 15) as plain,
            context.wrap_socket(plain, session=session) as client,
        ):
            client.sendall(m.startup({"user": "app", "database": "postgres"}, m.PROTOCOL_3_0))
            assert client.recv(1) == b"R"
            assert not client.session_reused
            session = client.session
