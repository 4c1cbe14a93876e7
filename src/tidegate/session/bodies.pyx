"""What the body of a function says: what it may change by itself, and which names it uses.

Owns the reading of SQL and PL/pgSQL bodies. Refuses to know the functions behind the names: catalogue.py does.

It is the scanner for clients' texts with three differences. A statement of PL/pgSQL begins behind BEGIN, THEN, ELSE,
LOOP, a label and the like, not only behind a semicolon. EXECUTE runs text that is not there to be read. And a procedure
that is called is known by its name, as a function is. All reasons are kept, not only the first.
"""

from array import array

from tidegate.session.facts cimport PREPARES, Facts
from tidegate.session.findings cimport Findings
from tidegate.session.keywords cimport K_CALL, K_LISTEN, K_NONE
from tidegate.session.lexis cimport T_CHAR, T_QUOTED, T_WORD, TRAIL_NONE
from tidegate.session.names cimport hash_name
from tidegate.session.scanner cimport Scanner, is_operator

from tidegate.session.pins import PinReason

# Words behind which a statement may begin.
cdef frozenset OPENING = frozenset((b"begin", b"then", b"else", b"loop", b"atomic"))

cdef enum:
    RUNS_KEPT = 4096

cdef dict RUNS = {}  # sets of operators: many functions use the same


cdef class Body:
    cdef readonly tuple touched
    cdef readonly frozenset reasons
    cdef readonly unsigned int flags
    cdef readonly object words
    cdef readonly frozenset runs


cdef class Reasons(Findings):
    """Findings that keep every reason."""

    def __cinit__(self):
        self.reasons = set()

    cdef int pin(self, object reason) except -1:
        if reason is not None:
            self.reasons.add(reason)
        return Findings.pin(self, reason)

    cdef int bind(self, int param) except -1:
        """An argument of the function."""
        return self.touch_unknown()

    cdef int place(self, int kind, bytes name, Py_ssize_t start, Py_ssize_t end, Py_ssize_t stop) except -1:
        """What a function prepares has its own name at the server."""
        return self.pin(PinReason.SQL_PREPARE) if kind == PREPARES else 0


cdef class BodyScanner(Scanner):
    def __init__(self, bint standard_conforming_strings=True):
        self.found = Reasons()
        self.words = set()
        self.runs = set()
        self.run = bytearray()
        self.reset(standard_conforming_strings, TRAIL_NONE)

    cdef int token(self, int kind) except -1:
        cdef bint opens = False
        cdef bint angle = kind == T_CHAR and self.tokenizer.ch == c'>'
        cdef bytes word
        if kind == T_CHAR and is_operator(self.tokenizer.ch):
            self.run.append(self.tokenizer.ch)
        elif self.run:
            self.end_run()
        if kind == T_WORD or kind == T_QUOTED:
            self.words.add(hash_name(self.tokenizer.word, self.tokenizer.word_len))
            if kind == T_WORD and self.tokenizer.word_len <= 7:
                word = self.tokenizer.word[:self.tokenizer.word_len]
                opens = word in OPENING
                if word == b"execute":
                    self.found.pin(PinReason.UNREAD_CODE)
        Scanner.token(self, kind)
        if (opens or (angle and self.angle)) and self.started:
            self.end_statement(self.offset())
        self.angle = angle
        return 0

    cdef int end_run(self) except -1:
        self.runs.add(bytes(self.run))
        self.run.clear()
        return 0

    cdef int start_statement(self, int keyword) except -1:
        if keyword == K_LISTEN:
            self.found.pin(PinReason.LISTEN)
        return Scanner.start_statement(self, K_NONE if keyword == K_CALL else keyword)


def read_body(bytes text, bint words=True):
    cdef Body body = Body.__new__(Body)
    cdef BodyScanner scanner
    cdef Facts facts
    cdef set touched = set(), reasons = set(), seen = set(), runs = set()
    # Whether a backslash escapes is the caller's setting: both ways count.
    for conforming in [True, False] if b"\\" in text else [True]:
        scanner = BodyScanner(conforming)
        scanner.feed(text, len(text))
        facts = scanner.finish()
        if scanner.run:
            scanner.end_run()
        touched.update(facts.touched)
        reasons.update((<Reasons>scanner.found).reasons)
        body.flags |= facts.flags
        seen.update(scanner.words)
        runs.update(scanner.runs)
    body.touched = tuple(sorted(touched))
    body.reasons = frozenset(reasons)
    body.words = array("Q", seen if words else ())
    body.runs = frozenset(runs)
    if len(RUNS) < RUNS_KEPT:
        body.runs = RUNS.setdefault(body.runs, body.runs)
    return body
