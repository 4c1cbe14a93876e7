"""auth_method = "cert": a certificate that the proxy's authorities have signed, and that names the user."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

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
    with pytest.raises(psycopg.OperationalError, match=f'certificate authentication failed for user "{user}"'):
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
