"""Why a client session is bound to one server connection.

Owns the names of the pin reasons and the sentence shown for each in logs, statistics and documentation.
Refuses to decide: the scanner and the proxy find reasons, this module only says what they mean.
"""

from enum import StrEnum
from typing import Self


class PinReason(StrEnum):
    """A pin reason; the value is its stable name, `explanation` the sentence a user reads."""

    explanation: str

    def __new__(cls, name: str, explanation: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.explanation = explanation
        return member

    TEMP_OBJECT = (
        "temp_object",
        "A temporary table, view, sequence or function lives in the server session that made it.",
    )
    LISTEN = (
        "listen",
        "LISTEN registers the server session; notifications arrive only there.",
    )
    HOLD_CURSOR = (
        "hold_cursor",
        "A cursor WITH HOLD outlives its transaction inside the server session.",
    )
    ADVISORY_LOCK = (
        "advisory_lock",
        "A session-level advisory lock belongs to the server session until it is unlocked there.",
    )
    SQL_PREPARE = (
        "sql_prepare",
        "PREPARE stores a statement under a name in the server session.",
    )
    DYNAMIC_SET = (
        "dynamic_set",
        "A setting may have changed and the text does not say which: its name, or the SQL that sets it, is computed.",
    )
    DO_BLOCK = (
        "do_block",
        "A DO block can change any session state, and its body is not read.",
    )
    CALL = (
        "call",
        "A procedure can change any session state, and its body is not read.",
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
