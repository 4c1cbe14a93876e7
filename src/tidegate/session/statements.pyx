"""Prepared statements, named by content.

Owns the identity of a statement: its text, its parameter types, and the settings that its parsing depends on. What
SQL's PREPARE makes is identified by the text behind the name, which holds the types. Two clients that prepare the same
share one `Statement`, and one server-side name, whatever each calls it; two tenants with one text and two search_paths
never do, nor do two of which one came before a change of the catalogue and one after. Refuses to know at which server a
statement is prepared.

Statements live as long as a client or a server refers to one: the registry is swept when it has doubled.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject

from tidegate.session.facts cimport FREES, PINS, PLAIN, SINGLE, TOUCHES, Facts, make_facts
from tidegate.session.lexis cimport TRAIL_NONE
from tidegate.session.names cimport NameSet
from tidegate.session.scanner cimport scan

from tidegate.session.pins import PinReason

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* o)

NAME_PREFIX = b"tidegate_"

cdef enum:
    SMALLEST_SWEEP = 1024
    MOST_CONSTANTS = 64
    BY_SQL = 64  # in the number at the end of a key, beside how its text is scanned


cdef Facts facts_of_body(Facts whole):
    """What a statement does when it is executed; `whole`: of the PREPARE that makes it."""
    cdef Facts facts
    cdef unsigned int flags = whole.flags & (TOUCHES | PINS | FREES)
    if not flags:
        return PLAIN
    facts = make_facts(1, SINGLE | flags)
    facts.touched = whole.touched
    facts.pin = whole.pin
    if whole.bound and (whole.pin is None or whole.pin.provable):
        facts.flags |= PINS
        facts.pin = PinReason.DYNAMIC_SET  # EXECUTE gives the name, as an expression
    return facts


cdef class Statement:
    def __repr__(self):
        return f"<Statement {self.name.decode()} {self.content[:40]!r}>"

    cdef bytes text(self):
        """What a server is given to read; None if it was too long to be kept."""
        if self.content is None:
            return None
        return self.prepare_sql() if self.by_sql else self.content[:self.content.index(b"\0")]

    cdef bytes prepare_sql(self):
        """The PREPARE that makes it at a server; only for those that are made `by_sql`."""
        return b'PREPARE "' + self.name + b'"' + self.content

    cdef bytes told(self):
        """Its content, with the parameters' types that clients rely on, whatever the catalogue would make of them now.

        As PostgreSQL's own plans keep theirs (plancache.c, RevalidateCachedQuery).
        """
        return self.content if self.parameters is None else self.with_types(self.parameters)

    cdef bytes with_types(self, bytes types):
        return self.content[:self.content.index(b"\0") + 1] + types


cdef class Statements:
    """The registry of one worker."""

    def __cinit__(self):
        self.known = {}
        self.constants = {}
        self.sweep_at = SMALLEST_SWEEP

    def __len__(self):
        return len(self.known)

    cdef Statement find(self, bytes content, Py_ssize_t text_size, object context, bint scs_on, int trail):
        """The one statement of this content; `text_size` is the length of the text in front of the NUL.

        `scs_on` and `trail` are how its client's texts are to be scanned: a server's own defaults may set them, too.
        """
        cdef Statement statement = self.enter((content, context, trail << 1 | scs_on))
        if statement.facts is None:
            statement.facts = scan(PyBytes_AS_STRING(content), text_size, scs_on, trail)
        return statement

    cdef Statement find_sql(self, bytes content, Py_ssize_t lead, object context, bint scs_on, int trail):
        """The one statement that PREPAREs make of which this is the text behind the name; see Statement.lead."""
        cdef Statement statement = self.enter((content, context, trail << 1 | scs_on | BY_SQL))
        if statement.facts is None:
            statement.by_sql = True
            statement.lead = lead
            statement.facts = self.read(statement, None)
        return statement

    cdef Statement find_constant(self, bytes content):
        """The same for a text that hangs on nothing: no change of the catalogue makes another of it."""
        cdef Statement statement = self.constants.get(content)
        if statement is None:
            statement = self.find_sql(content, 0, None, True, TRAIL_NONE)
            if len(self.constants) < MOST_CONSTANTS:
                self.constants[content] = statement
        return statement

    cdef Statement enter(self, tuple key):
        """The statement of this key; a new one has no facts yet."""
        cdef object found = self.known.get(key)
        cdef Statement statement
        if found is not None and (<Statement>found).generation == self.generation:
            return <Statement>found
        if len(self.known) >= self.sweep_at:
            self.sweep()
        self.serial += 1
        statement = Statement.__new__(Statement)
        statement.key = key
        statement.generation = self.generation
        statement.content, statement.context, _ = key
        statement.name = NAME_PREFIX + b"%x" % self.serial
        self.known[key] = statement
        return statement

    def statement(self, bytes text, bytes types=b"\0\0", object context=None, int trail=TRAIL_NONE):
        """find() for Python callers."""
        return self.find(text + b"\0" + types, len(text), context, True, trail)

    def sql_statement(self, bytes content, object context=None, int trail=TRAIL_NONE):
        """find_sql() for Python callers."""
        return self.find_sql(content, 0, context, True, trail)

    cdef int judge(self, Statement statement, NameSet names) except -1:
        """Read a statement's text once more: other things hide behind its names than when it was last read."""
        statement.names = names
        if statement.content is not None:
            statement.facts = self.read(statement, names)
        return 0

    cdef Facts read(self, Statement statement, NameSet names):
        cdef int mode = statement.key[2]
        cdef bytes text = statement.text()
        cdef Facts facts = scan(PyBytes_AS_STRING(text), len(text), mode & 1, (mode & ~BY_SQL) >> 1, names)
        return facts_of_body(facts) if statement.by_sql else facts

    cdef Statement fresh(self, Statement statement):
        """The statement that a Parse of the same content, with the same types, makes now."""
        cdef int mode = statement.key[2]
        if statement.by_sql:
            return self.find_sql(
                statement.content, statement.lead, statement.context, mode & 1, (mode & ~BY_SQL) >> 1)
        return self.typed(statement, statement.told())

    cdef Statement typed(self, Statement statement, bytes content):
        """The same text with other types."""
        cdef int mode = statement.key[2]
        return self.find(content, statement.content.index(b"\0"), statement.context, mode & 1, mode >> 1)

    cdef int renew(self) except -1:
        """The catalogue has changed: who parses from now on gets a new plan, as directly."""
        self.generation += 1
        return 0

    cdef int retire(self, Statement statement) except -1:
        """What clients were told of its result is no longer true: the next Parse makes another of the same content."""
        statement.stale = True
        statement.generation = -1
        if self.known.get(statement.key) is statement:
            del self.known[statement.key]
        return 0

    def catalogue_changed(self):
        """renew() for Python callers."""
        self.renew()

    cdef int sweep(self) except -1:
        """Forget the statements that nobody but this registry refers to."""
        cdef dict live = {}
        for key, item in self.known.items():
            # Two references: the dictionary's and this loop's own.
            if Py_REFCNT(<PyObject*>item) > 2:
                live[key] = item
        self.known = live
        self.sweep_at = max(2 * len(live), <Py_ssize_t>SMALLEST_SWEEP)
        return 0


@cython.freelist(64)
cdef class Unnamed:
    pass


cdef class Naming:
    def __init__(self, bytes name, Statement statement, bint closing, bytes reply=None, dict names=None,
                 bint at_server=False, object renamed=None):
        self.name = name
        self.statement = statement
        self.closing = closing
        self.reply = reply
        self.names = names
        self.at_server = at_server
        self.renamed = renamed


cdef class Closing:
    pass


cdef class Meaning:
    pass
