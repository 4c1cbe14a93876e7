"""The TLS contexts of a worker's proxies: made of files, and made again when these change.

Owns the files' reading and its outcome. Refuses to know TLS (`engine.tls_context`) and to choose settings.

A certificate is renewed beneath a running proxy. So a reload of the configuration reads the files again; if they can't
be used, clients go on being shown what they were shown before, and the log says why.
"""

from __future__ import annotations

import hashlib
import logging

from tidegate.config.model import ProxyConfig
from tidegate.engine.tls_context import TICKET_SECRET_SIZE, TlsContext

logger = logging.getLogger(__name__)


def make_context(proxy: ProxyConfig, secret: bytes) -> TlsContext | None:
    """What the proxy's clients meet; None if it has no certificate. ValueError says which file is wrong, and how.

    `secret` is the same for all workers, so that a session that one has begun can be resumed at another.
    """
    if not proxy.tls_certificate:
        return None
    tickets = hashlib.shake_256(b"tidegate tls tickets" + secret).digest(TICKET_SECRET_SIZE)
    return TlsContext.for_clients(proxy.tls_certificate, proxy.tls_key, proxy.tls_client_ca, False, tickets)


class Certificates:
    """The last context of each proxy that could be made."""

    def __init__(self) -> None:
        self._made: dict[str, TlsContext | None] = {}

    def of(self, proxy: ProxyConfig, secret: bytes) -> TlsContext | None:
        """Read the proxy's files."""
        try:
            self._made[proxy.name] = make_context(proxy, secret)
        except ValueError as error:
            logger.error("TLS of proxy %s stays as it is: %s", proxy.name, error)
        return self._made.get(proxy.name)
