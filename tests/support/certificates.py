"""Certificates for a test: an authority of its own, and what that has signed, as files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import trustme

from tests.support.postgres import Postgres


class Files:
    """An authority and what it has signed, as files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.ca = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca)

    def certificate(self, *names: str, common_name: str | None = None) -> tuple[str, str]:
        """Paths of a certificate and its key."""
        made = self.authority.issue_cert(*names, common_name=common_name)
        stem = self.folder / (names[0] if names else common_name or "nobody").replace("*", "_")
        key = Path(f"{stem}.key")
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        made.private_key_pem.write_to_path(key)
        Path(f"{stem}.pem").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        return f"{stem}.pem", f"{stem}.key"

    def replace(self, to: tuple[str, str], names: tuple[str, ...]) -> None:
        """Renew what lies at these two paths, as certbot would."""
        for renewed, path in zip(self.certificate(*names, common_name="renewed"), to, strict=True):
            if renewed != path:
                os.replace(renewed, path)


def encrypt(postgres: Postgres, files: Files, *, client_ca: bool = False) -> None:
    """Restart a server with TLS, for localhost and 127.0.0.1."""
    for path, name in zip(files.certificate("127.0.0.1", "localhost"), ("server.crt", "server.key"), strict=True):
        _give(postgres, path, name)
    postgres.settings |= {"ssl": "on"}
    if client_ca:
        _give(postgres, files.ca, "clients.crt")
        postgres.settings |= {"ssl_ca_file": "clients.crt"}
    postgres.restart()


def _give(postgres: Postgres, path: str, name: str) -> None:
    target = postgres.data / name
    shutil.copyfile(path, target)
    target.chmod(0o600)
    if postgres.account is not None:
        os.chown(target, postgres.account.pw_uid, postgres.account.pw_gid)
