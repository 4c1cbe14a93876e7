"""Tidegate from this checkout: its configuration for this bench."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.contenders.base import ProxyContender, Setup
from bench.processes import BenchError, Daemon
from tidegate import __version__
from tidegate.demo.processes import python_environment

# The pool may idle as a whole and for as long as PgBouncer's: the defaults would close some of it between loads.
_CONFIGURATION = """\
workers = {workers}
log_level = "warning"
control_socket = "{folder}/control"

[[proxy]]
name = "bench"
listen = ["127.0.0.1:{port}"]
target = "database"
max_client_connections = {max_clients}
tls_certificate = "{certificate}"
tls_key = "{key}"

[[target]]
name = "database"
host = "127.0.0.1"
port = {database_port}
user = "{superuser}"
password = "{superuser_password}"
max_connections = {pool_size}
max_idle_connections_percent = 100
server_idle_timeout = 600

[[user]]
name = "{user}"
password = "{verifier}"
"""


class Tidegate(ProxyContender):
    """`python -m tidegate serve` with one worker (PgBouncer is one process) and a stored verifier."""

    name = "tidegate"

    def __init__(self, setup: Setup, workers: int = 1) -> None:
        super().__init__(setup)
        self.workers = workers
        self.label = f"Tidegate {__version__}" + (f", {workers} workers" if workers > 1 else "")

    def launch(self) -> Daemon:
        """Write tidegate.toml and start the supervisor, which starts the worker."""
        setup = self.setup
        configuration = self.folder / "tidegate.toml"
        configuration.write_text(
            _CONFIGURATION.format(
                workers=self.workers,
                folder=self.folder,
                port=self.port,
                max_clients=setup.max_clients,
                certificate=setup.certificate,
                key=setup.key,
                database_port=setup.database_port,
                superuser=setup.superuser,
                superuser_password=setup.superuser_password,
                pool_size=setup.pool_size,
                user=setup.login.user,
                verifier=setup.login.verifier,
            )
        )
        configuration.chmod(0o600)
        command = [sys.executable, "-m", "tidegate", "serve", "--config", str(configuration)]
        return Daemon(command, self.folder / "log", environment=self.environment())

    def environment(self) -> dict[str, str]:
        """In which `tidegate` is this checkout's."""
        return python_environment()


class EarlierTidegate(Tidegate):
    """The same from another checkout, which must have been built: what a change costs is told by the two in turn."""

    name = "earlier"

    def __init__(self, setup: Setup, checkout: Path) -> None:
        super().__init__(setup)
        self.source = checkout / "src"
        self.label = "an earlier Tidegate"
        if not (self.source / "tidegate").is_dir():
            raise BenchError(f"--against {checkout} is no checkout of Tidegate: there is no src/tidegate")

    def environment(self) -> dict[str, str]:
        """In which `tidegate` is the other checkout's."""
        return {**python_environment(), "PYTHONPATH": str(self.source)}
