"""The scanner's answer about one SQL text.

Owns the flags, the immutable `Facts` and the instances that are shared. Refuses to find anything out: scanner.pyx does.
"""

cdef enum:
    SHARED_STATEMENTS = 8       # texts of more statements than this are rare: their facts are not kept
    FLAG_BITS = 24

# By statements and flags: the facts of BEGIN, of COMMIT, of INSERT; INSERT and of all texts with no more to say.
# Bounded: few of the flags occur without a name or a reason.
cdef dict SHARED = {}


cdef class Place:

    def __init__(self, int kind, bytes name, Py_ssize_t start, Py_ssize_t end, Py_ssize_t stop):
        self.kind = kind
        self.name = name
        self.start = start
        self.end = end
        self.stop = stop

    def _values(self):
        return self.kind, self.name, self.start, self.end, self.stop

    def __eq__(self, other):
        return isinstance(other, Place) and self._values() == other._values()

    def __hash__(self):
        return hash(self._values())

    def __repr__(self):
        return f"Place{self._values()}"


cdef class Facts:

    def _values(self):
        return (
            self.statements, self.flags, self.touched, self.pin, self.deallocate, self.set_default, self.replayable,
            self.places, self.unlistened, self.bound,
        )

    def __eq__(self, other):
        return isinstance(other, Facts) and self._values() == other._values()

    def __hash__(self):
        return hash(self._values())

    def __repr__(self):
        return (
            f"Facts(statements={self.statements}, flags={self.flags:#x}, touched={self.touched}, pin={self.pin},"
            f" deallocate={self.deallocate}, set_default={self.set_default}, replayable={self.replayable},"
            f" places={self.places}, bound={self.bound})"
        )


cdef Facts make_facts(int statements, unsigned int flags):
    """New facts that name nothing; the caller may still fill them in."""
    cdef Facts facts = Facts.__new__(Facts)
    facts.statements = statements
    facts.flags = flags
    facts.touched = facts.places = facts.unlistened = facts.bound = ()
    return facts


EMPTY = make_facts(0, 0)
PLAIN = make_facts(1, SINGLE)


cdef Facts shared_facts(int statements, unsigned int flags):
    """The facts that name nothing, one instance for each pair of arguments as far as that is worth the memory."""
    cdef unsigned int key
    cdef Facts facts
    if flags == SINGLE:
        return PLAIN
    if statements == 0:
        return EMPTY
    if statements > SHARED_STATEMENTS:
        return make_facts(statements, flags)
    key = <unsigned int>statements << FLAG_BITS | flags
    facts = SHARED.get(key)
    if facts is None:
        facts = SHARED[key] = make_facts(statements, flags)
    return facts
