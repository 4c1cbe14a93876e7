"""PgBouncer from a path: its configuration for this bench, and what its version can do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bench.contenders.base import ProxyContender, Setup
from bench.processes import BenchError, Daemon

PREPARED_SINCE = (1, 21)
WANTED = (1, 25)
PLACES = ("/opt/pgbouncer/bin/pgbouncer", "/usr/sbin/pgbouncer")

_CONFIGURATION = """\
[databases]
{database} = host=127.0.0.1 port={database_port} dbname={database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
listen_backlog = 4096
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {pool_mode}
default_pool_size = {pool_size}
max_client_conn = {max_clients}
log_connections = 0
log_disconnections = 0
log_stats = 0
client_tls_sslmode = allow
client_tls_cert_file = {certificate}
client_tls_key_file = {key}
{prepared}"""


def find(given: str | None) -> Path | None:
    """The binary to run: the given path, else in the usual places; None when it is in none of these.

    BenchError when there is none at the given path.
    """
    if given and not Path(given).is_file():
        raise BenchError(f"no PgBouncer at {given}; leave out --peer and TIDEGATE_BENCH_PGBOUNCER to look elsewhere")
    candidates = [given] if given else [*PLACES, shutil.which("pgbouncer") or ""]
    return next((Path(one).resolve() for one in candidates if one and Path(one).is_file()), None)


def parse_version(text: str) -> tuple[int, int]:
    """(major, minor) from the output of `pgbouncer --version`."""
    match = re.search(r"PgBouncer (\d+)\.(\d+)", text)
    if not match:
        raise BenchError(f"not a PgBouncer: {text.strip()[:80]!r}")
    return int(match[1]), int(match[2])


class PgBouncer(ProxyContender):
    """PgBouncer as its documentation suggests for transaction pooling, plus max_prepared_statements where it has it."""

    name = "pgbouncer"
    pool_mode = "transaction"

    def __init__(self, setup: Setup, binary: Path) -> None:
        super().__init__(setup)
        self.binary = binary
        shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
        self.version = parse_version(shown)
        self.runs_prepared = self.version >= PREPARED_SINCE
        self.label = shown.splitlines()[0]
        if self.version < WANTED:
            self.label += " (older than the 1.25 that this comparison wants)"

    def launch(self) -> Daemon:
        """Write pgbouncer.ini and users.txt, and start it as an unprivileged user (it refuses root)."""
        login = self.setup.login
        users = self.folder / "users.txt"
        users.write_text(f'"{login.user}" "{login.verifier}"\n')
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                database=login.database,
                database_port=self.setup.database_port,
                port=self.port,
                folder=self.folder,
                pool_size=self.setup.pool_size,
                max_clients=self.setup.max_clients,
                pool_mode=self.pool_mode,
                certificate=self.setup.certificate,
                key=self._own_key(),
                prepared="max_prepared_statements = 500\n" if self.runs_prepared else "",
            )
        )
        for path in (users, configuration):
            path.chmod(0o644)
        return Daemon([self.binary, configuration], self.folder / "log", unprivileged=True)

    def _own_key(self) -> Path:
        """A copy that the user may read that it runs as."""
        key = self.folder / "server.key"
        key.write_bytes(self.setup.key.read_bytes())
        key.chmod(0o644)
        return key


class SessionPgBouncer(PgBouncer):
    """The same, but that a client keeps its server until it leaves: what SET asks for, in every other proxy."""

    name = "pgbouncer-session"
    pool_mode = "session"

    def __init__(self, setup: Setup, binary: Path) -> None:
        super().__init__(setup, binary)
        self.label += ", pool_mode = session"
