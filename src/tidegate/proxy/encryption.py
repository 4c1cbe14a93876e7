"""How a target's connections are encrypted: its settings, with the TLS context that its files make.

Owns the choice of sslmode. Refuses to know TLS (`engine.tls_context`), and connections (`outgoing`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.config.model import SslMode, SslNegotiation, TargetConfig
from tidegate.config.secret_files import check_key_file
from tidegate.engine.tls_context import TlsContext


@dataclass(frozen=True, slots=True)
class Encryption:
    """What a connection to the database begins with."""

    tls: TlsContext
    host: str
    """Whose certificate is expected, and what is asked for by SNI."""
    required: bool
    """Whether a database that has no TLS is refused."""
    direct: bool
    """Whether TLS begins at once, without an SSLRequest (PostgreSQL 17 and later)."""


def connection_settings(target: TargetConfig) -> tuple[object, ...]:
    """What every connection to a target is made with: where one of these differs, it is another target."""
    return (
        target.host,
        target.port,
        target.sslmode,
        target.sslnegotiation,
        target.tls_ca,
        target.tls_certificate,
        target.tls_key,
    )


def make_encryption(target: TargetConfig) -> Encryption | None:
    """None where nothing is encrypted: by the settings, or on a Unix socket. ValueError says which file is wrong."""
    mode = target.sslmode
    if mode is SslMode.DISABLE or target.host.startswith("/"):
        return None
    if target.tls_key:
        check_key_file(target.tls_key)
    tls = TlsContext.for_servers(
        target.tls_ca,
        mode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL),
        mode is SslMode.VERIFY_FULL,
        target.tls_certificate,
        target.tls_key,
    )
    return Encryption(tls, target.host, mode is not SslMode.PREFER, target.sslnegotiation is SslNegotiation.DIRECT)
