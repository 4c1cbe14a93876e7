"""How a SCRAM exchange can fail.

Owns the kinds of failure. Refuses to say what a client is told of them: that is the caller's matter.
"""

from __future__ import annotations


class ScramError(Exception):
    """An exchange that can't succeed."""


class ScramFailure(ScramError):
    """The other end does not know the password."""


class ScramMalformed(ScramError):
    """The other end broke the protocol; the text says how and quotes nothing that it sent.

    PostgreSQL answers with 08P01 `malformed SCRAM message` and such a text as DETAIL.
    """


class ScramDowngraded(ScramError):
    """Somebody between the two may have hidden that the server offers channel binding.

    PostgreSQL answers with 28000 `SCRAM channel binding negotiation error` and such a text as DETAIL.
    """


class ScramUnsupported(ScramError):
    """The client asks for what is not supported here; the text is PostgreSQL's message, which has SQLSTATE 0A000.

    Source: read_client_first_message in src/backend/libpq/auth-scram.c.
    """


class ScramMismatch(ScramError):
    """The server's salt or iteration count is not that of the keys: the password was changed since they were read."""
