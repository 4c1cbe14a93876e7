"""An authority, a PostgreSQL with TLS, and proxies before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.certificates import Files, encrypt
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy

ONLY_ENCRYPTED = ("local all all trust", "hostssl all all 0.0.0.0/0 scram-sha-256")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def certificate(files: Files) -> tuple[str, str]:
    """Of the proxies: the paths of certificate and key."""
    return files.certificate("localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def encrypted(files: Files) -> Iterator[Postgres]:
    """A PostgreSQL that lets nobody in over TCP without TLS, with a role `app`."""
    with Postgres() as server:
        server.start()
        server.add_role("app")
        encrypt(server, files)
        server.hba = ONLY_ENCRYPTED
        server.reload()
        yield server


@pytest.fixture(scope="session")
def secured(postgres: Postgres, certificate: tuple[str, str]) -> Iterator[Proxy]:
    """A proxy of two workers with a certificate, and few servers, before a PostgreSQL without TLS."""
    proxy = Proxy(
        postgres,
        proxy={"tls_certificate": certificate[0], "tls_key": certificate[1], "session_audit": 1.0},
        target={"max_connections": 4},
        top={"workers": 2},
    )
    with proxy:
        yield proxy
        assert proxy.stats()["audit_findings"] == 0, proxy.stderr()
