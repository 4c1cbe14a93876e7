"""Why a client session is bound to one server connection.

Owns the names of the pin reasons, the sentence shown for each in logs, statistics and documentation, and whether the
database can be asked about it. Refuses to decide: the scanner and the proxy find reasons, this module only says what
they mean.

A statement's text only makes a reason likely. Where the database can be asked (`provable`), it is, when the transaction
ends (`leftovers`): what is there pins the session until it is gone, what is not does not. `anything` marks statements
that may have done all of it, and set any setting. A `passing` reason is not asked for: the proxy knows when it is over.
Of the other reasons nothing can be seen from outside, and the session keeps its server until it ends.
"""

from enum import StrEnum
from typing import Self


class PinReason(StrEnum):
    """A pin reason; the value is its stable name, `explanation` the sentence a user reads."""

    explanation: str
    provable: bool
    anything: bool
    passing: bool

    def __new__(
        cls, name: str, explanation: str, provable: bool = False, anything: bool = False, passing: bool = False
    ) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.explanation = explanation
        member.provable = provable
        member.anything = anything
        member.passing = passing
        return member

    @property
    def lasting(self) -> bool:
        """Whether the session keeps its server until it ends."""
        return not self.provable and not self.passing

    @property
    def weight(self) -> int:
        """Which of several reasons of one text counts: what can't be proved, then what may have done anything."""
        return 2 if self.lasting else int(self.anything)

    TEMP_OBJECT = (
        "temp_object",
        "A temporary table, view, sequence or function lives in the server session that made it.",
        True,
    )
    LISTEN = (
        "listen",
        "The connection on which the proxy listens for all clients of a database could not be opened: the client's own "
        "server listens for it.",
        True,
    )
    HOLD_CURSOR = (
        "hold_cursor",
        "A cursor WITH HOLD outlives its transaction inside the server session.",
        True,
    )
    ADVISORY_LOCK = (
        "advisory_lock",
        "A session-level advisory lock belongs to the server session until it is unlocked there.",
        True,
    )
    SEQUENCE_VALUE = (
        "sequence_value",
        "The values that currval() and lastval() tell are the server session's own, and this client asks for them.",
        False,
        False,
        True,
    )
    SQL_PREPARE = (
        "sql_prepare",
        "PREPARE stores a statement in the server session, under a name that can't be read exactly from its text.",
        True,
    )
    DYNAMIC_SET = (
        "dynamic_set",
        "A setting may have changed whose name is computed.",
    )
    DO_BLOCK = (
        "do_block",
        "A DO block can change any session state, and its body is not read.",
        True,
        True,
    )
    CALL = (
        "call",
        "A procedure can change any session state, and its body is not read.",
        True,
        True,
    )
    UNREAD_CODE = (
        "unread_code",
        "Code runs that can't be read (EXECUTE in a function, another language than SQL and PL/pgSQL, a function that "
        "is new): it may change any session state.",
        True,
        True,
    )
    LOAD = (
        "load",
        "LOAD brings a shared library into one server process.",
    )
    SETSEED = (
        "setseed",
        "setseed() or SET seed fixes the random sequence of one server session and leaves no trace to restore it from.",
    )
    SESSION_FUNCTION = (
        "session_function",
        "A function was named whose effect is tied to the server session: a backup, a replication slot or origin, "
        "a dblink connection.",
    )
    UNICODE_IDENTIFIER = (
        "unicode_identifier",
        'An identifier written as U&"..." can spell any name, so nothing is known of the statement.',
    )
    SESSION_MODE = (
        "session_mode",
        "The pool is configured to lend a server connection for a whole session.",
    )
    STARTUP_OPTION = (
        "startup_option",
        "The client's start-up packet asks for an option that a server process takes only at its start.",
    )
    REPLICATION = (
        "replication",
        "A replication connection speaks its own commands and cannot be shared.",
    )
    OVERSIZED_STATEMENT = (
        "oversized_statement",
        "The statement, or a dollar-quote tag in it, is larger than what is scanned.",
    )
