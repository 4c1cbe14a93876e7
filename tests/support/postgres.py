"""A real PostgreSQL for a test: `demo.postgres.Cluster` with roles, DSNs and a fast first start.

Owns which major is taken from where, and the cache of freshly made data folders (build/postgres-templates).
Refuses to skip: a PostgreSQL that is not there is an error.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tidegate.demo.postgres import DEFAULT_HBA, PASSWORD, SUPERUSER, Cluster, PostgresError, bundled_binaries

BUNDLED_MAJOR = 17
TEMPLATES = Path(__file__).resolve().parents[2] / "build" / "postgres-templates"


def debian_binaries(major: int) -> Path:
    """Where Debian keeps the programs of one major."""
    return Path(f"/usr/lib/postgresql/{major}/bin")


def available_majors() -> list[int]:
    """The bundled major, and those that Debian has installed; to parametrize a test over."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return sorted({BUNDLED_MAJOR, *(int(path.parts[-3]) for path in installed)})


class Postgres(Cluster):
    """One server with few settings said and all else left as PostgreSQL has it (but for durability, which is off).

    Roles made by `add_role` have their own name as the password, so that a DSN needs only the name.
    """

    def __init__(
        self,
        major: int = BUNDLED_MAJOR,
        *,
        max_connections: int = 100,
        settings: Mapping[str, str | int] | None = None,
        hba: Sequence[str] = DEFAULT_HBA,
        port: int = 0,
    ) -> None:
        bin_dir = bundled_binaries() if major == BUNDLED_MAJOR else debian_binaries(major)
        if not (bin_dir / "postgres").exists():
            raise PostgresError(f"PostgreSQL {major} is not installed: no {bin_dir}/postgres")
        self.major = major
        self.max_connections = max_connections
        super().__init__(bin_dir, port=port, settings={"max_connections": max_connections, **(settings or {})}, hba=hba)

    def start(self) -> None:
        """Start, with a fresh data folder the first time."""
        if not self.data.exists():
            self._copy_template()
        super().start()

    def dsn(self, user: str = SUPERUSER, database: str = "postgres", password: str | None = None) -> str:
        """A URL straight to this server over TCP; the password is the user's name unless given."""
        return dsn(self.host, self.port, user, database, password)

    def sql(
        self,
        statement: str,
        parameters: Sequence[Any] | None = None,
        *,
        user: str = SUPERUSER,
        database: str = "postgres",
    ) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, in autocommit; rows if it returns any."""
        with psycopg.connect(self.dsn(user, database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)  # bytes: any text, not only literals
            return cursor.fetchall() if cursor.description else []

    def add_role(self, name: str, attributes: str = "") -> None:
        """A role that may log in with its own name as the password; `attributes` as in CREATE ROLE."""
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{name}' {attributes}")

    def backends(self, user: str | None = None) -> list[int]:
        """Process ids of the clients' backends but this query's own, of one user or of all."""
        rows = self.sql(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND usename = coalesce(%s, usename) ORDER BY backend_start",
            [user],
        )
        return [pid for (pid,) in rows]

    def _copy_template(self) -> None:
        """Copy the data folder of this version's first initdb, made on demand by whoever comes first."""
        version = self._run((self.bin_dir / "postgres", "--version")).split()[2]
        template = TEMPLATES / f"{version}-{self.account.pw_uid if self.account else 'own'}"
        TEMPLATES.mkdir(parents=True, exist_ok=True)
        with (TEMPLATES / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not template.exists():
                self.initdb()
                unfinished = TEMPLATES / "unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                _copy(self.data, unfinished)
                unfinished.rename(template)
                return
        _copy(template, self.data)


def dsn(host: str, port: int, user: str, database: str, password: str | None = None) -> str:
    """A connection URL; the password is the user's name unless given."""
    secret = (PASSWORD if user == SUPERUSER else user) if password is None else password
    return f"postgresql://{quote(user)}:{quote(secret)}@{host}:{port}/{quote(database)}"


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", "-T", source, target], check=True)
